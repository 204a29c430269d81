"""What hostile kernels come to at run time: always an Outcome, and the host is alive afterwards."""

import struct
import threading
import time
from collections.abc import Callable

import pytest

from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Outcome, OutOfFuel, OutOfMemory, Refused, Result, TimedOut, Trapped

Twin = Callable[..., Kernel]
FUEL = 20_000_000
LIMITS = Boundary(fuel=FUEL, memory_bytes=16 * MIB, output_bytes=MIB, wall_ms=20_000)
SPIN = "(loop $l (br $l))"
TOUCH = "(loop $l (i32.store (local.get $call) (i32.load (local.get $call))) (br $l))"
FILL = "(loop $l (memory.fill (i32.const 0) (i32.const 0) (i32.const 60000)) (br $l))"
COUNT = """(loop $l (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))"""
RECURSE = "(drop (call $run (local.get $call)))"


def run(host: Host, kernel: Kernel, boundary: Boundary = LIMITS, data: bytes = b"abc") -> Outcome:
    return host.call(kernel, Op.FORWARD, b"", [data], boundary)


def output(host: Host, kernel: Kernel, boundary: Boundary = LIMITS) -> bytes:
    outcome = run(host, kernel, boundary)
    assert isinstance(outcome, Result), outcome
    return outcome.outputs[0]


@pytest.mark.parametrize("body", [SPIN, TOUCH, FILL], ids=["spin", "touch", "fill"])
def test_an_endless_loop_runs_out_of_fuel(host: Host, twin: Twin, body: str) -> None:
    assert run(host, twin(body)) == OutOfFuel(FUEL)


@pytest.mark.slow
@pytest.mark.parametrize("body", [SPIN, FILL], ids=["spin", "fill"])
def test_an_endless_loop_without_fuel_is_stopped_by_the_clock(
    host: Host, twin: Twin, body: str
) -> None:
    assert run(host, twin(body), Boundary(wall_ms=300)) == TimedOut(300)
    assert isinstance(run(host, twin()), Result)


@pytest.mark.slow
@pytest.mark.parametrize("body", [TOUCH, FILL], ids=["touch", "fill"])
def test_a_base_kernel_that_loops_is_stopped_by_the_watchdog(
    twin: Twin, body: str, compiled: bool
) -> None:
    kernel, good = twin(body), twin()
    with Host(base=frozenset({kernel.cid, good.cid}), compiled=compiled) as host:
        started = time.monotonic()
        assert run(host, kernel, Boundary(wall_ms=200)) == TimedOut(200)
        assert time.monotonic() - started < 5
        assert run(host, kernel, LIMITS) == OutOfFuel(FUEL)
        assert isinstance(run(host, good), Result)


def test_bulk_instructions_cost_fuel_by_the_byte(host: Host, twin: Twin) -> None:
    def fuel(count: int) -> int:
        body = f"(memory.fill (i32.const 0) (i32.const 7) (i32.const {count}))"
        outcome = run(host, twin(body))
        assert isinstance(outcome, Result)
        return outcome.fuel or 0

    assert fuel(60_000) - fuel(10_000) == 50_000


def test_fuel_is_counted_alike_every_time(host: Host, twin: Twin) -> None:
    kernel = twin(COUNT)
    used: set[int | None] = set()
    for _ in range(100):
        outcome = run(host, kernel)
        assert isinstance(outcome, Result)
        used.add(outcome.fuel)
    assert len(used) == 1
    fuel = used.pop() or 0
    for _ in range(20):
        assert run(host, kernel, Boundary(fuel=fuel)) == Result([b""], fuel)
        assert run(host, kernel, Boundary(fuel=fuel - 1)) == OutOfFuel(fuel - 1)


@pytest.mark.parametrize("memory_mib", [4, 16])
def test_the_kernel_itself_never_gets_more_memory(host: Host, twin: Twin, memory_mib: int) -> None:
    kernel = twin(
        "(i32.store (local.get $out) (memory.grow (i32.const 1)))"
        "(i32.store offset=4 (local.get $out) (memory.size))",
        length=8,
    )
    boundary = Boundary(memory_bytes=memory_mib * MIB, wall_ms=20_000)
    # One page of its own, one the host added for the call block.
    assert output(host, kernel, boundary) == struct.pack("<iI", -1, 2)


