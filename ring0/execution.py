"""Execution of plans, forward and inverse, on the host's kernels; memoised by CID where wanted."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cid_store.cid import Cid
from cid_store.encoding import decode
from cid_store.errors import InputError, UsageError
from cid_store.store import Buffer, Store
from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.frame import Cost, Frame, Operation, Request, root_name
from ring0.kernel import Kernel
from ring0.outcome import Outcome, Result, sentence
from ring0.plan import Dtype, Plan, Step
from ring0.program import Program, Ran
from ring0.signature import parameter_bytes

_KEPT_PROGRAMS = 32


class StepFailedError(InputError):
    """A call came to something else than a result; `step` is its place in a plan, from 0."""

    def __init__(self, kernel: Kernel, outcome: Outcome, *, step: int | None = None) -> None:
        super().__init__(f"kernel '{kernel.name}': {sentence(outcome)}")
        self.kernel = kernel
        self.step = step
        self.outcome = outcome


class WorkLimitError(InputError):
    """A plan asked for more bytes to be worked on than its limits allow."""


class Caller(Protocol):
    """The part of the host that execution needs."""

    def call(
        self, kernel: Kernel, op: Op, params: bytes, inputs: Sequence[Buffer], boundary: Boundary
    ) -> Outcome:
        """Call one kernel within a boundary; whatever happens is the outcome."""
        ...

    def run(
        self, program: Program, given: Sequence[Buffer], boundary: Boundary, work_bytes: int
    ) -> Ran | None:
        """Run a whole program at once, or None where it has to go call by call."""
        ...


class Memo(Protocol):
    """Where answers to requests are kept. Frames are made only for a memo that keeps them."""

    keeps_frames: bool

    def find(self, request: Request) -> "Answer | None":
        """The answer to an equal request, or None."""
        ...

    def keep(self, request: Request, outputs: Sequence[bytes], fuel: int | None) -> "Answer":
        """Remember an answer, and give it back with the outputs' names."""
        ...

    def seal(self, frames: Sequence[Frame]) -> None:
        """Take note that an execution ended and these are its frames, parts before wholes."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of a request, with their names."""

    outputs: list[bytes]
    cids: tuple[Cid, ...]
    fuel: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one execution of a plan may use: deterministic, so a plan fails everywhere or nowhere.

    `value_bytes` bounds the outputs of each call, `work_bytes` the bytes that all calls together
    take and give. `fuel` meters every call where the host can; None leaves calls unmetered.
    """

    value_bytes: int = 256 * MIB
    work_bytes: int = 1 << 40
    memory_bytes: int = 2048 * MIB
    wall_ms: int = 60_000
    fuel: int | None = None

    def boundary(self) -> Boundary:
        """The boundary of one call."""
        return Boundary(
            fuel=self.fuel,
            memory_bytes=self.memory_bytes,
            output_bytes=self.value_bytes,
            wall_ms=self.wall_ms,
        )


@dataclass(slots=True)
class Execution:
    """What executing a plan came to. There are frames only where a memo keeps them.

    What was remembered counts in `fuel`, `work_bytes` and `kernel_fuel`, which has the fuel of each
    kernel, as if it had been done; `new_fuel` is without it. Without metering, fuel is None.
    """

    outputs: list[bytes]
    fuel: int | None
    work_bytes: int
    frames: list[Frame] = field(default_factory=list[Frame])
    kernel_fuel: dict[Cid, int] = field(default_factory=dict[Cid, int])
    new_fuel: int | None = None


class Executor:
    """Runs plans step by step. Kernels are found by CID; unknown ones raise in `find_kernel`."""

    def __init__(
        self,
        host: Caller,
        find_kernel: Callable[[Cid], Kernel],
        *,
        memo: Memo | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._host = host
        self._find = find_kernel
        self._memo = memo
        self._limits = limits if limits is not None else Limits()
        self._programs = _Programs(find_kernel)

    def with_limits(self, limits: Limits, *, memo: Memo | None = None) -> "Executor":
        """The same host and kernels under other limits, with another memo or none."""
        other = Executor(self._host, self._find, memo=memo, limits=limits)
        other._programs = self._programs
        return other

    @property
    def memo(self) -> Memo | None:
        """Where answers are kept, if anywhere."""
        return self._memo

    def kernel(self, cid: Cid) -> Kernel:
        """The kernel of that name."""
        return self._find(cid)

    def forward(self, plan: Plan, data: Buffer) -> Execution:
        """The streams the plan makes of `data`, in order.

        Raises StepFailedError where a kernel refuses, WorkLimitError past the limits.
        """
        if len(data) % plan.input.width:
            raise UsageError(f"{len(data):,} bytes are not whole elements of {plan.input}")
        if (whole := self._at_once(plan, Op.FORWARD, [data])) is not None:
            return whole
        run = _Run(self._host, self._find, self._memo, self._limits)
        if (known := run.recall(plan, Operation.FORWARD, [data])) is not None:
            return known
        values: dict[int, Buffer] = {0: data}
        types = plan.values
        made = 1
        for run.at, step in enumerate(plan.steps):
            inputs = [values.pop(value) for value in step.inputs]
            outputs = run.step(step, Op.FORWARD, inputs, [types[value] for value in step.inputs])
            for output in outputs:
                values[made] = output
                made += 1
        streams = [_owned(values[value]) for value in plan.streams]
        return run.finish(plan, Operation.FORWARD, [data], streams)

    def inverse(self, plan: Plan, streams: Sequence[Buffer]) -> Execution:
        """The one value the plan made these streams of. Raises like `forward`."""
        if len(streams) != len(plan.streams):
            raise UsageError(f"the plan has {len(plan.streams)} streams, not {len(streams)}")
        if (whole := self._at_once(plan, Op.INVERSE, streams)) is not None:
            return whole
        run = _Run(self._host, self._find, self._memo, self._limits)
        if (known := run.recall(plan, Operation.INVERSE, streams)) is not None:
            return known
        values: dict[int, Buffer] = dict(zip(plan.streams, streams, strict=True))
        types = plan.values
        first = len(types)
        for run.at, step in reversed([*enumerate(plan.steps)]):
            first -= len(step.outputs)
            given = [values.pop(first + at) for at in range(len(step.outputs))]
            taken = run.step(step, Op.INVERSE, given, [types[value] for value in step.inputs])
            values.update(zip(step.inputs, taken, strict=True))
        return run.finish(plan, Operation.INVERSE, streams, [_owned(values[0])])

    def _at_once(self, plan: Plan, op: Op, given: Sequence[Buffer]) -> Execution | None:
        """The execution without anything between its calls, where nothing has to be."""
        limits = self._limits
        if self._memo is not None or limits.fuel is not None or not plan.steps:
            return None
        program = self._programs.of(plan, op)
        ran = self._host.run(program, given, limits.boundary(), limits.work_bytes)
        if ran is None:
            return None
        if ran.failed is None:
            return Execution(ran.outputs, None, ran.work_bytes)
        if ran.outcome is None:
            raise _too_much_work(limits)
        raise StepFailedError(ran.failed.kernel, ran.outcome, step=ran.failed.step)


class _Programs:
    """The programs of the plans executed last."""

    def __init__(self, find: Callable[[Cid], Kernel]) -> None:
        self._find = find
        self._known: dict[tuple[int, Op], tuple[Plan, Program]] = {}

    def of(self, plan: Plan, op: Op) -> Program:
        """The plan's program. Raises ParameterError and what the finder of kernels raises."""
        # By identity, which costs nothing: the plan is held, so no other takes its place.
        key = (id(plan), op)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _KEPT_PROGRAMS:
                self._known.clear()
            known = self._known[key] = (plan, Program.of(plan, op, self._find))
        return known[1]


