"""A base kernel comes to the same, word for word, whether it is called through C or not."""

from collections.abc import Callable, Iterator, Sequence
from weakref import WeakSet

import pytest

from cid_store.store import Buffer
from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.errors import EngineError
from ring0.host import Host, direct
from ring0.host.engine import NO_ROOM, Stopped
from ring0.kernel import Kernel
from ring0.outcome import Outcome, OutOfMemory, Refused, Result, TimedOut, Trapped
from ring0.program import Link, Program, Ran

Twin = Callable[..., Kernel]
LIMITS = Boundary(memory_bytes=16 * MIB, output_bytes=MIB, wall_ms=20_000)
BULK = "(memory.fill (i32.const 0) (i32.const 7) (i32.const 100))"
TABLE = "(drop (table.grow (ref.null func) (i32.const 1)))"
POINTERS = """(i32.store offset=28 (local.get $call) (i32.const -16))
    (i32.store (local.get $call) (i32.const -1))
    (i32.store offset=12 (local.get $call) (i32.const 9))"""

pytestmark = pytest.mark.skipif(direct.load() is None, reason="the trampoline is not built here")

TWINS: dict[str, tuple[str, dict[str, object]]] = {
    "nothing": ("", {}),
    "output": ("(i64.store (local.get $out) (i64.const -1))", {"length": 8}),
    "claims too much": ("", {"cap": 16, "length": 17}),
    "claims as much as can be": ("", {"cap": 16, "length": -1}),
    "wants too much output": ("", {"cap": MIB + 1}),
    "wants all there is": ("", {"cap": -16, "pages": "1 65536"}),
    "wants scratch": ("", {"scratch": 17 * MIB}),
    "wants all scratch": ("", {"scratch": -1}),
    "has no room": ("", {"pages": "1 1"}),
    "unreachable": ("unreachable", {}),
    "trap in the bound": ("", {"bound": "unreachable"}),
    "out of bounds": ("(i32.store (i32.const -16) (i32.const 1))", {}),
    "division": ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", {}),
    "recursion": ("(drop (call $run (local.get $call)))", {}),
    "growing": ("(i32.store (local.get $out) (memory.grow (i32.const 1)))", {"length": 4}),
    "bulk": (BULK, {}),
    "table": (TABLE, {"fields": "(table 1 funcref)"}),
    "pointers": (POINTERS, {"length": 4}),
    **{f"code {code}": ("", {"code": code}) for code in (1, 5, 7, 8, 99, -1, -(2**31))},
}
DATA = {
    "none": b"",
    "bytes": b"abc",
    "bytearray": bytearray(b"abc"),
    "view": memoryview(b"abcabc")[::2],
    "large": bytes(15 * MIB),
    "too large": bytes(17 * MIB),
}


@pytest.mark.parametrize("name", TWINS)
def test_every_end_is_the_same(twin: Twin, name: str) -> None:
    body, settings = TWINS[name]
    kernel = twin(body, **settings)
    assert len({str(one) for one in both(kernel, [b"abc", b"", b"x" * 70_000, b"abc"])}) == 1


@pytest.mark.parametrize("form", DATA)
def test_every_buffer_comes_to_the_same(twin: Twin, form: str) -> None:
    kernel = twin("(i32.store (local.get $out) (i32.load (local.get $call)))", length=4)
    data = DATA[form]
    given = bytes(data) if form == "view" else data
    assert len({str(one) for one in both(kernel, [given] * 2)}) == 1


@pytest.mark.parametrize("name", TWINS)
def test_a_worker_says_the_same_word_for_word(host: Host, twin: Twin, name: str) -> None:
    """But for the fuel it counted, an outcome does not tell where the kernel ran."""
    body, settings = TWINS[name]
    kernel = twin(body, **settings)
    away = host.prepare(kernel, Op.FORWARD)
    for data in (b"abc", b"", b"x" * 70_000):
        there = away([data], LIMITS)
        if isinstance(there, Result):
            there = Result(there.outputs)
        here = {str(outcomes[0]) for outcomes in both(kernel, [data])}
        assert here == {str(there)}


def both(kernel: Kernel, inputs: Sequence[Buffer]) -> Iterator[list[Outcome]]:
    for compiled in (True, False):
        with Host(base=frozenset({kernel.cid}), compiled=compiled) as host:
            prepared = host.prepare(kernel, Op.FORWARD)
            yield [prepared([data], LIMITS) for data in inputs]


SEEN = """(i32.store (local.get $out) (i32.load offset={0} (local.get $call)))
    (i32.store offset={0} (local.get $call) (i32.const 77))"""


