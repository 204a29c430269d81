"""What the local page is told: the answers of other commands, made fit for a screen."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.commands import system_text
from ring2_orchestrator.commands._jit_known import known_of, ledger_of
from ring2_orchestrator.commands._jit_status import drawn_of, head_of, last_action_of, tiers_of
from ring2_orchestrator.commands._runs import command_text, outcome_of
from ring2_orchestrator.commands._view_run import entry_value
from ring2_orchestrator.report import one_line
from ring2_orchestrator.runs.past import LostRun, Run, Withdrawals, runs_at
from ring2_orchestrator.runs.result import LEDGER_KIND, WITHDRAWAL_KIND
from ring2_orchestrator.viewing.server import Answer, Query, answer_bytes, answer_json

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.ledger.leaf import Leaf

MOST_SHOWN = 20_000  # entries of the time line: of more, the newest
_MOST_AT_ONCE = 5_000
_MOST_LETTERS = 80


class Answers:
    """Everything the page asks for; one request at a time, as all of them read the same home."""

    def __init__(
        self,
        home: "Home",
        containers: Sequence[Path] = (),
        *,
        kernels: Callable[[], Sequence[bytes]] | None = None,
    ) -> None:
        """Answers from a home; with `kernels` the browser decodes with these modules."""
        self._home = home
        self._containers = containers
        self._kernels = kernels or _shipped
        self._turn = threading.Lock()
        self._line = _Line(home)
        self._known: Withdrawals | None = None
        self._made: Mapping[str, Callable[[Query], object]] = {
            "/api/home": self._home_value,
            "/api/entries": self._entries,
            "/api/entry": self._entry,
            "/api/store": self._store,
            "/api/forecasts": self._forecasts,
        }

    def __call__(self, path: str, query: Query) -> Answer | None:
        """The answer for a path; None where there is none. Raises RedoxaError."""
        if path.startswith("/containers/"):
            return self._container(path.removeprefix("/containers/"))
        make = self._made.get(path)
        if make is None and path != "/kernels":
            return None
        with self._turn:
            if make is not None:
                return answer_json(make(query))
            return answer_bytes("application/octet-stream", _framed(self._kernels()))

    def _home_value(self, query: Query) -> object:
        del query
        first, size = self._line.bounds()
        return {
            "containers": [one_line(file.name) for file in self._containers],
            "entries": size - first,
            "first": first,
            "home": one_line(_short(self._home.path)),
            "ledger": head_of(self._home) if self._home.has_ledger else {"size": 0},
        }

    def _entries(self, query: Query) -> object:
        first, size = self._line.bounds()
        end = min(_number(query, "before", size), size)
        begin = max(end - min(_number(query, "count", 200), _MOST_AT_ONCE), first)
        return {"entries": list(self._rows(self._line.entries(begin, end)))}

    def _rows(self, entries: "Sequence[tuple[int, Leaf]]") -> Iterator[dict[str, object]]:
        of_runs = [(seq, leaf) for seq, leaf in entries if leaf.kind == LEDGER_KIND]
        if self._known is None or any(leaf.kind == WITHDRAWAL_KIND for _, leaf in entries):
            self._known = Withdrawals(self._home.ledger)
        found = {run.seq: run for run in runs_at(self._home, of_runs)} if of_runs else {}
        for seq, leaf in entries:
            row: dict[str, object] = {
                "seq": seq,
                "kind": leaf.kind,
                "ms": leaf.time_ns // 10**6,
                "text": one_line(leaf.subject[:_MOST_LETTERS]),
            }
            run = found.get(seq)
            if run is not None:
                row |= self._run_row(run)
            yield row

    def _run_row(self, run: Run | LostRun) -> dict[str, object]:
        if isinstance(run, LostRun):
            return {"outcome": "lost", "text": f"{run.id[:10]}: its batch cannot be read"}
        assert self._known is not None, "it was made before the first row"
        doubts = run.doubts or self._known.about(run)
        row: dict[str, object] = {
            "id": run.short,
            "outcome": one_line(outcome_of(run, doubts)[:30]),
            "exit": run.exit_code,
            "wall": run.wall_s,
            "saved": run.saved_s,
            "text": command_text(run.command),
        }
        if doubts:
            row["doubt"] = one_line(doubts[0][1][:300])
        return row

    def _entry(self, query: Query) -> object:
        return entry_value(self._home, _number(query, "seq", 0))

    def _store(self, query: Query) -> object:
        del query
        tiers = tiers_of(self._home)
        if tiers is None:
            raise InputError("the store cannot be read; `redoxa store verify` says why")
        stat, census = self._home.store.stat(), self._home.store.census()
        return {
            "tiers": tiers,
            "stat": stat._asdict(),
            "in_chunks": census.in_chunks,
            "codecs": {
                codec.name.lower(): {"objects": objects, "bytes": size}
                for codec, (objects, size) in census.codecs.items()
            },
        }

    def _forecasts(self, query: Query) -> object:
        from ring2_orchestrator.ce1 import answer  # noqa: PLC0415 - only for this
        from ring2_orchestrator.ce1.outlook import Mood  # noqa: PLC0415
        from ring2_orchestrator.ce1.standing import standing_of  # noqa: PLC0415

        del query
        known = known_of(self._home)
        whole = known.learned.whole
        mood = Mood(whole.history, point=whole.prior, doubts=known.doubts)
        facts: dict[str, object] = {"subjects": whole.subjects}
        standing = standing_of(known.learned.learner)
        action = last_action_of(self._home, whole.acted)
        drawn = drawn_of(self._home)
        return {
            **answer.status(mood, standing, facts, action),
            "history": [
                {
                    "wall": each.run.wall_s,
                    "saved": each.run.saved_s,
                    "exit": each.run.exit_code,
                    "losses": dict(each.losses),
                }
                for each in drawn
            ],
        }

    def _container(self, text: str) -> Answer | None:
        places = {str(at): file for at, file in enumerate(self._containers)}
        if text not in places:
            return None
        try:
            file = places[text].open("rb")
        except OSError as error:
            raise InputError(system_text(error)) from error
        return Answer("application/octet-stream", file, os.fstat(file.fileno()).st_size)


class _Line:
    """The newest entries of a ledger, read as far back as somebody looked, and on as it grows."""

    def __init__(self, home: "Home") -> None:
        self._home = home
        self._size = 0
        self._entries: deque[tuple[int, Leaf]] = deque()  # the newest first
        self._older: Iterator[tuple[int, Leaf]] = iter(())

    def bounds(self) -> tuple[int, int]:
        """Which entries are shown: from the first up to, and without, the second."""
        ledger = ledger_of(self._home) if self._home.has_ledger else None
        size = 0 if ledger is None else len(ledger)
        return max(size - MOST_SHOWN, 0), size

    def entries(self, begin: int, end: int) -> "list[tuple[int, Leaf]]":
        """Place and leaf of these, the newest first. Raises RedoxaError."""
        if begin >= end:
            return []
        self._read_on()
        missing = max(self._size - begin - len(self._entries), 0)
        self._entries.extend(islice(self._older, missing))
        first = self._size - end
        return list(islice(self._entries, first, first + end - begin))

    def _read_on(self) -> None:
        ledger = self._home.ledger
        leaves = ledger.leaves(newest_first=True)
        if not self._size:
            self._older, self._size = leaves, len(ledger)
        newest = takewhile(lambda entry: entry[0] >= self._size, leaves)
        new = list(newest) if len(ledger) > self._size else []
        self._entries.extendleft(reversed(new))
        self._size += len(new)
        while len(self._entries) > MOST_SHOWN:
            self._entries.pop()


def _short(path: Path) -> str:
    """A path as a person would type it, who lives where `~` is."""
    own = os.environ.get("HOME")
    if own and path.is_relative_to(own):
        return os.path.join("~", path.relative_to(own))  # noqa: PTH118 - it is only shown
    return str(path)


def _shipped() -> Sequence[bytes]:
    from ring2_orchestrator.kernels import KernelSet  # noqa: PLC0415 - only who verifies pays

    return [kernel.wasm for kernel in KernelSet.shipped()]


def _framed(modules: Sequence[bytes]) -> bytes:
    """Modules one after the other, each behind its length in four bytes."""
    return b"".join(len(module).to_bytes(4, "little") + module for module in modules)


def _number(query: Query, name: str, missing: int) -> int:
    text = query.get(name)
    if text is None:
        return missing
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise UsageError(f"{name}={text[:40]!r} is not a number")
    return int(text)
