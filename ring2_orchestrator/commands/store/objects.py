"""The verbs of `redoxa store` for one object."""

import argparse
import os
import stat
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cid_store.cid import Cid
from cid_store.errors import InputError, UsageError
from cid_store.local import LocalStore
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.store.words import named, root_name
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import Advance, printing, size_text

_PATIENCE_S = 1.0  # what is done by then needs no bar

SUMMARIES: Mapping[str, str] = {
    "put": "keep a file's bytes and print their CID",
    "get": "write the bytes of an object, checked",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    put = verbs["put"]
    put.add_argument("file", metavar="FILE", help="the file; '-' is standard input")
    put.add_argument(
        "--root",
        metavar="NAME",
        type=root_name,
        help="also bind this root of the store to it, so that gc keeps it",
    )
    get = verbs["get"]
    get.add_argument("name", metavar="NAME", help="an object's CID, or a root's name")
    get.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there, not to stdout")
    get.add_argument("-f", "--force", action="store_true", help="overwrite FILE where it exists")


def _put(home: Home, args: argparse.Namespace, context: Context) -> int:
    store = home.store
    with (
        _input(args.file) as (file, size),
        context.report.progress("put", total=size, after_s=_PATIENCE_S) as advance,
    ):
        source = _Counted(args.file, file, advance)
        cid = store.put_stream(source)
    if args.root is not None:
        store.set_root(args.root, cid)
    context.report.data({"cid": str(cid), "root": args.root, "size_bytes": source.size_bytes})
    context.report.line(str(cid))
    return 0


def _get(home: Home, args: argparse.Namespace, context: Context) -> int:
    store = home.store
    cid = named(store, args.name)
    if args.output is None and context.report.json:
        raise UsageError("--json and the bytes both want standard output; name a file with -o")
    if not store.has(cid):
        raise InputError(f"object {cid} is not in the store at {store.path}; put it first")
    size = store.size(cid)
    with context.report.progress("get", total=size, after_s=_PATIENCE_S) as advance:
        if args.output is None:
            sys.stdout.flush()
            _copy(store, cid, sys.stdout.buffer, advance)
            return 0
        _get_file(store, cid, args, advance)
    context.report.data({"cid": str(cid), "file": str(args.output), "size_bytes": size})
    context.report.say(f"{args.output}: {size_text(size)}")
    return 0


def _get_file(store: LocalStore, cid: Cid, args: argparse.Namespace, advance: Advance) -> None:
    from ring2_orchestrator.container import new_file  # noqa: PLC0415 - start-up is performance

    with new_file(args.output, force=args.force) as file:
        for part in store.get_stream(cid):
            file.write(part)
            advance(len(part))


def _copy(store: LocalStore, cid: Cid, out: BinaryIO, advance: Advance) -> None:
    """Write the object to standard output; what was written is right, even if the rest is not."""
    for part in store.get_stream(cid):
        with printing():
            out.write(part)
        advance(len(part))
    with printing():
        out.flush()


VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]] = {
    "put": _put,
    "get": _get,
}


class _Counted:
    """A source that tells the progress bar what was read of it."""

    def __init__(self, name: str, file: BinaryIO, advance: Advance) -> None:
        self.size_bytes = 0
        self._name = name
        self._file = file
        self._advance = advance

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        try:
            data = self._file.read(size)
        except OSError as error:
            raise _unreadable(self._name, error) from error
        self.size_bytes += len(data)
        self._advance(len(data))
        return data


@contextmanager
def _input(name: str) -> Generator[tuple[BinaryIO, int | None]]:
    """The file of that name, or standard input, and its size where it has one."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    if not name:  # which a path takes for the folder one is in
        raise InputError("'' is no name of a file; name one, or '-' for standard input")
    path = Path(name)
    try:
        # A device has no end: reading it would fill the memory.
        if path.is_char_device() or path.is_block_device():
            raise InputError(f"{name} is a device; name a file, or '-' for standard input")
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(name, error) from error
    with file:
        status = os.fstat(file.fileno())
        yield file, status.st_size if stat.S_ISREG(status.st_mode) else None


def _unreadable(name: str, error: OSError) -> InputError:
    return InputError(f"{name} cannot be read ({error.strerror}); name a file that can")
