"""Generated and mutated modules: whatever they are, the host survives them, quickly."""

import time
from pathlib import Path

import pytest

from ring0.boundary import MIB, Boundary
from ring0.errors import RefusedModuleError
from ring0.host import Host
from ring0.instructions import scan
from ring0.module import inspect
from ring0.sections import ModuleLimits, parse

MODULES = sorted((Path(__file__).parent / "smith").glob("*.wasm"))
LIMITS = Boundary(fuel=5_000_000, memory_bytes=64 * MIB, output_bytes=MIB, wall_ms=30_000)
LOOSE = ModuleLimits(results=1_000, params=1_000, memory_pages=1 << 16)


def test_there_are_120() -> None:
    assert len(MODULES) == 120


@pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])
def test_it_is_refused_and_its_exports_do_no_harm(host: Host, path: Path) -> None:
    data = path.read_bytes()
    with pytest.raises(RefusedModuleError):
        inspect(data)
    info = parse(data, LOOSE)
    scan(data, info)
    started = time.monotonic()
    outcomes = host.exercise(data, info, LIMITS)
    assert "" in outcomes
    assert time.monotonic() - started < 20


@pytest.mark.slow
def test_the_reader_survives_every_truncation_and_every_flipped_byte() -> None:
    for path in MODULES[::6]:
        data = path.read_bytes()[:600]
        for at in range(len(data)):
            for changed in (data[:at], data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]):
                try:
                    scan(changed, parse(changed))
                except RefusedModuleError:
                    continue
