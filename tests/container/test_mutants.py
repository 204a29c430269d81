"""Mutated containers by the thousand: each gives what it names, or is refused in a sentence."""

import os
import resource
import struct
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from blake3 import blake3

from cid_store.errors import DamageError, UnavailableError
from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.toolbox import Toolbox
from tests.container.conftest import node
from tests.container.mutants import Mutants

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "ring1_kernels"
BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"
MANY, PART, MANY_IN_JAVASCRIPT = (4_000, 4_000, 1_000) if BOUNDED else (100_000, 10_000, 10_000)
# What one block of a container may take, and what Python and the engine keep beside it.
MEMORY_KB = 1 << 20
# A module that is none: one reader says so, and another that nobody allowed it.
MAY_CARRY = ("_divided", "_section_changed")


@dataclass
class Tally:
    """What became of many mutants."""

    verdicts: Counter[str] = field(default_factory=Counter[str])
    slowest: tuple[float, int] = (0.0, -1)

    def __str__(self) -> str:
        return f"{dict(self.verdicts)}, the slowest {self.slowest}"


def mutants(tools: Toolbox) -> Mutants:
    """Mutants of the vectors that this installation's kernels decode."""
    real: list[tuple[bytes, list[int]]] = []
    for path in sorted((HERE / "vectors").glob("*.rdx")):
        blob = path.read_bytes()
        if path.stem.startswith("refused_") or len(blob) > 20_000:
            continue
        try:
            container = Container(BytesSource(blob), tools.kernels, allow_foreign=True)
        except UnavailableError:
            continue
        real.append((blob, [extent.offset for extent in container.extents()]))
    return Mutants(tools, real)


def judge(tools: Toolbox, blob: bytes) -> str:
    """The hash of what it gives, or the exit code of its refusal."""
    try:
        container = Container(BytesSource(blob, "it"), tools.kernels)
        whole = b"".join(container.chunks(tools.executor))
    except (DamageError, UnavailableError) as error:
        text = str(error)
        if not (10 < len(text) < 400 and "\n" not in text and "Traceback" not in text):
            return f"no sentence: {text!r}"
        return str(error.exit_code)
    digest = blake3(whole).digest()
    return digest.hex() if digest == container.header.digest else "other bytes than it names"


def sweep(tools: Toolbox, numbers: range) -> Tally:
    made, tally = mutants(tools), Tally()
    for number in numbers:
        way, blob = made.make(number)
        start = time.perf_counter()
        verdict = judge(tools, blob)
        tally.slowest = max(tally.slowest, (time.perf_counter() - start, number))
        assert verdict in ("4", "5") or len(verdict) == 64, (number, way, verdict)
        tally.verdicts[f"{way} {verdict if len(verdict) == 1 else 'decoded'}"] += 1
    return tally


@pytest.mark.slow
def test_hundreds_of_mutants_do_no_harm(tools: Toolbox) -> None:
    tally = sweep(tools, range(400))
    assert {key.split()[1] for key in tally.verdicts} == {"4", "5", "decoded"}


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, MANY, PART))
def test_a_hundred_thousand_mutants_do_no_harm(
    tools: Toolbox, capsys: pytest.CaptureFixture[str], first: int
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tally = sweep(tools, range(first, first + PART))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    with capsys.disabled():
        sys.stdout.write(f"\n{PART:,} mutants: {tally}; memory grew by {grown:,} KB\n")
    assert grown < MEMORY_KB


def in_javascript(tools: Toolbox, count: int, folder: Path) -> None:
    """Both decoders say the same of as many mutants."""
    made, expected = mutants(tools), list[tuple[str, str]]()
    with (folder / "mutants").open("wb") as file:
        for number in range(count):
            way, blob = made.make(number)
            file.write(struct.pack("<I", len(blob)) + blob)
            expected.append((way, judge(tools, blob)))
    words = [node(), str(HERE / "mutants.mjs"), str(folder / "mutants"), str(KERNELS)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=1_200).stdout
    answers = said.splitlines()
    assert len(answers) == count
    differing = [
        (number, way, one, other)
        for number, (one, (way, other)) in enumerate(zip(answers, expected, strict=True))
        if one != other and not (way in MAY_CARRY and {one, other} == {"4", "5"})
    ]
    assert not differing, differing[:10]


@pytest.mark.slow
def test_the_decoder_in_javascript_judges_mutants_alike(tools: Toolbox, tmp_path: Path) -> None:
    in_javascript(tools, 200, tmp_path)


@pytest.mark.long
def test_it_judges_thousands_alike(tools: Toolbox, tmp_path: Path) -> None:
    in_javascript(tools, MANY_IN_JAVASCRIPT, tmp_path)
