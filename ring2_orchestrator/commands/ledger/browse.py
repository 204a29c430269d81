"""The verbs of `redoxa ledger` that look at entries, now and as they were."""

import argparse
import base64
import math
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from cid_store.cid import Cid
from cid_store.encoding import Node
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.ledger.words import (
    ending,
    entries_text,
    head_json,
    leaf_json,
    leaf_lines,
    time_ns,
    time_text,
)

if TYPE_CHECKING:
    from ring2_orchestrator.ledger import Batch, Ledger

SUMMARIES: Mapping[str, str] = {
    "log": "list the newest entries",
    "show": "print one batch with its entries, or the ledger as it was",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    log = verbs["log"]
    log.add_argument("-n", "--count", type=_count, default=20, help="how many (default: 20)")
    log.add_argument("--kind", help="only entries of this kind, such as run")
    log.add_argument("--subject", help="only entries about this subject")
    log.add_argument("--since", type=time_ns, metavar="TIME", help="only entries from then on")
    log.add_argument("--until", type=time_ns, metavar="TIME", help="only entries from before then")
    show = verbs["show"].add_mutually_exclusive_group(required=True)
    show.add_argument("seq", type=int, nargs="?", metavar="SEQ", help="the entry's number")
    show.add_argument(
        "--at",
        type=_place,
        metavar="WHEN",
        help="the ledger as it was after the entry of that number, or at that time: its "
        "checkpoint, and the newest entry about each subject",
    )


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if number < 0:
        raise argparse.ArgumentTypeError("a count is not negative")
    return number


class _Time(int):
    """Nanoseconds since 1970, so that a time is not taken for an entry's number."""


def _place(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else _Time(time_ns(text))


def _log(args: argparse.Namespace, context: Context) -> int:
    with context.open_home(to_read=True) as home:
        found = (
            (seq, leaf)
            for seq, leaf in home.ledger.leaves(args.kind, args.subject, newest_first=True)
            if (args.since is None or args.since <= leaf.time_ns)
            and (args.until is None or leaf.time_ns < args.until)
        )
        leaves = list(islice(found, args.count))
        size = len(home.ledger)
    context.report.data({"entries": [leaf_json(seq, leaf) for seq, leaf in leaves], "size": size})
    if not leaves:
        if not context.report.json:
            context.report.say("no such entry in the ledger")
        return 0
    context.report.table(
        ["entry", "time (UTC)", "kind", "subject", "batch"],
        [
            [seq, time_text(leaf.time_ns), leaf.kind, ending(leaf.subject), leaf.batch.short]
            for seq, leaf in leaves
        ],
    )
    return 0


def _show(args: argparse.Namespace, context: Context) -> int:
    with context.open_home(to_read=True) as home:
        if args.seq is not None:
            _show_batch(home.ledger.read(args.seq), context)
        else:
            _show_past(home.ledger, args.at, context)
    return 0


def _show_batch(batch: "Batch", context: Context) -> None:
    from ring2_orchestrator.ledger import Leaf  # noqa: PLC0415 - start-up is performance

    leaf = Leaf(batch.cid, batch.kind, batch.subject, batch.time_ns)
    entries = [plain(entry) for entry in batch.entries]
    context.report.data({**leaf_json(batch.seq, leaf), "entries": entries})
    for line in leaf_lines(batch.seq, leaf):
        context.report.line(line)
    for number, entry in enumerate(batch.entries):
        context.report.line()
        context.report.line(f"[{number}]")
        for line in _outline(entry, 1):
            context.report.line(line)


def _show_past(ledger: "Ledger", at: int, context: Context) -> None:
    from ring2_orchestrator.ledger import past  # noqa: PLC0415 - start-up is performance

    size, set_back = past.beginning_at(ledger, at) if isinstance(at, _Time) else (at + 1, 0)
    head = ledger.head_at(size)
    states = past.newest_of_each(ledger, head.size)
    verdicts = [_verdict(ledger.read(seq)) for seq, _ in states]
    subjects = [
        {**leaf_json(seq, leaf), "verdict": verdict}
        for (seq, leaf), verdict in zip(states, verdicts, strict=True)
    ]
    checkpoint = {**head_json(head), "text": head.text}
    context.report.data({"checkpoint": checkpoint, "set_back": set_back, "states": subjects})
    if set_back and not context.report.json:
        context.report.warn(
            f"{entries_text(set_back)} after these {size:,} are dated before that time, too, as a "
            "clock was set; entries keep their order, and `--at SEQ` shows the ledger after any"
        )
    context.report.line(f"the ledger as it was with {entries_text(head.size)}; its checkpoint:")
    for line in head.text.splitlines():
        context.report.line(f"    {line}")
    if states:
        context.report.line()
        context.report.table(
            ["entry", "time (UTC)", "kind", "subject", "verdict"],
            [
                [seq, time_text(leaf.time_ns), leaf.kind, ending(leaf.subject), verdict]
                for (seq, leaf), verdict in zip(states, verdicts, strict=True)
            ],
        )


def _verdict(batch: "Batch") -> str | None:
    """How a run ended; other kinds of batches have no verdict."""
    match batch.entries:
        case ({"verdict": str(verdict)}, *_):
            return verdict
        case ({"outcome": {"verdict": str(verdict)}}, *_):
            return verdict
        case _:
            return None


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


VERBS: Mapping[str, Callable[[argparse.Namespace, Context], int]] = {"log": _log, "show": _show}
