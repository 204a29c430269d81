"""Stopped at any moment, by a signal or by a power cut, a home keeps all that it acknowledged.

Puts, batches, streams, roots and ledger entries from several threads and processes, while garbage
is collected.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import stopped
from tests.faults.promises import Promises, Tally

Record = Callable[[str, object], None]
BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"
KILLS = 60 if BOUNDED else 1_000
CUTS = 12 if BOUNDED else 300


def test_a_worker_that_opens_no_home_is_heard_unless_its_disk_was_gone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.touch()  # no folder, while its disk is as well as ever
    began_ns = time.monotonic_ns()
    worker = stopped.Worker(home, "0", 0)
    worker.wait_until_open()
    for cut_ns, broken in ((None, 1), (time.monotonic_ns(), 1), (began_ns, 0)):
        tally = Tally()
        Promises(tally).hear(worker.kill(cut_ns=cut_ns))
        assert len(tally.broken) == broken


@pytest.mark.slow
def test_killed_workers_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    tally = stopped.killed(tmp_path, 4, seed=1)
    assert tally.broken == []
    assert tally.counts["stop"] >= 4


@pytest.mark.long
def test_a_thousand_killed_workers_lose_nothing(
    tmp_path: Path, record_testsuite_property: Record
) -> None:
    tally = stopped.killed(tmp_path, KILLS, seed=2)
    record_testsuite_property("killed workers", str(tally))
    assert tally.broken == []
    assert tally.counts["put"] > KILLS


@pytest.mark.long
def test_a_power_cut_loses_nothing_that_was_acknowledged(record_testsuite_property: Record) -> None:
    if reason := stopped.why_no_power_cut():
        pytest.skip(reason)
    *_, tally = stopped.cut(CUTS, seed=3)
    record_testsuite_property("power cuts", str(tally))
    assert tally.broken == []
    assert tally.counts["put"] > CUTS


@pytest.mark.long
def test_a_disk_that_nobody_waits_for_loses_what_it_acknowledged() -> None:
    """The control: a cut that broke no promise here would say nothing above."""
    if reason := stopped.why_no_power_cut():
        pytest.skip(reason)
    assert any(tally.broken for tally in stopped.cut(12, seed=4, syncs=False))
