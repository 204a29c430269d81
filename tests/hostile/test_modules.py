"""The 52 hostile modules: each gets the verdict that EXPECT.tsv asks for, and the host lives."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from ring0.boundary import MIB, Boundary
from ring0.errors import RefusedModuleError
from ring0.host import Host
from ring0.instructions import scan
from ring0.kernel import Kernel
from ring0.module import breaches
from ring0.outcome import Outcome, OutOfFuel, OutOfMemory, Refused, Result, TimedOut, Trapped
from ring0.sections import DEFAULT_LIMITS, ModuleLimits, parse

Twin = Callable[..., Kernel]
HERE = Path(__file__).parent
LIMITS = Boundary(fuel=20_000_000, memory_bytes=64 * MIB, output_bytes=MIB, wall_ms=30_000)

# No caps: what the engine must survive if the inspector let everything through.
BOUNDLESS = ModuleLimits(
    module_bytes=1 << 24,
    custom_bytes=1 << 24,
    name_bytes=1 << 20,
    params=2_000,
    results=2_000,
    body_bytes=1 << 20,
    locals=1 << 20,
    locals_times_bytes=1 << 50,
    body_bytes_squared=1 << 50,
    table_elements=1 << 31,
    memory_pages=1 << 16,
)


def table(name: str) -> dict[str, dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as lines:
        return {row["file"]: row for row in csv.DictReader(lines, delimiter="\t")}


EXPECT = table("EXPECT.tsv")
VERDICTS = table("VERDICTS.tsv")


def wasm(name: str) -> bytes:
    return (HERE / "modules" / name).read_bytes()


def word(outcome: Outcome) -> str:
    """The outcome in one word, as VERDICTS.tsv spells it."""
    match outcome:
        case Refused(reason, _, _):
            return f"refused:{reason}"
        case Trapped(code, _):
            return f"trapped:{code}"
        case Result():
            return "done"
        case OutOfFuel():
            return "out-of-fuel"
        case TimedOut():
            return "timed-out"
        case OutOfMemory():
            return "out-of-memory"


def verdict(data: bytes) -> str:
    """Every rule of inspection that refuses a module, in one line."""
    try:
        info = parse(data)
    except RefusedModuleError as refused:
        return refused.reason
    reasons = {breach.reason for breach in breaches(info)}
    try:
        scan(data, info)
    except RefusedModuleError as refused:
        reasons.add(refused.reason)
    return " ".join(sorted(reasons)) or "accepted"


def exercised(host: Host, data: bytes, limits: ModuleLimits) -> str:
    """What comes of a module that is run although it is no kernel."""
    try:
        info = parse(data, limits)
    except RefusedModuleError:
        return "-"
    if info.imports:
        return "-"
    outcomes = host.exercise(data, info, LIMITS)
    return " ".join(f"{name or '(start)'!a}={word(one)}" for name, one in outcomes.items())


def test_every_module_has_a_verdict() -> None:
    files = {path.name for path in (HERE / "modules").iterdir()}
    assert files == set(EXPECT) == set(VERDICTS)
    assert len(files) == 52


@pytest.mark.parametrize("name", sorted(EXPECT))
def test_inspection_refuses_it_for_the_stated_reason(name: str) -> None:
    assert verdict(wasm(name)) == VERDICTS[name]["refused for"]


@pytest.mark.parametrize("name", sorted(EXPECT))
def test_run_all_the_same_it_does_no_harm(host: Host, name: str) -> None:
    assert exercised(host, wasm(name), DEFAULT_LIMITS) == VERDICTS[name]["run all the same"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXPECT))
def test_run_without_any_cap_it_does_no_harm(host: Host, twin: Twin, name: str) -> None:
    exercised(host, wasm(name), BOUNDLESS)
    assert word(host.check(twin(), LIMITS)) == "done"
