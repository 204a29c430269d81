"""Say what changed between two runs: command, surroundings, inputs, outputs, exit code and costs.

The exit code is 0 where nothing but time and memory differs, and 1 where something does.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cid_store.errors import InputError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._runs import (
    RUN_HELP,
    command_text,
    outcome_part,
    run_json,
    signed_seconds,
    typed,
)
from ring2_orchestrator.commands.ledger.words import time_text
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from cid_store.cid import Cid
    from cid_store.store import Store
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.report import Report
    from ring2_orchestrator.runs.differ import Difference, PathChange, Thing
    from ring2_orchestrator.runs.past import Run
    from ring2_orchestrator.runs.trace import Trace

EXAMPLES: Sequence[str] = (
    "redoxa diff @~1 @",
    "redoxa diff -u 5f3a09 @",
    "redoxa diff --all --json @~5 @17",
)
SCHEMA = "redoxa.diff/1"
_MOST_SHOWN = 20
_MOST_NAMES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two runs."""
    parser.add_argument("was", metavar="RUN", help=RUN_HELP)
    parser.add_argument("now", metavar="RUN", help="the run to compare with it, named alike")
    parser.add_argument("--all", action="store_true", help=f"name every path, not {_MOST_SHOWN}")
    parser.add_argument(
        "-u",
        "--unified",
        action="store_true",
        help="show how small texts differ, where the store has both",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Compare them; 0 where they are the same, 1 where they differ."""
    from ring2_orchestrator.runs.differ import difference  # noqa: PLC0415 - start-up
    from ring2_orchestrator.runs.past import Withdrawals  # noqa: PLC0415
    from ring2_orchestrator.runs.which import find_run  # noqa: PLC0415

    with context.open_home(to_read=True) as home:
        was, now = (find_run(home, text) for text in (args.was, args.now))
        known = Withdrawals(home.ledger)
        was, now = (each._replace(doubts=each.doubts or known.about(each)) for each in (was, now))
        found = difference(was, now, _traces(home, was, now))
        context.report.data(_as_json(found, home.store, unified=args.unified))
        with context.report.paged():
            teller = _Teller(context.report, home.store, everything=args.all, unified=args.unified)
            teller.tell(found)
    if not found.compared and not found.parts:
        kept = was if was.trace is None else now
        raise InputError(
            f"run {kept.short} has no trace, so what it saw and left cannot be compared; "
            "only runs that are reusable have one"
        )
    return 1 if found.parts else 0


def _traces(home: "Home", was: "Run", now: "Run") -> "tuple[Trace, Trace] | None":
    from ring2_orchestrator.runs.past import trace_of  # noqa: PLC0415 - start-up

    if was.trace is None or now.trace is None:
        return None
    old = trace_of(home, was)
    return old, old if was.trace == now.trace else trace_of(home, now)


class _Teller:
    """The answer for a person."""

    def __init__(
        self, report: "Report", store: "Store", *, everything: bool, unified: bool
    ) -> None:
        self._report = report
        self._store = store
        self._everything = everything
        self._unified = unified

    def tell(self, found: "Difference") -> None:
        """All of it, the runs first and their costs last."""
        for sign, each in (("-", found.was), ("+", found.now)):
            self._run(sign, each)
        if found.was.command != found.now.command:
            self._one("command", command_text(found.was.command), command_text(found.now.command))
        for change in found.surroundings:
            self._one(change.path, change.was, change.now)
        self._paths("inputs", found.inputs, found.totals[0])
        self._paths("outputs", found.outputs, found.totals[1])
        if found.was.exit_code != found.now.exit_code:
            self._one("exit code", str(found.was.exit_code), str(found.now.exit_code))
        if found.was.doubts != found.now.doubts:
            self._one("doubts", *(_doubts(each) for each in (found.was, found.now)))
        if found.printed[0] != found.printed[1]:
            self._one("printed", *(_printed(cid, self._store) for cid in found.printed))
            self._text(*found.printed)
        if not found.parts and found.compared:
            self._report.line("the same but for time and memory")
        if not found.compared:
            self._report.line("inputs, outputs: not compared, as only reusable runs have a trace")
        self._costs(found.was, found.now)

    def _run(self, sign: str, run: "Run") -> None:
        self._report.parts(
            (f"{sign} {run.short}  ", "bad" if sign == "-" else "good"),
            (f"{time_text(run.time_ns)}  ", "dim"),
            (f"{outcome_part(run, run.doubts)[0]}  ", None),
            (command_text(run.command), None),
        )

    def _one(self, name: str, was: str, now: str) -> None:
        self._report.parts((f"{name}: ", "head"), (f"{was} -> {now}", None))

    def _paths(self, name: str, changes: "Sequence[PathChange]", total: int) -> None:
        from ring2_orchestrator.runs.differ import counted  # noqa: PLC0415 - start-up

        if not changes:
            return
        parts = [f"{number:,} {word}" for word, number in counted(changes).items() if number]
        self._report.parts((f"{name}: ", "head"), (f"{', '.join(parts)} of {total:,}", None))
        # What changed tells most; what only one of them looked for tells least.
        ordered = sorted(changes, key=_weight)
        shown = ordered if self._everything else ordered[:_MOST_SHOWN]
        for change in shown:
            self._report.line(f"  {change.word:<8} {typed(change.path)}: {self._said(change)}")
            if change.was is not None and change.now is not None:
                self._text(change.was.cid, change.now.cid)
        if len(shown) < len(changes):
            self._report.line(f"  and {len(changes) - len(shown):,} more; --all names them")

    def _said(self, change: "PathChange") -> str:
        from ring2_orchestrator.runs.differ import names_changed  # noqa: PLC0415 - start-up

        if change.was is None or change.now is None:
            only = change.now or change.was
            assert only is not None, "one of them has it"
            return _thing(only)
        names = names_changed(change, self._store)
        if names is not None:
            words = zip(("new", "gone"), names, strict=True)
            parts = [f"{word}: {_some(these)}" for word, these in words if these]
            if change.was.mode != change.now.mode:
                parts.append(f"mode {change.was.mode:04o} -> {change.now.mode:04o}")
            return "; ".join(parts) or "another type of some entry"
        was, now = _thing(change.was), _thing(change.now)
        if was == now and change.was.mode != change.now.mode:
            return f"mode {change.was.mode:04o} -> {change.now.mode:04o}"
        if was == now:  # kinds of which no content can be named
            timed = change.was.what == "file with its time"
            return f"{was}, other content" + (" or another time" if timed else "")
        return f"{was} -> {now}"

    def _text(self, was: "Cid | None", now: "Cid | None") -> None:
        from ring2_orchestrator.runs.differ import text_difference  # noqa: PLC0415 - start-up

        if not self._unified or was == now:
            return
        lines = text_difference(was, now, self._store)
        for line in lines or ():
            self._report.text(f"    {line}")

    def _costs(self, was: "Run", now: "Run") -> None:
        costs = [
            f"took {signed_seconds(was.wall_s)} -> {signed_seconds(now.wall_s)}",
            f"processor {signed_seconds(was.cpu_s)} -> {signed_seconds(now.cpu_s)}",
            f"memory {size_text(was.max_rss_bytes)} -> {size_text(now.max_rss_bytes)}",
        ]
        self._report.parts((", ".join(costs), "dim"))


def _weight(change: "PathChange") -> tuple[bool, bool, str, bool, bytes]:
    missing = change.was is None and change.now is not None and change.now.what == "missing"
    gone = change.now is None and change.was is not None and change.was.what == "missing"
    listing = change.now is not None and change.now.what == "listing"
    order = {"changed": "1", "added": "2", "gone": "3"}
    outside = change.path.startswith(b"/")
    return missing or gone, outside, order[change.word], listing, change.path


def _thing(thing: "Thing") -> str:
    if thing.target is not None:
        return f"{thing.what} to {typed(thing.target)}"
    content = "" if thing.cid is None or thing.what == "listing" else f" …{thing.cid.short}"
    also = "" if thing.link_to is None else f", also {typed(thing.link_to)}"
    return f"{thing.what}{content}{also}"


def _some(names: Sequence[bytes]) -> str:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(typed(name) for name in names[:_MOST_NAMES]) + more


def _doubts(run: "Run") -> str:
    return "; ".join(detail for _, detail in run.doubts) or "none"


def _printed(cid: "Cid | None", store: "Store") -> str:
    if cid is None:
        return "nothing"
    return f"{size_text(store.size(cid))} …{cid.short}" if store.has(cid) else f"…{cid.short}, lost"


def _as_json(found: "Difference", store: "Store", *, unified: bool) -> dict[str, object]:
    return {
        "changed": list(found.parts),
        "compared": found.compared,
        "inputs": list(_changes_json(found.inputs, store, unified=unified)),
        "now": run_json(found.now, found.now.doubts),
        "outputs": list(_changes_json(found.outputs, store, unified=unified)),
        "printed": {
            "diff": _diff_json(*found.printed, store, unified=unified),
            "now": _cid(found.printed[1]),
            "was": _cid(found.printed[0]),
        },
        "same": found.compared and not found.parts,
        "schema": SCHEMA,
        "surroundings": [change._asdict() for change in found.surroundings],
        "was": run_json(found.was, found.was.doubts),
    }


def _changes_json(
    changes: "Sequence[PathChange]", store: "Store", *, unified: bool
) -> Iterator[dict[str, object]]:
    for change in changes:
        both = change.was is not None and change.now is not None
        yield {
            "change": change.word,
            "diff": _diff_json(
                None if change.was is None else change.was.cid,
                None if change.now is None else change.now.cid,
                store,
                unified=unified and both,
            ),
            "now": _thing_json(change.now),
            "path": os.fsdecode(change.path),
            "was": _thing_json(change.was),
        }


def _diff_json(
    was: "Cid | None", now: "Cid | None", store: "Store", *, unified: bool
) -> str | None:
    from ring2_orchestrator.runs.differ import text_difference  # noqa: PLC0415 - start-up

    if not unified or was == now:
        return None
    lines = text_difference(was, now, store)
    return None if lines is None else "\n".join(lines)


def _thing_json(thing: "Thing | None") -> dict[str, object] | None:
    if thing is None:
        return None
    return {
        "cid": _cid(thing.cid),
        "link_to": None if thing.link_to is None else os.fsdecode(thing.link_to),
        "mode": thing.mode,
        "target": None if thing.target is None else os.fsdecode(thing.target),
        "what": thing.what,
    }


def _cid(cid: "Cid | None") -> str | None:
    return None if cid is None else str(cid)
