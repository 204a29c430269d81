"""Kernels that lie, each in one way: the examination catches every one, and says which way."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from cid_store.cid import Cid
from ring0 import cases, instructions
from ring0.examination import examine
from ring0.host import Host
from ring0.kernel import Kernel
from ring2_orchestrator import kernel_build
from ring2_orchestrator.engines import ENGINES, compare
from ring2_orchestrator.kernels import KernelSet

LIARS = Path(__file__).resolve().parents[1] / "liars"
# The check that catches it, and what it says.
CAUGHT = {
    "dirty_scratch": ("isolation", "place-dependent"),
    "grows": ("instructions", "memory.grow"),
    "long": ("long inputs", "65,536 lanes"),
    "leftover": ("isolation", "a second call on the same instance differs"),
    "middling": ("long inputs", "the inverse gives other bytes"),
    "outside": ("lengths", "memory-out-of-bounds"),
    "rare_length": ("round trip", "1234 lanes"),
    "rare_run": ("round trip", "the inverse gives other bytes"),
    "rare_value": ("round trip", "the inverse gives other bytes"),
    "reads_beyond": ("isolation", "place-dependent"),
    "remembers": ("isolation", "remembers"),
    "slow_once": ("round trip", "out of fuel"),
    "small_bound": ("round trip", "capacity"),
    "stray": ("isolation", "stray-write"),
    "too_long": ("round trip", "result-length"),
    "too_short": ("round trip", "the inverse gives other bytes"),
}
# What only another engine shows.
DIFFERS = {"nan_bits"}


def wasm(name: str) -> bytes:
    return (LIARS / name / f"{name}.wasm").read_bytes()


@pytest.fixture(scope="module")
def stranger() -> Iterator[Host]:
    with Host() as host:
        yield host


def test_every_liar_has_its_verdict() -> None:
    names = {path.parent.name for path in LIARS.glob("*/kernel.toml")}
    assert names == {*CAUGHT, *DIFFERS}


@pytest.mark.slow
@pytest.mark.parametrize("name", CAUGHT)
def test_a_lie_is_caught_and_named(name: str, stranger: Host) -> None:
    check, told = CAUGHT[name]
    examination = examine(wasm(name), stranger)
    failed = {one.name: one.sentence for one in examination.checks if not one.passed}
    assert told in failed[check]


@pytest.mark.parametrize("name", ["zigzag", "byte_split", "rans0"])
def test_no_stretch_of_lengths_is_left_out(name: str, kernels: KernelSet) -> None:
    """What is wrong only between some length and three quarters more is met, for every type."""
    kernel = kernels.by_name(name)
    tried: dict[str | None, set[int]] = {}
    for case in cases.long(kernel):
        width = cases.streams(kernel.manifest.inputs, case.dtype)[0]
        tried.setdefault(case.dtype, set()).add(len(case.inputs[0]) // width)
    assert [*tried] == [*cases.dtypes(kernel.manifest)]
    for lengths in tried.values():
        between = [1_024, *sorted(one for one in lengths if 1_024 < one <= 65_536)]
        assert between[-1] == 65_536
        assert all(after <= before * 1.75 for before, after in itertools.pairwise(between))
        mentioned = instructions.constants(kernel.wasm, kernel.info)
        assert {one for one in mentioned if 1_024 < one < 65_536} <= lengths


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(DIFFERS))
def test_bits_that_differ_between_engines_are_caught_and_placed(name: str, stranger: Host) -> None:
    assert examine(wasm(name), stranger).passed
    # The host's own engine, compiled in four ways, is enough, and is always there.
    comparison = compare(Kernel.from_wasm(wasm(name)), 20, engines=ENGINES[:4])
    assert not comparison.exact
    verdicts = [finding.verdict for finding in comparison.findings]
    assert verdicts == ["exact", "exact", "differs", "differs"]
    difference = comparison.findings[2].difference
    assert difference is not None
    assert difference.output == 1
    assert difference.call.inputs[0][: difference.place]


@pytest.mark.slow
def test_a_liars_module_is_what_its_source_says() -> None:
    try:
        kernel_build.require_toolchain()
    except kernel_build.ToolchainError as error:
        pytest.skip(str(error))
    for rebuilt in kernel_build.rebuild_all(LIARS):
        assert rebuilt.same, rebuilt.name
    assert Cid.of(wasm("grows")) != Cid.of(wasm("stray"))
