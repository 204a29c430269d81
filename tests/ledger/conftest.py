"""Ledgers to break: made quickly, in memory or on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.memory import MemoryStore
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.ledger import Ledger

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_ns=START_NS)


@pytest.fixture
def reopen(tmp_path: Path, store: MemoryStore, clock: ManualClock) -> Callable[[], Ledger]:
    """Opens the same log anew, as another process would."""
    return lambda: Ledger(tmp_path / "ledger", store=store, clock=clock)


@pytest.fixture
def ledger(reopen: Callable[[], Ledger]) -> Ledger:
    return reopen()


@pytest.fixture
def fill() -> Callable[[Ledger, int], None]:
    """Appends batches whose content tells their number."""

    def append_numbers(ledger: Ledger, count: int) -> None:
        for number in range(len(ledger), len(ledger) + count):
            kind = "even" if number % 2 == 0 else "odd"
            ledger.append([{"number": number}], kind=kind, subject=f"subject-{number % 3}")

    return append_numbers
