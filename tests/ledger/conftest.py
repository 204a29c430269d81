"""Ledgers to break: made quickly, in memory or on disk."""

import os
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
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


@pytest.fixture(scope="session")
def unhurried() -> Callable[[], AbstractContextManager[None]]:
    """`with unhurried():` nothing waits for the disk; for long logs whose bytes alone matter."""

    @contextmanager
    def block() -> Generator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fdatasync", os.fstat)
            patch.setattr(os, "fsync", os.fstat)
            yield

    return block