def test_a_table_grows_to_its_limit_only(host: Host, twin: Twin) -> None:
    kernel = twin(
        "(i32.store (local.get $out) (table.grow (ref.null func) (i32.const 20000)))",
        length=4,
        fields="(table 1 funcref)",
    )
    assert output(host, kernel) == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("metered", [True, False])
def test_deep_recursion_traps(host: Host, twin: Twin, metered: bool) -> None:
    boundary = LIMITS if metered else Boundary(wall_ms=20_000)
    outcome = run(host, twin(RECURSE), boundary)
    assert isinstance(outcome, Trapped)
    assert outcome.code == "stack-overflow"


def test_deep_recursion_of_a_base_kernel_traps_even_from_a_thread_with_a_small_stack(
    twin: Twin, compiled: bool
) -> None:
    kernel = twin(RECURSE)
    outcomes: list[Outcome] = []
    with Host(base=frozenset({kernel.cid}), compiled=compiled) as host:
        before = threading.stack_size(256 * 1024)
        try:
            thread = threading.Thread(target=lambda: outcomes.append(run(host, kernel, Boundary())))
            thread.start()
        finally:
            threading.stack_size(before)
        thread.join()
        outcomes.append(run(host, kernel, Boundary()))
    assert [getattr(one, "code", one) for one in outcomes] == ["stack-overflow"] * 2


def test_a_result_longer_than_its_room_is_refused(host: Host, twin: Twin) -> None:
    for length in (17, 0x7FFF_FFFF, -1):
        outcome = run(host, twin(cap=16, length=length))
        assert isinstance(outcome, Refused)
        assert outcome.reason == "result-length"


def test_more_output_than_allowed_is_refused_before_it_is_made(host: Host, twin: Twin) -> None:
    outcome = run(host, twin(SPIN, cap=MIB + 1))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "output-limit"


@pytest.mark.parametrize("scratch", [-1, 17 * MIB, 0x7FFF_FFFF])
def test_more_scratch_than_the_boundary_gives_is_out_of_memory(
    host: Host, twin: Twin, scratch: int
) -> None:
    outcome = run(host, twin(scratch=scratch))
    assert isinstance(outcome, OutOfMemory)
    assert outcome.everywhere


def test_output_near_the_top_of_the_address_space_never_wraps(host: Host, twin: Twin) -> None:
    wide = Boundary(memory_bytes=1 << 40, output_bytes=1 << 40, wall_ms=20_000)
    outcome = run(host, twin(cap=-16, pages="1 65536"), wide)
    assert isinstance(outcome, OutOfMemory)


def test_the_modules_own_maximum_holds(host: Host, twin: Twin) -> None:
    outcome = run(host, twin(pages="1 1"))
    assert isinstance(outcome, OutOfMemory)
    assert outcome.everywhere


def test_pointers_written_by_the_kernel_are_never_followed(host: Host, twin: Twin) -> None:
    kernel = twin(
        "(i32.store (local.get $out) (i32.const 0x64636261))"
        "(i32.store offset=28 (local.get $call) (i32.const -16))",
        length=4,
    )
    assert output(host, kernel) == b"abcd"


@pytest.mark.parametrize(
    "store",
    [
        "(i32.store (i32.const -16) (i32.const 1))",
        "(drop (i32.load (i32.const 0x7fffffff)))",
        "(i32.store (i32.mul (memory.size) (i32.const 65536)) (i32.const 1))",
    ],
)
def test_access_outside_memory_traps(host: Host, twin: Twin, store: str) -> None:
    outcome = run(host, twin(store))
    assert isinstance(outcome, Trapped)
    assert outcome.code == "memory-out-of-bounds"


def test_a_trap_half_way_gives_no_bytes_and_harms_no_later_call(host: Host, twin: Twin) -> None:
    half = twin("(i64.store (local.get $out) (i64.const -1)) unreachable", length=16)
    outcome = run(host, half)
    assert isinstance(outcome, Trapped)
    assert outcome.code == "unreachable"
    assert output(host, twin(length=16)) == bytes(16)


def test_a_trap_while_asking_for_the_bound_is_an_outcome(host: Host, twin: Twin) -> None:
    assert isinstance(run(host, twin(bound="unreachable")), Trapped)


INCREMENT = """(i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
    (i32.store (local.get $out) (i32.load (i32.const 8)))"""
COUNT_UP = """(global.set $n (i32.add (global.get $n) (i32.const 1)))
    (i32.store (local.get $out) (global.get $n))"""
