"""List the runs in the ledger, newest first: when, how they ended, what they took and saved.

With words, only runs whose command holds these words one after the other; a program or a script
may be named without its folder.
"""

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from cid_store.errors import DamageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._runs import (
    command_text,
    outcome_part,
    run_json,
    signed_seconds,
)
from ring2_orchestrator.commands.ledger.words import time_ns, time_text

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.ledger.leaf import Leaf
    from ring2_orchestrator.report import Report
    from ring2_orchestrator.runs.past import Doubts, LostRun, Run

EXAMPLES: Sequence[str] = (
    "redoxa log",
    "redoxa log clean.py",
    "redoxa log -n 5 -- make -j2",
    "redoxa log --failed --since 2h",
    "redoxa log --all --json",
)
SCHEMA = "redoxa.log/1"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(rf"([0-9]{{1,9}})({'|'.join(_UNITS_S)})")
_INDENT = " " * 23


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, and how many."""
    parser.add_argument("-n", "--count", type=_count, default=20, help="how many (default: 20)")
    parser.add_argument("--all", action="store_true", help="all of them, however many")
    parser.add_argument(
        "--failed", action="store_true", help="only runs that ended with another exit code than 0"
    )
    parser.add_argument(
        "--since",
        type=_since,
        metavar="WHEN",
        help="only runs from then on: a time (UTC), or 30m, 2h, 3d, 1w ago",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="words that the command holds; after -- they may begin with a dash",
    )


class _Ago(int):
    """Nanoseconds before now, so that they are not taken for a time."""


def _since(text: str) -> int:
    ago = _AGO.fullmatch(text)
    return _Ago(int(ago[1]) * _UNITS_S[ago[2]] * 10**9) if ago else time_ns(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def run(args: argparse.Namespace, context: Context) -> int:
    """List them; a run that cannot be read is told at the end, as damage."""
    from ring2_orchestrator.runs.past import LostRun, Withdrawals  # noqa: PLC0415 - start-up

    lost: list[LostRun] = []
    told: list[dict[str, object]] = []
    with context.open_home(to_read=True) as home, context.report.paged():
        listing = _Listing(context.report)
        known: Withdrawals | None = None
        for each in islice(_chosen(home, args), None if args.all else args.count):
            if isinstance(each, LostRun):
                lost.append(each)
                listing.lost(each)
                continue
            known = known or Withdrawals(home.ledger)
            doubts = each.doubts or known.about(each)
            if context.report.json:
                told.append(run_json(each, doubts))
            listing.run(each, doubts)
    context.report.data(
        {
            "lost": [{"entry": at.seq, "id": at.id, "time_ns": at.time_ns} for at in lost],
            "runs": told,
            "schema": SCHEMA,
        }
    )
    if lost:
        many = f"{len(lost):,} of these runs are lost: their batches"
        what = "1 of these runs is lost: its batch" if len(lost) == 1 else many
        raise DamageError(f"{what} cannot be read; `redoxa ledger verify` says why")
    if listing.empty and not context.report.json:
        context.report.say("no such run in the ledger")
    return 0


def _chosen(home: "Home", args: argparse.Namespace) -> "Iterator[Run | LostRun]":
    from ring2_orchestrator.runs.past import LostRun, runs  # noqa: PLC0415 - start-up

    since = args.since
    if isinstance(since, _Ago):
        since = home.clock.now_ns() - since

    def wanted(leaf: "Leaf") -> bool:
        # A clock may have been set back between two runs, so an older one is no end.
        return since is None or leaf.time_ns >= since

    for each in runs(home, wanted=wanted):
        if isinstance(each, LostRun):
            # It may be one of those asked for.
            yield each
        elif (each.exit_code or not args.failed) and _holds(each.command, args.words):
            yield each


def _holds(command: Sequence[bytes], words: Sequence[str]) -> bool:
    """Whether the command holds the words one after the other."""
    if not words:
        return True
    first, *others = (os.fsencode(word).removeprefix(b"./") for word in words)
    return any(
        word.removeprefix(b"./") == first or word.endswith(b"/" + first)
        for at, word in enumerate(command)
        if list(command[at + 1 : at + len(words)]) == others
    )


class _Listing:
    """The lines for a person, with headings before the first."""

    def __init__(self, report: "Report") -> None:
        self._report = report
        self.empty = True

    def run(self, run: "Run", doubts: "Doubts") -> None:
        """One run, and below it why it is not reusable."""
        word, style = outcome_part(run, doubts)
        saved = signed_seconds(run.saved_s) if run.verdict == "reused" else ""
        self._row(
            (f"{time_text(run.time_ns)}  ", "dim"),
            (f"{run.short}  ", None),
            (f"{word[:30]:<12}  ", style),
            (f"{signed_seconds(run.wall_s):>10}  {saved:>10}  ", None),
            (command_text(run.command), None),
        )
        if doubts:
            first, others = doubts[0][1], len(doubts) - 1
            more = f" and {others} more" if others else ""
            self._report.parts((f"{_INDENT}not reusable: {first}{more}", "dim"))

    def lost(self, run: "LostRun") -> None:
        """A run of which nothing but its place is known."""
        self._row(
            (f"{time_text(run.time_ns)}  ", "dim"), (f"{run.id[:10]}  ", None), ("lost", "bad")
        )

    def _row(self, *parts: tuple[str, str | None]) -> None:
        if self.empty:
            head = f"{'time (UTC)':<19}  {'run':<10}  {'outcome':<12}  {'took':>10}  {'saved':>10}"
            self._report.parts((f"{head}  command", "head"))
        self.empty = False
        self._report.parts(*parts)
