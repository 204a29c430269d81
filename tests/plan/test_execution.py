"""Plans run forward and back on the real host; what was executed once can be looked up."""

import gc
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store.cid import Cid
from cid_store.errors import UsageError
from cid_store.memory import MemoryStore
from cid_store.nodes import get_node
from cid_store.store import Buffer
from ring0.abi import Op
from ring0.boundary import Boundary
from ring0.execution import (
    Execution,
    Executor,
    Limits,
    RecentMemo,
    StepFailedError,
    StoreMemo,
    WorkLimitError,
)
from ring0.frame import Frame, MalformedFrameError, Operation, Request, StackDag, root_name
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Outcome, OutOfFuel, Result
from ring0.plan import Plan
from ring0.program import Program, Ran
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.toolbox import Toolbox
from tests.random_plans import plans

AUDIO = "input x: u16\nemit x |> delta(order=2) |> zigzag |> byte_split |> rans0"
RAMP = b"".join((7 * at).to_bytes(2, "little") for at in range(500))


def plan_of(tools: Toolbox, text: str) -> Plan:
    return Gene.parse(text, tools.palette).plan()


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_every_plan_undoes_itself_or_refuses(tools: Toolbox, data: st.DataObject) -> None:
    plan = data.draw(plans(tools))
    size = data.draw(st.integers(0, 40)) * plan.input.width
    value = data.draw(st.binary(min_size=size, max_size=size))
    try:
        streams = tools.executor.forward(plan, value).outputs
    except StepFailedError:
        return
    assert tools.executor.inverse(plan, streams).outputs == [value]


def test_bytes_that_are_not_whole_elements_are_refused(tools: Toolbox) -> None:
    with pytest.raises(UsageError, match="not whole elements of u16"):
        tools.executor.forward(plan_of(tools, AUDIO), b"abc")


def test_the_wrong_number_of_streams_is_refused(tools: Toolbox) -> None:
    with pytest.raises(UsageError, match="has 2 streams, not 1"):
        tools.executor.inverse(plan_of(tools, AUDIO), [b""])


def test_streams_that_forward_never_made_are_refused(tools: Toolbox) -> None:
    with pytest.raises(StepFailedError, match="kernel 'rans0': refused, malformed"):
        tools.executor.inverse(plan_of(tools, AUDIO), [b"not", b"streams"])


def test_limits_on_output_and_work_hold(tools: Toolbox) -> None:
    plan = plan_of(tools, AUDIO)
    with pytest.raises(StepFailedError, match="output-limit"):
        tools.executor.with_limits(Limits(value_bytes=999)).forward(plan, RAMP)
    with pytest.raises(WorkLimitError, match=r"more than 3,000 bytes"):
        tools.executor.with_limits(Limits(work_bytes=3000)).forward(plan, RAMP)


def test_fuel_is_counted_alike_every_time(tools: Toolbox) -> None:
    plan = plan_of(tools, AUDIO)
    metered = tools.executor.with_limits(Limits(fuel=1 << 40))
    first, second = metered.forward(plan, RAMP), metered.forward(plan, RAMP)
    assert first.fuel == second.fuel
    assert (first.fuel or 0) > 500
    assert tools.executor.forward(plan, RAMP).fuel is None
    with pytest.raises(StepFailedError) as caught:
        tools.executor.with_limits(Limits(fuel=100)).forward(plan, RAMP)
    assert caught.value.outcome == OutOfFuel(100)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_plan_in_one_go_comes_to_what_its_steps_come_to(
    tools: Toolbox, data: st.DataObject
) -> None:
    plan = data.draw(plans(tools))
    size = data.draw(st.integers(0, 40)) * plan.input.width
    value = data.draw(st.binary(min_size=size, max_size=size))
    limits = Limits(
        value_bytes=data.draw(st.sampled_from([1 << 20, 100])),
        work_bytes=data.draw(st.sampled_from([1 << 40, 500])),
        memory_bytes=data.draw(st.sampled_from([1 << 30, 65_536 + 300])),
    )
    at_once = tools.executor.with_limits(limits)
    by_step = Executor(StepHost(tools.host), tools.kernel, limits=limits)
    forward = [attempt(partial(each.forward, plan, value)) for each in (at_once, by_step)]
    assert forward[0] == forward[1]
    streams = [data.draw(st.binary(max_size=40)) for _ in plan.streams]
    if isinstance(forward[0], Execution) and data.draw(st.booleans()):
        streams = forward[0].outputs
    inverse = [attempt(partial(each.inverse, plan, streams)) for each in (at_once, by_step)]
    assert inverse[0] == inverse[1]