TWO_GLOBALS = "(global $n (mut i32) (i32.const 0)) (global (mut i32) (i32.const 0))"
REMEMBERING = {"its own memory": (INCREMENT, ""), "a global": (COUNT_UP, TWO_GLOBALS)}


@pytest.mark.parametrize("where", REMEMBERING)
@pytest.mark.parametrize("base", [True, False])
def test_no_call_sees_another(twin: Twin, where: str, base: bool, compiled: bool) -> None:
    body, fields = REMEMBERING[where]
    kernel = twin(body, length=4, fields=fields)
    with Host(base=frozenset({kernel.cid} if base else ()), compiled=compiled) as host:
        boundary = Boundary(wall_ms=20_000)
        assert len({output(host, kernel, boundary) for _ in range(5)}) == 1


@pytest.mark.parametrize("where", REMEMBERING)
def test_a_kernel_that_remembers_is_seen_when_run_strictly(
    host: Host, twin: Twin, where: str
) -> None:
    body, fields = REMEMBERING[where]
    prepared = host.prepare(twin(body, length=4, fields=fields), Op.FORWARD)
    assert prepared([b"abc"], LIMITS) != prepared.strictly([b"abc"], LIMITS)


@pytest.mark.parametrize(
    "stray",
    [
        "(i32.store8 offset=16 (local.get $out) (i32.const 1))",
        "(i32.store8 (i32.load offset=16 (local.get $call)) (i32.const 1))",
        "(i32.store8 offset=60000 (local.get $call) (i32.const 1))",
    ],
)
def test_a_stray_write_is_seen_when_run_strictly(host: Host, twin: Twin, stray: str) -> None:
    outcome = host.prepare(twin(stray), Op.FORWARD).strictly([b"abc"], LIMITS)
    assert isinstance(outcome, Refused)
    assert outcome.reason == "stray-write"


def test_an_honest_kernel_is_the_same_when_run_strictly(host: Host, twin: Twin) -> None:
    room = "(if (i32.lt_u (i32.load offset=32 (local.get $call)) (i32.const 16))"
    prepared = host.prepare(
        twin(
            f"{room} (then (return (i32.const 4)))) (i32.store (local.get $out) (i32.const 7))",
            length=4,
        ),
        Op.FORWARD,
    )
    assert prepared([b"abc"], LIMITS) == prepared.strictly([b"abc"], LIMITS)


def test_nan_bits_are_the_canonical_ones(host: Host, twin: Twin) -> None:
    kernel = twin(
        "(f64.store (local.get $out) (f64.mul (f64.reinterpret_i64 (i64.const 0xfff0dead00000000))"
        " (f64.const 0)))",
        length=8,
    )
    assert {output(host, kernel) for _ in range(5)} == {struct.pack("<Q", 0x7FF8_0000_0000_0000)}


@pytest.mark.parametrize("code", [8, 99, -1, -(2**31)])
def test_a_code_that_abi_v1_does_not_have_is_refused(host: Host, twin: Twin, code: int) -> None:
    outcome = run(host, twin(code=code))
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.code) == ("unknown-code", code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1, "outside-domain"), (2, "bad-parameter"), (3, "malformed"), (4, "capacity"),
     (5, "unknown-operation"), (6, "scratch"), (7, "call-shape")],
)  # fmt: skip
def test_each_refusal_has_its_reason(host: Host, twin: Twin, code: int, reason: str) -> None:
    outcome = run(host, twin(code=code))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.reason) == (code, reason)


def test_an_input_that_does_not_fit_is_out_of_memory(host: Host, twin: Twin) -> None:
    assert isinstance(run(host, twin(), data=bytes(17 * MIB)), OutOfMemory)
    assert isinstance(run(host, twin(), data=bytes(15 * MIB)), Result)


def test_a_module_the_engine_does_not_validate_is_refused(host: Host, twin: Twin) -> None:
    # The last instruction of `run` becomes `drop`: nothing is left to return.
    wasm = bytearray(twin(code=8).wasm)
    at = wasm.rindex(b"\x41\x08\x0b")
    wasm[at + 1 : at + 2] = b"\x00"
    wasm[at : at + 3] = b"\x01\x01\x0b"
    kernel = Kernel.from_wasm(bytes(wasm))
    for outcome in (run(host, kernel), host.check(kernel, LIMITS)):
        assert isinstance(outcome, Refused)
        assert outcome.reason == "invalid"
