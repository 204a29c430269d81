"""Show, verify and checkpoint the shadow ledger.

The ledger is an append-only log: each run adds one batch, and one hash fixes all of them. Keep a
checkpoint somewhere else, and no one can shorten or rewrite the ledger without being noticed.
"""

import argparse
import base64
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.cid import Cid
from cid_store.encoding import Node
from cid_store.errors import InputError
from ring2_orchestrator.commands import Context, add_verbs

if TYPE_CHECKING:
    from ring2_orchestrator.ledger import Batch, Leaf, Ledger

EXAMPLES: Sequence[str] = (
    "redoxa ledger log -n 5",
    "redoxa ledger show 12",
    "redoxa ledger checkpoint > /mnt/elsewhere/ledger.checkpoint",
    "redoxa ledger verify --checkpoint /mnt/elsewhere/ledger.checkpoint",
)
_MAX_CHECKPOINT_BYTES = 65_536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verbs and their options."""
    verbs = add_verbs(
        parser,
        log="list the newest entries",
        show="print one batch with its entries",
        verify="check every entry, hash and batch",
        checkpoint="print the head, to be kept elsewhere",
        rebuild="make damaged hash files again from intact entries",
    )
    log = verbs["log"]
    log.add_argument("-n", "--count", type=_count, default=20, help="how many (default: 20)")
    log.add_argument("--kind", help="only entries of this kind, such as run")
    log.add_argument("--subject", help="only entries about this subject")
    verbs["show"].add_argument("seq", type=int, metavar="SEQ", help="the entry's number")
    verbs["verify"].add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="a checkpoint kept elsewhere, which the ledger must extend",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the verb says."""
    with context.open_home() as home:
        match args.verb:
            case "log":
                _log(home.ledger, args, context)
            case "show":
                _show(home.ledger.read(args.seq), context)
            case "verify":
                _verify(home.ledger, args.checkpoint, context)
            case "checkpoint":
                _checkpoint(home.ledger, context)
            case _:
                _rebuild(home.ledger, context)
    return 0


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if number < 0:
        raise argparse.ArgumentTypeError("a count is not negative")
    return number


def _log(ledger: "Ledger", args: argparse.Namespace, context: Context) -> None:
    found = ledger.leaves(args.kind, args.subject, newest_first=True)
    leaves = list(islice(found, args.count))
    context.report.data(
        {"entries": [_leaf_json(seq, leaf) for seq, leaf in leaves], "size": len(ledger)}
    )
    if not leaves:
        if not context.report.json:
            context.report.say("no such entry in the ledger")
        return
    context.report.table(
        ["entry", "time (UTC)", "kind", "subject", "batch"],
        [
            [seq, _time(leaf.time_ns), leaf.kind, _ending(leaf.subject), leaf.batch.short]
            for seq, leaf in leaves
        ],
    )


def _show(batch: "Batch", context: Context) -> None:
    answer = {
        "batch": str(batch.cid),
        "entries": [plain(entry) for entry in batch.entries],
        "kind": batch.kind,
        "seq": batch.seq,
        "subject": batch.subject,
        "time_ns": batch.time_ns,
    }
    context.report.data(answer)
    context.report.line(f"entry    {batch.seq}")
    context.report.line(f"time     {_time(batch.time_ns)} UTC")
    context.report.line(f"kind     {batch.kind}")
    context.report.line(f"subject  {batch.subject}")
    context.report.line(f"batch    {batch.cid}")
    for number, entry in enumerate(batch.entries):
        context.report.line()
        context.report.line(f"[{number}]")
        for line in _outline(entry, 1):
            context.report.line(line)


def _verify(ledger: "Ledger", kept: Path | None, context: Context) -> None:
    text = _read_checkpoint(kept) if kept is not None else None
    with context.report.progress("verifying the ledger", total=2 * len(ledger)) as advance:
        head = ledger.verify(text, advance=advance)
    root = base64.b64encode(head.root_hash).decode("ascii")
    context.report.data(
        {
            "checkpoint_extended": kept is not None,
            "origin": head.origin,
            "root_hash": root,
            "size": head.size,
        }
    )
    extended = ", and they extend that checkpoint" if kept is not None else ""
    context.report.line(f"{_entries(head.size)} verified{extended}")
    context.report.line(f"root hash {root}")


def _checkpoint(ledger: "Ledger", context: Context) -> None:
    text = ledger.checkpoint()
    context.report.data({"checkpoint": text})
    for line in text.splitlines():
        context.report.line(line)


def _rebuild(ledger: "Ledger", context: Context) -> None:
    made = ledger.rebuild()
    context.report.data({"rebuilt": made})
    files = "1 hash file" if made == 1 else f"{made} hash files"
    context.report.line(f"{files} made again; every entry is intact")


def _read_checkpoint(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_CHECKPOINT_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"the checkpoint {path} cannot be read ({error.strerror}); name a file that "
            "`redoxa ledger checkpoint` printed"
        ) from error
    if len(data) > _MAX_CHECKPOINT_BYTES:
        raise InputError(
            f"{path} is too long to be a checkpoint; name a file that "
            "`redoxa ledger checkpoint` printed"
        )
    return data.decode("utf-8", "replace")


def plain(node: Node) -> object:
    """A node as JSON can say it: a CID as {"/": text}, bytes as {"/": {"bytes": base64}}."""
    match node:
        case Cid():
            return {"/": str(node)}
        case bytes():
            return {"/": {"bytes": base64.b64encode(node).decode("ascii")}}
        case list():
            return [plain(item) for item in node]
        case dict():
            return {key: plain(item) for key, item in node.items()}
        case float() if not math.isfinite(node):
            return str(node)
        case _:
            return node


def _outline(node: Node, depth: int) -> list[str]:
    """A node as indented lines for people."""
    pad = "  " * depth
    match node:
        case dict() if node:
            lines: list[str] = []
            for key, item in node.items():
                if isinstance(item, dict | list) and item:
                    lines += [f"{pad}{key}:", *_outline(item, depth + 1)]
                else:
                    lines.append(f"{pad}{key}: {_scalar(item)}")
            return lines
        case list() if node:
            return [
                line
                for item in node
                for line in (
                    [f"{pad}-", *_outline(item, depth + 1)]
                    if isinstance(item, dict | list) and item
                    else [f"{pad}- {_scalar(item)}"]
                )
            ]
        case _:
            return [f"{pad}{_scalar(node)}"]


def _scalar(node: Node) -> str:
    if isinstance(node, bytes):
        return _bytes_text(node)
    return "-" if node is None else str(node)


def _bytes_text(data: bytes) -> str:
    """Bytes that are text as that text, such as a command's words; else how they begin."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return f"{len(data):,} bytes {data[:16].hex()}{'...' if len(data) > 16 else ''}"
    return text or "0 bytes"


def _leaf_json(seq: int, leaf: "Leaf") -> dict[str, object]:
    return {
        "batch": str(leaf.batch),
        "kind": leaf.kind,
        "seq": seq,
        "subject": leaf.subject,
        "time_ns": leaf.time_ns,
    }


def _time(time_ns: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_ns // 10**9, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns"
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _ending(subject: str) -> str:
    return subject if len(subject) <= 40 else f"...{subject[-37:]}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
