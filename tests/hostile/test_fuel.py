"""Fuel ends a call at the same instruction every time: what it left in memory shows where."""

from collections.abc import Callable

import pytest

from cid_store.cid import Cid
from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.host import Host
from ring0.host.call import NO_FUEL, Answer, Call, metered, perform
from ring0.host.engine import Engine, Module
from ring0.host.instance import Instance
from ring0.host.library import ffi, find
from ring0.kernel import Kernel
from ring0.outcome import OutOfFuel, Result

Twin = Callable[..., Kernel]

# Counts up, and leaves each number at a place of its own; calls itself now and then.
PROGRESS = """
    (loop $l
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
      (i32.store (i32.add (i32.const 64)
        (i32.mul (i32.const 4) (i32.and (i32.load (i32.const 8)) (i32.const 4095))))
        (i32.load (i32.const 8)))
      (if (i32.eqz (i32.rem_u (i32.load (i32.const 8)) (i32.const 97)))
        (then (drop (call $run (local.get $call)))))
      (br $l))"""
FUEL = 5_003


@pytest.fixture(scope="module", params=[True, False], ids=["foreign", "base"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """One configured as for foreign kernels, and one as for base kernels with fuel."""
    return Engine(find(), metered=True, canonical_nan=request.param)


def exhausted(module: Module, kernel: Kernel, fuel: int) -> tuple[int, bytes]:
    """The fuel left, and all memory, after a call that had so much and wanted more."""
    instance = Instance(module, kernel.info.initial_bytes, fuel=fuel)
    call = Call(Op.FORWARD, b"", [b"abc"], 1, MIB, MIB)
    assert metered(instance, perform(instance, call)) == Answer(NO_FUEL)
    left = ffi.new("uint64_t *")
    assert instance.lib.wasmtime_context_get_fuel(instance._context, left) == ffi.NULL
    return left[0], instance.read(0, instance.size)


def test_fuel_ends_a_call_at_the_same_instruction_a_hundred_times(
    engine: Engine, twin: Twin
) -> None:
    kernel = twin(PROGRESS)
    modules = [engine.compile(kernel.wasm) for _ in range(4)]
    ends = {exhausted(modules[at % 4], kernel, FUEL) for at in range(100)}
    assert len(ends) == 1
    assert int.from_bytes(ends.pop()[1][8:12], "little") > 100


def test_more_fuel_goes_further_and_never_back(engine: Engine, twin: Twin) -> None:
    kernel = twin(PROGRESS)
    module = engine.compile(kernel.wasm)
    counts = [
        int.from_bytes(exhausted(module, kernel, fuel)[1][8:12], "little")
        for fuel in range(100, 1_500)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


ENDING = """
    (loop $l
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (memory.fill (i32.const 0) (local.get $i) (i32.and (local.get $i) (i32.const 63)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))"""


def test_both_engines_and_every_worker_count_alike(twin: Twin) -> None:
    kernel = twin(ENDING)
    bases: list[frozenset[Cid]] = [frozenset({kernel.cid}), frozenset()]
    used: set[int] = set()
    for base in bases * 2:
        with Host(base=base) as host:
            prepared = host.prepare(kernel, Op.FORWARD)
            outcome = prepared([b"abc"], Boundary(fuel=1 << 40))
            assert isinstance(outcome, Result), outcome
            fuel = outcome.fuel or 0
            assert prepared([b"abc"], Boundary(fuel=fuel)) == outcome
            assert prepared([b"abc"], Boundary(fuel=fuel - 1)) == OutOfFuel(fuel - 1)
            used.add(fuel)
    assert len(used) == 1
