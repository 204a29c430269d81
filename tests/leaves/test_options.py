"""Where --leaves can keep nothing, it says so, and spoils no run."""

import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.policy import Policy
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.leaves.masquerade import with_leaves
from tests.leaves.conftest import Works
from tests.runs.desk import unheard


def test_without_a_compiler_there_is_nothing_to_wrap(works: Works, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    works.env["PATH"] = str(tmp_path / "empty")
    done = works.typed("/bin/true")
    assert done.returncode == 125
    assert b"no C, C++ or Rust compiler is on PATH" in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", [["--", "make"], ["--dry-run", "--", "make"], ["--scripts", "."]])
def test_a_recorded_network_and_leaves_do_not_go_together(tmp_path: Path, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "redoxa", "run", "--leaves", "--net=replay", *words],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"leave one of them out" in done.stderr


def test_a_wrapper_in_a_networked_run_is_the_compiler_alone(works: Works) -> None:
    """The run's own proxy stands in its variables, which are others each time."""
    with Home(works.home) as home, unheard() as stdin:
        result = execute(
            ["gcc", "-Ilate", "-c", "one.c"],
            home=home,
            cwd=works.project,
            env=with_leaves(works.env),
            stdin=stdin,
            network=Policy("replay", Hosts([])),
        )
    assert result.published, result.doubts
    with Home(works.home) as home:
        assert len(list(home.ledger.batches())) == 1
