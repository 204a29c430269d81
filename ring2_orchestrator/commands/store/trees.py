"""The verbs of `redoxa store` for directory trees."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.store.words import byte_count, named, root_name
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from ring2_orchestrator.tree import Totals

SUMMARIES: Mapping[str, str] = {
    "add": "keep a folder, or what a tar or zip archive holds, as a tree and print its CID",
    "checkout": "write a tree into a folder, and nothing outside of it",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    add = verbs["add"]
    add.add_argument("path", metavar="DIR|ARCHIVE", type=Path, help="the folder or the archive")
    add.add_argument(
        "--root",
        metavar="NAME",
        type=root_name,
        help="also bind this root of the store to the tree",
    )
    add.add_argument(
        "--max-bytes",
        metavar="N",
        type=byte_count,
        help="what an archive may unpack to (default: 64 MiB, or 100 times its size if more)",
    )
    checkout = verbs["checkout"]
    checkout.add_argument("what", metavar="CID|ROOT", help="the tree, as add printed it")
    checkout.add_argument("folder", metavar="DIR", type=Path, help="a new name or an empty folder")
    checkout.add_argument(
        "-f", "--force", action="store_true", help="replace the files in DIR that the tree has, too"
    )
    checkout.add_argument(
        "--max-bytes",
        metavar="N",
        type=byte_count,
        help="write no tree with larger files in all (default: what the disk has free)",
    )


def _add(home: Home, args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.tree import (  # noqa: PLC0415 - start-up is performance
        Limits,
        add_archive,
        add_folder,
        default_limit,
        survey,
    )

    store = home.store
    path: Path = args.path
    with context.report.progress("add") as advance, store.batch():
        if path.is_dir():
            cid = add_folder(store, path, advance)
        else:
            size = _size_of(path)
            limit = args.max_bytes if args.max_bytes is not None else default_limit(size)
            cid = add_archive(store, path, Limits(limit), advance)
        if args.root is not None:
            store.set_root(args.root, cid)
    totals = survey(store, cid)
    context.report.data(
        {"cid": str(cid), "entries": totals.entries, "size_bytes": totals.size_bytes}
    )
    context.report.say(f"{path}: {_amount(totals)}")
    context.report.line(str(cid))
    return 0


def _checkout(home: Home, args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.tree import Limits, checkout  # noqa: PLC0415 - start-up is performance

    store = home.store
    cid = named(store, args.what)
    limits = Limits(args.max_bytes) if args.max_bytes is not None else None
    with context.report.progress("checkout") as advance:
        totals = checkout(
            store, cid, args.folder, force=args.force, limits=limits, progress=advance
        )
    context.report.data(
        {
            "cid": str(cid),
            "folder": str(args.folder),
            "entries": totals.entries,
            "size_bytes": totals.size_bytes,
        }
    )
    context.report.say(f"{args.folder}: {_amount(totals)}")
    return 0


def _amount(totals: "Totals") -> str:
    entries = "1 entry" if totals.entries == 1 else f"{totals.entries:,} entries"
    return f"{entries}, {size_text(totals.size_bytes)}"


def _size_of(path: Path) -> int:
    try:
        if not path.is_file():
            path.stat()
            raise InputError(f"{path} is neither a folder nor a file; name a folder or an archive")
        return path.stat().st_size
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); name a folder or an archive that can"
        ) from error


VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]] = {
    "add": _add,
    "checkout": _checkout,
}