class StoreMemo:
    """Answers kept in a store: outputs as objects, frames as nodes named after their requests."""

    keeps_frames = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsealed: dict[Request, Answer] = {}

    def find(self, request: Request) -> Answer | None:
        """The answer the store holds, every byte checked; None when any part is not there."""
        if request in self._unsealed:
            return self._unsealed[request]
        cid = self._store.root(root_name(request))
        if cid is None or not self._store.has(cid):
            return None
        frame = Frame.from_node(decode(self._store.get(cid)))
        if frame.request != request or not all(map(self._store.has, frame.outputs)):
            return None
        outputs = [self._store.get(output) for output in frame.outputs]
        return Answer(outputs, frame.outputs, frame.cost.fuel)

    def keep(self, request: Request, outputs: Sequence[bytes], fuel: int | None) -> Answer:
        """Remember an answer until its frame is sealed."""
        answer = Answer(list(outputs), tuple(map(Cid.of, outputs)), fuel)
        self._unsealed[request] = answer
        return answer

    def seal(self, frames: Sequence[Frame]) -> None:
        """Put every new output and every frame, with one wait for the disk."""
        with self._store.batch():
            for answer in self._unsealed.values():
                self._store.put_many(answer.outputs)
            for frame in frames:
                frame.keep(self._store)
        self._unsealed.clear()


class RecentMemo:
    """Answers kept in memory, the least recently used dropped beyond a number of bytes."""

    keeps_frames = False

    def __init__(self, limit_bytes: int = 64 * MIB) -> None:
        self._limit_bytes = limit_bytes
        self.held_bytes = 0
        self._answers: OrderedDict[Request, Answer] = OrderedDict()

    def find(self, request: Request) -> Answer | None:
        """The answer, if it is still held."""
        answer = self._answers.get(request)
        if answer is not None:
            self._answers.move_to_end(request)
        return answer

    def keep(self, request: Request, outputs: Sequence[bytes], fuel: int | None) -> Answer:
        """Hold an answer, dropping old ones to stay within the limit."""
        answer = Answer(list(outputs), tuple(map(Cid.of, outputs)), fuel)
        size = sum(map(len, outputs))
        if size <= self._limit_bytes:
            self._answers[request] = answer
            self.held_bytes += size
        while self.held_bytes > self._limit_bytes:
            _, dropped = self._answers.popitem(last=False)
            self.held_bytes -= sum(map(len, dropped.outputs))
        return answer

    def seal(self, frames: Sequence[Frame]) -> None:
        """Nothing: what is held in memory is findable already."""


