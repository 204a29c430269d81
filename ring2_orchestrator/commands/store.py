"""Put, get, verify and measure the store.

An object is named by its CID: the same bytes have the same name everywhere. What was put is on the
disk when its CID is printed.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cid_store.cid import Cid
from cid_store.errors import InputError
from cid_store.local import LocalStore
from ring2_orchestrator.commands import Context, add_verbs
from ring2_orchestrator.report import printing, size_text

EXAMPLES: Sequence[str] = (
    "redoxa store put data.csv",
    "redoxa store put - < data.csv",
    "redoxa store get bafkr4i… -o data.csv",
    "redoxa store stat",
    "redoxa store verify",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words after `redoxa store`."""
    verbs = add_verbs(
        parser,
        put="keep a file's bytes and print their CID",
        get="write the bytes of a CID, checked",
        stat="say how much the store holds, and its size on the disk",
        verify="read everything and compare it with its names",
    )
    verbs["put"].add_argument("file", metavar="FILE", help="the file; '-' is standard input")
    get = verbs["get"]
    get.add_argument("cid", metavar="CID", help="the object's name, as put printed it")
    get.add_argument("-o", "--output", metavar="FILE", type=Path, help="write there, not to stdout")
    get.add_argument("-f", "--force", action="store_true", help="overwrite FILE where it exists")


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the verb says; the exit code."""
    with context.open_home() as home:
        return _VERBS[args.verb](home.store, args, context)


def _put(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    data = _input_bytes(args.file)
    cid = store.put(data)
    context.report.data({"cid": str(cid), "size_bytes": len(data)})
    context.report.line(str(cid))
    return 0


def _get(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    cid = Cid.parse(args.cid)
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


def _stat(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    del args
    stat = store.stat()
    context.report.data({"path": str(store.path), **stat._asdict()})
    context.report.table(
        ("what", "how much"),
        (
            ("objects", stat.objects),
            ("their bytes", stat.object_bytes),
            ("roots", stat.roots),
            ("packs", stat.packs),
            ("bytes on disk", stat.disk_bytes),
        ),
    )
    return 0


def _verify(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    del args
    report = context.report
    with report.progress("verify", total=store.stat().object_bytes) as advance:
        found = store.verify(advance)
    report.data(
        {
            "ok": found.ok,
            "objects": found.objects,
            "object_bytes": found.object_bytes,
            "packs": found.packs,
            "roots": found.roots,
            "damage": list(found.damage),
            "notes": list(found.notes),
        }
    )
    for note in found.notes:
        report.say(note)
    for sentence in found.damage:
        report.warn(sentence)
    intact = f"{found.objects:,} objects, {size_text(found.object_bytes)}, {found.roots:,} roots"
    report.line(f"{intact}: all sound" if found.ok else f"{intact} sound; damage found")
    return 0 if found.ok else 4


_VERBS: dict[str, Callable[[LocalStore, argparse.Namespace, Context], int]] = {
    "put": _put,
    "get": _get,
    "stat": _stat,
    "verify": _verify,
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
