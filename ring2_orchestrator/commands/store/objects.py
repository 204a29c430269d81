"""The verbs of `redoxa store` for one object."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cid_store.cid import Cid
from cid_store.errors import InputError, UsageError
from cid_store.local import LocalStore
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.report import printing, size_text

SUMMARIES: Mapping[str, str] = {
    "put": "keep a file's bytes and print their CID",
    "get": "write the bytes of a CID, checked",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    verbs["put"].add_argument("file", metavar="FILE", help="the file; '-' is standard input")
    get = verbs["get"]
    get.add_argument("cid", metavar="CID", help="the object's name, as put printed it")
    get.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there, not to stdout")
    get.add_argument("-f", "--force", action="store_true", help="overwrite FILE where it exists")


def _put(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    data = _input_bytes(args.file)
    cid = store.put(data)
    context.report.data({"cid": str(cid), "size_bytes": len(data)})
    context.report.line(str(cid))
    return 0


def _get(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    cid = Cid.parse(args.cid)
    if args.output is None and context.report.json:
        raise UsageError("--json and the bytes both want standard output; name a file with -o")
    if not store.has(cid):
        raise InputError(f"object {cid} is not in the store at {store.path}; put it first")
    view = store.view(cid)
    if args.output is None:
        with printing():
            sys.stdout.flush()
            sys.stdout.buffer.write(view)
            sys.stdout.buffer.flush()
        return 0
    from ring2_orchestrator.container import new_file  # noqa: PLC0415 - start-up is performance

    with new_file(args.output, force=args.force) as file:
        file.write(view)
    context.report.data({"cid": str(cid), "file": str(args.output), "size_bytes": len(view)})
    context.report.say(f"{args.output}: {size_text(len(view))}")
    return 0


VERBS: Mapping[str, Callable[[LocalStore, argparse.Namespace, Context], int]] = {
    "put": _put,
    "get": _get,
}


def _input_bytes(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    path = Path(name)
    try:
        # A device has no end: reading it would fill the memory.
        if path.is_char_device() or path.is_block_device():
            raise InputError(f"{name} is a device; name a file, or '-' for standard input")
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); name a file that can"
        ) from error