class _Run:
    """One execution under way: the step it is at, what it used, and the frames it made."""

    def __init__(
        self, host: Caller, find: Callable[[Cid], Kernel], memo: Memo | None, limits: Limits
    ) -> None:
        self._host = host
        self._find = find
        self._memo = memo
        self._limits = limits
        self._boundary = limits.boundary()
        self.at = 0
        self._work_bytes = 0
        self._fuel: int | None = 0
        self._kernel_fuel: dict[Cid, int] = {}
        self._new_fuel: int | None = 0
        self._frames: list[Frame] = []
        # Names of values already hashed, by object: a value is hashed once, however often it is
        # used. The value is held beside its name, so its id is not taken by another.
        self._names: dict[int, tuple[Buffer, Cid]] = {}

    def recall(self, plan: Plan, operation: Operation, given: Sequence[Buffer]) -> Execution | None:
        """The whole plan's answer, where the memo holds it."""
        if self._memo is None or not self._memo.keeps_frames:
            return None
        request = Request(plan.cid, operation, b"", tuple(map(self._name, given)))
        answer = self._memo.find(request)
        return None if answer is None else Execution(answer.outputs, answer.fuel, 0)

    def step(
        self, step: Step, op: Op, given: Sequence[Buffer], types: Sequence[Dtype]
    ) -> list[bytes] | list[Buffer]:
        """The other side of one step."""
        if step.kernel is None:
            return list(given)
        kernel = self._find(step.kernel)
        params = parameter_bytes(kernel.manifest, step, types)
        if self._memo is None:
            return self._call(kernel, op, params, given)[0]
        return self._remembered(self._memo, kernel, op, params, given)

    def finish(
        self, plan: Plan, operation: Operation, given: Sequence[Buffer], outputs: list[bytes]
    ) -> Execution:
        """The whole execution, with a frame for the plan itself where frames are made."""
        if self._memo is not None and self._memo.keeps_frames:
            request = Request(plan.cid, operation, b"", tuple(map(self._name, given)))
            cids = tuple(map(self._name, outputs))
            cost = Cost(sum(map(len, given)), sum(map(len, outputs)), self._fuel)
            parts = tuple(dict.fromkeys(frame.cid for frame in self._frames))
            self._frames.append(Frame(request, cids, cost, parts))
            self._memo.seal(self._frames)
        return Execution(
            outputs,
            self._fuel,
            self._work_bytes,
            self._frames,
            self._kernel_fuel,
            self._new_fuel,
        )

    def _remembered(
        self, memo: Memo, kernel: Kernel, op: Op, params: bytes, given: Sequence[Buffer]
    ) -> list[bytes]:
        operation = Operation.FORWARD if op is Op.FORWARD else Operation.INVERSE
        request = Request(kernel.cid, operation, params, tuple(map(self._name, given)))
        answer = memo.find(request)
        if answer is None:
            outputs, fuel = self._call(kernel, op, params, given)
            answer = memo.keep(request, outputs, fuel)
        else:
            # What is remembered counts as if it were done: a plan costs the same every time.
            self._spend(sum(map(len, given)) + sum(map(len, answer.outputs)))
            self._use(kernel, answer.fuel)
        for output, cid in zip(answer.outputs, answer.cids, strict=True):
            self._names[id(output)] = (output, cid)
        if memo.keeps_frames:
            cost = Cost(sum(map(len, given)), sum(map(len, answer.outputs)), answer.fuel)
            self._frames.append(Frame(request, answer.cids, cost))
        return answer.outputs

    def _call(
        self, kernel: Kernel, op: Op, params: bytes, given: Sequence[Buffer]
    ) -> tuple[list[bytes], int | None]:
        self._spend(sum(map(len, given)))
        outcome = self._host.call(kernel, op, params, given, self._boundary)
        if not isinstance(outcome, Result):
            raise StepFailedError(kernel, outcome, step=self.at)
        self._spend(sum(map(len, outcome.outputs)))
        self._use(kernel, outcome.fuel)
        self._new_fuel = _sum(self._new_fuel, outcome.fuel)
        return outcome.outputs, outcome.fuel

    def _use(self, kernel: Kernel, fuel: int | None) -> None:
        if fuel is not None:
            self._kernel_fuel[kernel.cid] = self._kernel_fuel.get(kernel.cid, 0) + fuel
        self._fuel = _sum(self._fuel, fuel)

    def _spend(self, size: int) -> None:
        self._work_bytes += size
        if self._work_bytes > self._limits.work_bytes:
            raise _too_much_work(self._limits)

    def _name(self, value: Buffer) -> Cid:
        held = self._names.get(id(value))
        if held is None:
            held = self._names[id(value)] = (value, Cid.of(value))
        return held[1]


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second


def _too_much_work(limits: Limits) -> WorkLimitError:
    return WorkLimitError(
        f"the plan works on more than {limits.work_bytes:,} bytes, its limit here"
    )


def _owned(value: Buffer) -> bytes:
    return value if isinstance(value, bytes) else bytes(value)
