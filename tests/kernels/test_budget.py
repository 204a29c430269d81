"""An examination ends when its time is used up, and what it did not get to is never called good."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from ring0.budget import Budget
from ring0.examination import Depth, Examination, examine
from ring0.host import Host
from ring0.verdicts import Verdicts
from ring2_orchestrator.commands import main
from ring2_orchestrator.kernels import KernelSet

FEW = Depth(cases=12, lengths=9, long=False)


def budget(questions: float) -> Budget:
    """One whose time is over when it has been asked so often."""
    ticks = itertools.count()
    return Budget(questions, clock=lambda: next(ticks))


def untried(examination: Examination) -> list[str]:
    return [check.name for check in examination.checks if not check.tried]


@pytest.mark.parametrize("questions", [1, 2, 3, 40, 150, 300])
def test_what_there_was_no_time_for_is_neither_good_nor_bad(
    kernels: KernelSet, host: Host, questions: int
) -> None:
    examination = examine(kernels.by_name("zigzag").wasm, host, depth=FEW, budget=budget(questions))
    assert not examination.passed
    assert not examination.tried
    for check in examination.checks:
        assert check.passed == check.tried, check
        assert check.tried or "not tried: the time was used up" in check.sentence


def test_with_more_time_more_is_tried(kernels: KernelSet, host: Host) -> None:
    wasm = kernels.by_name("zigzag").wasm
    left = [
        len(untried(examine(wasm, host, depth=FEW, budget=budget(questions))))
        for questions in (1, 60, 300, 1e9)
    ]
    assert left == sorted(left, reverse=True)
    assert (left[0], left[-1]) == (6, 0)


def test_only_whole_examinations_are_remembered(
    kernels: KernelSet, host: Host, tmp_path: Path
) -> None:
    verdicts, kernel = Verdicts(tmp_path / "verdicts"), kernels.by_name("zigzag")
    assert not verdicts.examine(kernel.wasm, host, depth=FEW, budget=budget(50)).passed
    assert verdicts.find(kernel.cid, FEW) is None
    assert verdicts.examine(kernel.wasm, host, depth=FEW).passed
    assert verdicts.find(kernel.cid, FEW) is not None


def test_the_command_says_so_and_adds_nothing(
    kernels: KernelSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, home = tmp_path / "zigzag.wasm", ["--home", str(tmp_path / "home")]
    path.write_bytes(kernels.by_name("zigzag").wasm)
    for verb in ("check", "add"):
        assert main([*home, "kernel", verb, str(path), "--budget", "0.000001"]) == 1
        out = capsys.readouterr().out
        assert "--  round trip" in out
        assert "neither a kernel nor refused" in out
        assert "--budget gives it more" in out
    for seconds in ("0", "-1", "nan", "inf", "soon"):
        assert main([*home, "kernel", "check", str(path), "--budget", seconds]) == 2
        assert "--budget" in capsys.readouterr().err


NO_ADDRESSES = """
import resource, sys
from ring2_orchestrator.commands import main

resource.setrlimit(resource.RLIMIT_AS, (1 << 32, resource.RLIM_INFINITY))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
def test_a_machine_without_addresses_refuses_no_module(kernels: KernelSet, tmp_path: Path) -> None:
    path, home = tmp_path / "zigzag.wasm", tmp_path / "home"
    path.write_bytes(kernels.by_name("zigzag").wasm)
    words = ["--home", str(home), "kernel", "check", "--no-engines", "--cases", "5", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", NO_ADDRESSES, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "lacks address space" in done.stderr
    assert "refused" not in done.stdout
    assert not (home / "ledger").exists()
