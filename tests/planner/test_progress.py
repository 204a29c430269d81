"""Whoever waits is told of the best so far, and a budget bounds the search."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ring2_orchestrator.commands import main
from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import FAST, library_gene, propose
from ring2_orchestrator.report import Report
from ring2_orchestrator.toolbox import Toolbox

STEPS = np.random.default_rng(5).integers(-20, 21, 1500)
SAMPLES = (np.cumsum(STEPS) + 9000).astype("<u2").tobytes()


def test_the_best_so_far_is_told_as_it_is_found(tools: Toolbox) -> None:
    notes: list[str] = []

    def advance(amount: float = 1, note: str | None = None) -> None:
        if note is not None:
            notes.append(note)

    genes = [library_gene(name, tools.palette) for name in ("bytes", "series_u16")]
    packed = pack(BytesSource(SAMPLES), io.BytesIO(), genes, tools, advance=advance)
    told = [re.fullmatch(r"best so far ([\d,]+) bytes, ratio [\d.]+, (\w+)", n) for n in notes]
    sizes = [int(each[1].replace(",", "")) for each in told if each]
    assert sizes
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == packed.container_bytes


def test_planning_tells_the_best_that_it_proposes(tools: Toolbox) -> None:
    notes: list[str] = []

    def advance(amount: float = 1, note: str | None = None) -> None:
        assert not amount, "planning covers no bytes"
        notes.append(note or "")

    genes = [library_gene("series_u16", tools.palette)]
    profile = replace(FAST, search_fuel=0)
    found = propose(
        BytesSource(SAMPLES), genes, tools.packer, tools.kernels, profile, advance=advance
    )
    assert notes[-1].startswith(f"best so far {found[0].expected_bytes:,} bytes")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_that_comes_late_says_what_was_told_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    moments = iter([0.0, 0.5])
    terminal = _Terminal()
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: next(moments))
        with Report(err=terminal).progress("packing x", total=9, after_s=1.0) as advance:
            advance(0, "best so far")
            assert terminal.getvalue() == ""
            patch.undo()  # by the true clock it is late
            advance(3)
    assert "best so far" in terminal.getvalue()


def test_a_search_within_a_budget_says_nothing_where_nobody_watches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "samples.i16"
    path.write_bytes(SAMPLES)
    assert main(["gene", "search", str(path), "--budget", "0", "--json"]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert json.loads(told.out)["found"][0]["expected_bytes"] < len(SAMPLES)


@pytest.mark.parametrize("budget", ["-1", "x", "1_0", "1e3", "10000000001"])
@pytest.mark.parametrize("words", [["gene", "search"], ["pack"]])
def test_a_budget_that_is_no_number_is_refused(
    words: list[str], budget: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "any.bin", f"--budget={budget}"]) == 2
    assert "is not a number from 0 to 1,000,000,000" in capsys.readouterr().err