def attempt(work: Callable[[], Execution]) -> Execution | tuple[str, int | None]:
    try:
        return work()
    except StepFailedError as error:
        return str(error), error.step
    except WorkLimitError as error:
        return str(error), None


class StepHost:
    """The real host, call by call."""

    def __init__(self, host: Host) -> None:
        self.call = host.call

    def run(self, *_: object, **__: object) -> None:
        return None


def test_a_plan_of_base_kernels_is_run_in_one_go_where_nothing_is_kept(tools: Toolbox) -> None:
    host = CountingHost(tools.host)
    executor = Executor(host, tools.kernel)
    plan = plan_of(tools, AUDIO)
    assert executor.inverse(plan, executor.forward(plan, RAMP).outputs).outputs == [RAMP]
    compiled = tools.host.run(Program.of(plan, Op.FORWARD, tools.kernel), [RAMP], Boundary(), 1)
    assert host.calls == (0 if compiled is not None else 2 * len(plan.steps))


def test_the_host_keeps_no_program_that_nobody_holds(tools: Toolbox) -> None:
    program = Program.of(plan_of(tools, AUDIO), Op.FORWARD, tools.kernel)
    tools.host.run(program, [RAMP], Boundary(), 1 << 30)
    gone = weakref.ref(program)
    del program
    gc.collect()
    assert gone() is None, "each keeps an instance of every kernel, and those reserve memory"


def test_threads_run_one_plan_at_the_same_time(tools: Toolbox) -> None:
    plan = plan_of(tools, AUDIO)
    inputs = [RAMP[2 * at :] for at in range(40)]
    expected = [tools.executor.forward(plan, data).outputs for data in inputs]
    with ThreadPoolExecutor(4) as pool:
        made = [*pool.map(partial(tools.executor.forward, plan), inputs * 5)]
        streams = [execution.outputs for execution in made]
        backs = pool.map(partial(tools.executor.inverse, plan), streams)
        assert [execution.outputs for execution in backs] == [[data] for data in inputs * 5]
    assert streams == expected * 5


@pytest.mark.parametrize("size", [65_534, 65_536, 65_538, 400_000])
def test_large_results_are_the_callers_own(tools: Toolbox, size: int) -> None:
    plan = plan_of(tools, "input x: u16\nemit x |> delta |> zigzag")
    delta, zigzag = (tools.kernels.by_name(name) for name in ("delta", "zigzag"))
    blocks = [bytes((at * step >> 6) % 256 for at in range(size)) for step in (3, 5)]
    threes, fives = (tools.executor.forward(plan, block).outputs for block in blocks)
    for block, made in zip(blocks, (threes, fives), strict=True):
        assert tools.executor.inverse(plan, made).outputs == [block]
        # Call by call the same, though the last call has overwritten what the one before made.
        between = tools.host.call(delta, Op.FORWARD, parameters(delta), [block])
        assert isinstance(between, Result)
        after = tools.host.call(zigzag, Op.FORWARD, parameters(zigzag), between.outputs)
        assert after == Result(made)


def parameters(kernel: Kernel) -> bytes:
    return kernel.manifest.encode_parameters({}, dtype="u16")


