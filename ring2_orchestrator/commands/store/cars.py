"""The verbs of `redoxa store` for CAR files, which other IPLD tools read and write."""

import argparse
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from cid_store.cid import Cid
from cid_store.errors import InputError, MalformedCidError, UsageError
from cid_store.local import LocalStore
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands._files import STREAM, open_output, output_path
from ring2_orchestrator.commands.store.words import shown
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from cid_store.car import Archive

SUMMARIES: Mapping[str, str] = {
    "export": "write objects, and all that their nodes lead to, as a CAR file",
    "import": "keep the blocks of a CAR file, each checked against its name",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    export = verbs["export"]
    export.add_argument(
        "what",
        metavar="ROOT-OR-CID",
        nargs="+",
        help="a root's name or an object's; a CAR that was imported by the CID its header names",
    )
    export.add_argument(
        "-o",
        "--output",
        metavar="FILE.car",
        type=Path,
        required=True,
        help="where to write; '-' is standard output",
    )
    export.add_argument("--v2", action="store_true", help="write CARv2, with an index")
    export.add_argument("-f", "--force", action="store_true", help="overwrite FILE where it exists")
    taken = verbs["import"]
    taken.add_argument("file", metavar="FILE.car", help="the file; '-' is standard input")
    taken.add_argument(
        "--unverified",
        action="store_true",
        help="keep blocks, too, whose hash function is not known here",
    )


def _export(home: Home, args: argparse.Namespace, context: Context) -> int:
    from cid_store.car import export_archive, export_objects  # noqa: PLC0415 - start-up

    store = home.store
    output = output_path(args.output, STREAM, lambda _: None, json=context.report.json)
    roots, archive = _meant(store, args.what)
    version = 2 if args.v2 else 1
    with (
        context.report.progress("export") as advance,
        open_output(output, STREAM, force=args.force) as out,
    ):
        file = cast("BinaryIO", out)
        if archive is not None:
            done = export_archive(store, archive, file, version=version, progress=advance)
        else:
            done = export_objects(store, roots, file, version=version, progress=advance)
    context.report.data({"file": str(output), "version": version, **done._asdict()})
    context.report.say(f"{output}: {done.blocks:,} blocks, {size_text(done.size_bytes)}")
    return 0


def _meant(store: LocalStore, words: Sequence[str]) -> "tuple[list[Cid], Archive | None]":
    """The objects that the words name, or the one imported CAR."""
    from cid_store.car import archives_of, open_archive  # noqa: PLC0415 - start-up

    roots: list[Cid] = []
    archives: list[str] = []
    for word in words:
        try:
            roots.append(Cid.parse(word))
        except MalformedCidError:
            bound = store.root(word)
            if bound is not None and not word.startswith("car/"):
                roots.append(bound)
            elif found := [word] if bound is not None else archives_of(store, word):
                archives += found
            else:
                raise InputError(
                    f"{shown(word)} is neither a root of the store, nor a CID, nor what an "
                    "imported CAR names as its root"
                ) from None
    if not archives:
        return roots, None
    if roots or len(archives) > 1:
        raise UsageError(
            f"an imported CAR is exported alone, and here are {len(archives) + len(roots)}: name "
            f"one of {', '.join(archives[:4])}"
        )
    cid = store.root(archives[0])
    assert cid is not None, "it was found a moment ago"
    return [], open_archive(store, cid)


def _import(home: Home, args: argparse.Namespace, context: Context) -> int:
    from cid_store.car import import_car  # noqa: PLC0415 - start-up is performance

    store = home.store
    report = context.report
    with _open(args.file) as file:
        total = os.fstat(file.fileno()).st_size
        with report.progress("import", total=total) as advance:
            found = import_car(
                store, file, args.file, allow_unverified=args.unverified, progress=advance
            )
    report.data(
        {
            "archive": str(found.archive),
            "roots": [str(root) for root in found.roots],
            "bound": list(found.bound),
            "absent": [str(name) for name in found.absent],
            "blocks": found.blocks,
            "block_bytes": found.block_bytes,
            "foreign": found.foreign,
            "unverified": found.unverified,
        }
    )
    foreign = f", {found.foreign:,} of them foreign, kept as opaque bytes" if found.foreign else ""
    report.say(f"{args.file}: {found.blocks:,} blocks, {size_text(found.block_bytes)}{foreign}")
    if found.unverified:
        report.warn(f"{found.unverified:,} blocks could not be checked against their names")
    for name in found.absent:
        report.say(f"the file names the root {name}, but does not hold it")
    for name in found.bound:
        report.line(name)
    return 0


@contextmanager
def _open(name: str) -> Generator[BinaryIO]:
    """The file, or standard input in a temporary one: a CAR is read at more than one place."""
    if name == "-":
        with tempfile.TemporaryFile() as spool:
            shutil.copyfileobj(sys.stdin.buffer, spool)
            yield cast("BinaryIO", spool)
        return
    with _opened(Path(name)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InputError(f"{name} is not a regular file; name one, or '-' for standard input")
        yield cast("BinaryIO", file)


def _opened(path: Path) -> IO[bytes]:
    try:
        # Opening a pipe must not wait for somebody to write to it.
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); name a file that can"
        ) from error


VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]] = {
    "export": _export,
    "import": _import,
}
