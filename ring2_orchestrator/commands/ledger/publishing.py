"""The verb of `redoxa ledger` that gives the whole log to others."""

import argparse
import stat
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, UnavailableError
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.ledger.words import entries_text, head_json, read_note

if TYPE_CHECKING:
    from ring2_orchestrator.ledger import Checkpoint

SUMMARIES: Mapping[str, str] = {
    "publish": "write the log, signed, as a tiled log is served to standard tools",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after this verb."""
    verbs["publish"].add_argument(
        "folder",
        metavar="DIR",
        type=Path,
        help="a new or empty folder, or one that this ledger was published to before; what any "
        "web server or bucket serves of it is a log in the form of C2SP tlog-tiles",
    )


def _publish(args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.container import new_file  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.ledger import Checkpoint  # noqa: PLC0415
    from ring2_orchestrator.ledger.durable import sync_folder  # noqa: PLC0415
    from ring2_orchestrator.ledger.keyfile import KeyFile  # noqa: PLC0415

    def write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path, force=True) as out:
            out.write(data)

    folder: Path = args.folder
    with context.open_home() as home:
        _refuse_within(folder, home.path)
        old = _published(folder)
        if old is not None:
            home.ledger.head(extending=old)
        note = KeyFile(home.path / "keys").sign(home.ledger)
        head = Checkpoint.of(note)
        files = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            new = {folder}
            for path, data in home.ledger.resources(head, since=_served(folder, old)):
                write(folder / path, data)
                files += 1
                new.update(up for up in (folder / path).parents if up.is_relative_to(folder))
            # The checkpoint promises all the others, so it comes when they are sure to stay.
            for each in new:
                sync_folder(each)
            write(folder / "checkpoint", note.whole.encode("utf-8"))
            sync_folder(folder)
        except OSError as error:
            raise UnavailableError(f"{folder} cannot be written ({error.strerror})") from error
    said = head_json(head)
    context.report.data({**said, "files": files, "folder": str(folder)})
    context.report.line(f"{folder}: {entries_text(head.size)} of {head.origin}")
    return 0


def _refuse_within(folder: Path, home: Path) -> None:
    """Raise InputError for a folder of the home: what is published would replace what it holds."""
    real = folder.resolve()
    if any(real.is_relative_to(own.resolve()) for own in (home, home / "ledger", home / "store")):
        raise InputError(f"{folder} is a folder of the home itself; name one elsewhere")


def _served(folder: Path, old: "Checkpoint | None") -> int:
    """How many entries the folder serves already; a checkpoint alone serves none."""
    return old.size if old is not None and (folder / "tile").is_dir() else 0


def _published(folder: Path) -> "Checkpoint | None":
    """The checkpoint in a folder that was published to; None in one that holds nothing else."""
    from ring2_orchestrator.ledger import Checkpoint  # noqa: PLC0415 - start-up is performance

    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{folder} cannot be used ({error.strerror}); name a folder") from error
    path = folder / "checkpoint"
    if "checkpoint" in names:
        # Whoever wrote into the folder must not make us wait for a pipe, or write elsewhere.
        if not stat.S_ISREG(path.lstat().st_mode):
            raise InputError(f"{path} is no plain file, so nothing of ours; name another folder")
        return Checkpoint.of(read_note(path))
    # Tiles without a checkpoint are what a publication left that was broken off, and so is the
    # part of a checkpoint.
    if any(name != "tile" and not fnmatch(name, ".checkpoint.*.part") for name in names):
        raise InputError(f"{folder} holds something else; name a new or an empty folder")
    return None


VERBS: Mapping[str, Callable[[argparse.Namespace, Context], int]] = {"publish": _publish}