class CountingHost:
    """The real host, with its calls counted."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.calls = 0

    def call(
        self, kernel: Kernel, op: Op, params: bytes, inputs: Sequence[Buffer], boundary: Boundary
    ) -> Outcome:
        self.calls += 1
        return self.host.call(kernel, op, params, inputs, boundary)

    def run(
        self, program: Program, given: Sequence[Buffer], boundary: Boundary, work_bytes: int
    ) -> Ran | None:
        return self.host.run(program, given, boundary, work_bytes)


@pytest.mark.parametrize("kind", ["store", "recent"])
def test_what_was_executed_is_looked_up(tools: Toolbox, kind: str) -> None:
    host = CountingHost(tools.host)
    memo = StoreMemo(MemoryStore()) if kind == "store" else RecentMemo()
    executor = Executor(host, tools.kernel, memo=memo)
    first = executor.forward(plan_of(tools, AUDIO), RAMP)
    calls = host.calls
    again = executor.forward(plan_of(tools, AUDIO), RAMP)
    assert again.outputs == first.outputs
    assert host.calls == calls
    # A plan that begins alike pays only for what differs.
    executor.forward(plan_of(tools, "input x: u16\nemit x |> delta(order=2) |> gray"), RAMP)
    assert host.calls == calls + 1


def test_what_is_remembered_costs_as_much_as_it_did(tools: Toolbox) -> None:
    metered = tools.executor.with_limits(Limits(fuel=1 << 40))
    plan = plan_of(tools, AUDIO)
    cost = metered.forward(plan, RAMP)
    remembering = tools.executor.with_limits(Limits(fuel=1 << 40), memo=RecentMemo())
    first, again = (remembering.forward(plan, RAMP) for _ in range(2))
    assert first.fuel == again.fuel == cost.fuel
    assert first.kernel_fuel == again.kernel_fuel == cost.kernel_fuel
    assert first.work_bytes == again.work_bytes == cost.work_bytes
    assert (first.new_fuel, again.new_fuel) == (cost.fuel, 0)


def test_frames_are_kept_as_a_dag(tools: Toolbox) -> None:
    store = MemoryStore()
    executor = Executor(tools.host, tools.kernel, memo=StoreMemo(store))
    plan = plan_of(tools, AUDIO)
    execution = executor.forward(plan, RAMP)
    request = Request(plan.cid, Operation.FORWARD, b"", (Cid.of(RAMP),))
    root = store.root(root_name(request))
    assert root is not None
    dag = StackDag(store, root)
    frames = dict(dag.frames())
    assert len(frames) == 1 + len(plan.steps)
    assert frames[root].outputs == tuple(map(Cid.of, execution.outputs))
    assert frames[root].cost.bytes_in == len(RAMP)
    for cid, frame in frames.items():
        assert frame.cid == cid
        assert Frame.from_node(get_node(store, cid)) == frame
    maker = dag.maker(Cid.of(execution.outputs[0]))
    assert maker is not None
    assert maker.request.what == tools.palette["rans0"].cid
    assert dag.maker(Cid.of(b"nobody made this")) is None


def test_equal_streams_make_one_frame(tools: Toolbox) -> None:
    store = MemoryStore()
    executor = Executor(tools.host, tools.kernel, memo=StoreMemo(store))
    plan = plan_of(tools, "input x: u32\nemit x |> byte_split |> rans0")
    execution = executor.forward(plan, bytes(400))
    assert len(set(execution.outputs)) == 1
    assert executor.inverse(plan, execution.outputs).outputs == [bytes(400)]


def test_a_memo_in_memory_forgets_what_does_not_fit(tools: Toolbox) -> None:
    memo = RecentMemo(limit_bytes=1500)
    executor = Executor(tools.host, tools.kernel, memo=memo)
    plan = plan_of(tools, "input x: u16\nemit x |> delta |> zigzag")
    executor.forward(plan, RAMP)
    assert memo.held_bytes <= 1500


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"v": 1},
        {
            "v": 1,
            "request": {},
            "outputs": [],
            "cost": {"in": 0, "out": 0, "fuel": None},
            "parts": [],
        },
        {"v": 1, "request": 3, "outputs": [3], "cost": {"in": 0, "out": 0}, "parts": []},
    ],
)
def test_a_node_that_is_not_a_frame_is_refused(node: Any) -> None:
    with pytest.raises(MalformedFrameError):
        Frame.from_node(node)