@pytest.mark.parametrize("place", [60, 100, 200, 4_000, 60_000])
def test_a_call_sees_nothing_of_the_last_one_in_the_hosts_part(twin: Twin, place: int) -> None:
    """Whatever the lengths of the inputs are, and wherever it wrote."""
    kernel = twin(SEEN.format(place), cap=64, length=4, scratch=65_000)
    with Host(base=frozenset({kernel.cid}), compiled=True) as host:
        prepared = host.prepare(kernel, Op.FORWARD)
        for length in (0, 1, 16, 17, 5_000, 70_000, 3, 0):
            outcome = prepared([bytes(length)], LIMITS)
            assert isinstance(outcome, Result)
            assert outcome.outputs == [bytes(4)]


SPOIL = """(loop $l
      (local.set $j (i32.add (i32.mul (local.get $j) (i32.const 31)) (i32.load (local.get $i))))
      (if (i32.eqz (i32.rem_u (local.get $i) (i32.const {every})))
        (then (i32.store (local.get $i) (i32.const -1))))
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 65536))))
    (i32.store (local.get $out) (local.get $j))"""


@pytest.mark.parametrize("every", [4, 4096, 65_532, 24_000])
@pytest.mark.parametrize("at", [0, 5_000, 65_530])
def test_a_module_finds_its_own_memory_as_it_left_the_engine(
    twin: Twin, every: int, at: int
) -> None:
    kernel = twin(SPOIL.format(every=every), length=4, fields=f'(data (i32.const {at}) "abcdef")')
    ends = [end for way in both(kernel, [b"abc"] * 4) for end in way]
    assert isinstance(ends[0], Result)
    assert all(end == ends[0] for end in ends)


def test_memory_that_a_large_call_took_is_given_back(twin: Twin) -> None:
    body = "(i32.store (local.get $out) (i32.load offset=60 (local.get $call)))"
    kernel = twin(body, length=4, pages="1 4096")
    wide = Boundary(memory_bytes=256 * MIB)
    with Host(base=frozenset({kernel.cid}), compiled=True) as host:
        prepared = host.prepare(kernel, Op.FORWARD)
        for data in (b"abc", b"\1" * (100 * MIB), b"abc", b"\1" * (70 * MIB), b"", b"abc"):
            outcome = prepared([data], wide)
            assert isinstance(outcome, Result)
        assert outcome.outputs == [bytes(4)]


