"""Whatever happens to the files between them, runs give what plain execution would have given.

So many steps as are asked for, each an edit or a run, by chance and with others editing meanwhile:

    REDOXA_STEPS=100000 python -m pytest -s -m long tests/runs/test_model.py

It says how many there were, and how often what happened. With TMPDIR on a disk in memory it is done
several times as fast.
"""

import os
import shutil
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test

from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.shortcuts import folder
from tests.runs.model.meddler import meddler
from tests.runs.model.world import World

INSTALLED = Path(sys.executable).with_name("redoxa-run")
FINDING = (Phase.explicit, Phase.reuse, Phase.generate)
STEPS = int(os.environ.get("REDOXA_STEPS", "10000"))
BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"

pytestmark = pytest.mark.skipif(
    not compiler.can_record(), reason="programs are recorded on Linux only"
)


def play(worlds: int, place: Path, *, exploring: bool = False) -> Counter[str]:
    """So many worlds; how often each thing happened. `place` gets a front end without Python.

    The same worlds every time, unless `exploring`: then by chance, each for longer, and others edit
    during runs.
    """
    World.counts.clear()
    World.findings.clear()
    World.meddles = exploring
    World.front = None
    if INSTALLED.exists():
        World.front = Path(shutil.copy2(INSTALLED, place / "redoxa-run"))
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    with meddler() as World.meddler:
        run_state_machine_as_test(
            World,
            settings=settings(
                max_examples=worlds,
                stateful_step_count=40 if exploring else 10,
                deadline=None,
                derandomize=not exploring,
                suppress_health_check=checks,
                # Making a long case shorter takes longer than finding it: that is for who mends it.
                phases=FINDING if exploring else tuple(Phase),
                print_blob=True,
            ),
        )
    return Counter(World.counts)


def steps(counts: Counter[str]) -> int:
    """How many edits and runs there were."""
    return counts["edits"] + counts["meanwhile"] + counts["runs"]


@pytest.fixture(scope="module", autouse=True)
def _installed_from_these_sources() -> None:
    sources = Path(folder.__file__).parent / "front"
    if INSTALLED.exists() and not compiler.carries(INSTALLED, compiler.digest(sources)):
        pytest.fail("redoxa-run is of older sources; `pip install -e .` renews it")


@pytest.mark.slow
def test_runs_give_what_plain_execution_gives(tmp_path: Path) -> None:
    assert play(4, tmp_path)["reused"] > 0


@pytest.mark.long
def test_runs_give_what_plain_execution_gives_in_many_worlds(tmp_path: Path) -> None:
    counts: Counter[str] = play(40, tmp_path) if BOUNDED else Counter()
    while not BOUNDED and steps(counts) < STEPS:
        # What is drawn by chance among edits by others may not be drawn again; see `findings`.
        with suppress(FlakyStrategyDefinition):
            play(25, tmp_path, exploring=True)
        assert not World.findings, "\n\n".join(World.findings)
        counts += World.counts
        print(f"{steps(counts):,} steps: {dict(counts)}", flush=True)  # noqa: T201 - the figure
    assert counts["reused"] > 0
