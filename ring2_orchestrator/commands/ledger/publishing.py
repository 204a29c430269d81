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
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.ledger import Checkpoint
    from ring2_orchestrator.ledger.keyfile import KeyFile

_LOCK_TIMEOUT_S = 30.0

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
    from ring2_orchestrator.ledger.keyfile import KeyFile  # noqa: PLC0415 - start-up is performance

    folder: Path = args.folder
    with context.open_home() as home:
        # What cannot be done is refused before anything is made.
        _refuse_within(folder, home.path)
        _continued(home, folder)
        keys = KeyFile(home.path / "keys")
        keys.need()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            head, files = _write(home, keys, folder)
        except OSError as error:
            raise UnavailableError(f"{folder} cannot be written ({error.strerror})") from error
    said = head_json(head)
    context.report.data({**said, "files": files, "folder": str(folder)})
    context.report.line(f"{folder}: {entries_text(head.size)} of {head.origin}")
    return 0


def _write(home: "Home", keys: "KeyFile", folder: Path) -> "tuple[Checkpoint, int]":
    """Bring the folder up to the ledger's head; the head, and how many files were written."""
    from ring2_orchestrator.ledger import Checkpoint  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.ledger.durable import locked_folder, sync_folder  # noqa: PLC0415

    # Of two that publish at once, the slower must not put an older head over a newer one.
    with locked_folder(folder, timeout_s=_LOCK_TIMEOUT_S):
        old = _continued(home, folder)
        note = keys.sign(home.ledger)
        head = Checkpoint.of(note)
        files = 0
        new = {folder}
        for path, data in home.ledger.resources(head, since=_served(folder, old)):
            _write_file(folder / path, data, base=folder)
            files += 1
            new.update(up for up in (folder / path).parents if up.is_relative_to(folder))
        # The checkpoint promises all the others, so it comes when they are sure to stay.
        for each in new:
            sync_folder(each)
        _write_file(folder / "checkpoint", note.whole.encode("utf-8"), base=folder)
        sync_folder(folder)
    return head, files


def _write_file(path: Path, data: bytes, *, base: Path) -> None:
    from ring2_orchestrator.container import new_file  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.ledger.durable import refuse_links  # noqa: PLC0415

    refuse_links(path.parent, base)
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path, force=True) as out:
        out.write(data)


def _refuse_within(folder: Path, home: Path) -> None:
    """Raise InputError for a folder of the home: what is published would replace what it holds."""
    real = folder.resolve()
    if any(real.is_relative_to(own.resolve()) for own in (home, home / "ledger", home / "store")):
        raise InputError(f"{folder} is a folder of the home itself; name one elsewhere")


def _continued(home: "Home", folder: Path) -> "Checkpoint | None":
    """The checkpoint in the folder, which the ledger extends; None where there is none."""
    old = _published(folder)
    if old is not None:
        home.ledger.head(extending=old)
    return old


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