def test_an_instance_that_was_stopped_is_not_used_again(twin: Twin) -> None:
    once = twin(
        """(if (i32.eqz (i32.load8_u (i32.load offset=16 (local.get $call)))) (then unreachable))
        (i32.store (local.get $out) (i32.load (i32.const 8)))
        (i32.store (i32.const 8) (i32.const 1))""",
        length=4,
    )
    with Host(base=frozenset({once.cid}), compiled=True) as host:
        prepared = host.prepare(once, Op.FORWARD)
        for _ in range(3):
            assert isinstance(prepared([b"\0"], LIMITS), Trapped)
            assert prepared([b"\1"], LIMITS) == Result([bytes(4)])
            assert isinstance(prepared([b"\1"], Boundary(output_bytes=3)), Refused)
            assert isinstance(prepared([b"\1"], Boundary(memory_bytes=MIB // 32)), OutOfMemory)


def chain(*kernels: Kernel) -> Program:
    """Each kernel on what the one before it made."""
    links = [
        Link(at, kernel, Op.FORWARD, b"", (at,), (at + 1,)) for at, kernel in enumerate(kernels)
    ]
    return Program((*links,), len(links) + 1, (0,), (len(links),))


COPY = """(local.set $in (i32.load offset=16 (local.get $call)))
    (i32.store (local.get $out) (i32.add (i32.load (local.get $in)) (i32.const 1)))"""


@pytest.mark.parametrize("name", sorted({*TWINS} - {"table"}))
def test_a_program_tells_which_of_its_calls_ended_and_how(twin: Twin, name: str) -> None:
    body, settings = TWINS[name]
    good, bad = twin(COPY, length=4), twin(body, **settings)
    base = frozenset({good.cid, bad.cid})
    program = chain(good, good, bad, good)
    with Host(base=base, compiled=False) as plain:
        assert plain.run(program, [b"abcd"], LIMITS, 1 << 40) is None
        alone = plain.call(bad, Op.FORWARD, b"", [b"cbcd"], LIMITS)
    with Host(base=base, compiled=True) as host:
        for _ in range(3):
            ran = host.run(program, [b"abcd"], LIMITS, 1 << 40)
            assert ran is not None
            if isinstance(alone, Result):
                assert ran.failed is None
            else:
                assert ran.failed is program.links[2]
                assert str(ran.outcome) == str(alone)
            after = host.run(chain(good, good, good), [b"abcd"], LIMITS, 1 << 40)
            assert after == Ran([b"dbcd"], 24)


@pytest.mark.slow
def test_the_watchdog_stops_a_call_within_a_program(twin: Twin) -> None:
    touch = "(loop $l (i32.store (local.get $call) (i32.load (local.get $call))) (br $l))"
    good, endless = twin(COPY, length=4), twin(touch)
    program = chain(good, endless, good)
    with Host(base=frozenset({good.cid, endless.cid}), compiled=True) as host:
        for _ in range(2):
            ran = host.run(program, [b"abcd"], Boundary(wall_ms=100), 1 << 40)
            assert ran == Ran([], 12, program.links[1], TimedOut(100))
        assert host.run(chain(good), [b"abcd"], Boundary(), 1 << 40) == Ran([b"bbcd"], 8)


def test_all_calls_of_a_program_share_one_limit_on_work(twin: Twin) -> None:
    good = twin(COPY, length=4)
    program = chain(good, good)
    with Host(base=frozenset({good.cid}), compiled=True) as host:
        assert host.run(program, [b"abcd"], LIMITS, 16) == Ran([b"cbcd"], 16)
        for limit, place, done in ((15, 1, 16), (11, 1, 12), (7, 0, 8), (3, 0, 4), (0, 0, 4)):
            assert host.run(program, [b"abcd"], LIMITS, limit) == Ran(
                [], done, program.links[place]
            )


def test_what_cannot_be_run_at_once_goes_call_by_call(twin: Twin) -> None:
    good, table = twin(COPY, length=4), twin(TABLE, fields="(table 1 funcref)")
    foreign = twin(COPY + "(nop)", length=4)
    with Host(base=frozenset({good.cid, table.cid}), compiled=True) as host:
        for program, boundary in (
            (chain(good, table), LIMITS),
            (chain(good, foreign), LIMITS),
            (chain(good), Boundary(fuel=1000)),
            (chain(*[good] * 65), LIMITS),
        ):
            assert host.run(program, [b"abcd"], boundary, 1 << 40) is None
        longest = host.run(chain(*[good] * 64), [b"abcd"], LIMITS, 1 << 40)
        assert longest == Ran([bytes([ord("a") + 64]) + b"bcd"], 64 * 8)


def test_where_there_is_no_room_for_all_instances_it_goes_call_by_call(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(resident: direct.DirectResident) -> direct.DirectInstance:
        raise Stopped("instantiation", "no addresses are left")

    good = twin(COPY, length=4)
    with Host(base=frozenset({good.cid}), compiled=True) as host:
        with monkeypatch.context() as patch:
            patch.setattr(direct.DirectResident, "make", full)
            assert host.run(chain(good, good), [b"abcd"], LIMITS, 1 << 40) is None
        assert host.run(chain(good, good), [b"abcd"], LIMITS, 1 << 40) == Ran([b"cbcd"], 16)


@pytest.mark.parametrize("lacking", NO_ROOM)
def test_idle_instances_make_room_for_another(
    lacking: str, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = twin(COPY, length=4), twin(COPY + "(nop)", length=4)
    living: WeakSet[direct.DirectInstance] = WeakSet()
    make = direct.DirectResident.make

    def one_at_a_time(resident: direct.DirectResident) -> direct.DirectInstance:
        if living:
            raise Stopped(lacking, "no addresses are left")
        made = make(resident)
        living.add(made)
        return made

    monkeypatch.setattr(direct.DirectResident, "make", one_at_a_time)
    with Host(base=frozenset({good.cid, other.cid}), compiled=True) as host:
        for kernel in (good, other, good):
            assert host.call(kernel, Op.FORWARD, b"", [b"abcd"], LIMITS) == Result([b"bbcd"])
        assert host.run(chain(good), [b"abcd"], LIMITS, 1 << 40) is None
        with host.prepare(good, Op.FORWARD).open([4], LIMITS), pytest.raises(EngineError):
            host.call(other, Op.FORWARD, b"", [b"abcd"], LIMITS)
        assert host.call(other, Op.FORWARD, b"", [b"abcd"], LIMITS) == Result([b"bbcd"])


@pytest.mark.slow
def test_values_that_many_instances_hold_are_let_go_of(twin: Twin) -> None:
    """A program of large values holds two or three of them at a time, not all."""
    large = twin("", cap=70 * MIB, length=70 * MIB, pages="1 4096")
    wide = Boundary(memory_bytes=250 * MIB)
    with Host(base=frozenset({large.cid}), compiled=True) as host:
        program = chain(*[large] * 4)
        for _ in range(2):
            ran = host.run(program, [b"abcd"], wide, 1 << 40)
            assert ran is not None
            assert ran.failed is None
            assert ran.outputs == [bytes(70 * MIB)]
