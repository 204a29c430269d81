"""Step-wise search: a beam of plans, each tick growing every plan at one of its streams.

A candidate always stands for a whole plan: streams that are still open count as if the best codec
closed them. So the search may stop at any tick, and the best so far is ready.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cid_store.cid import Cid
from ring0.execution import StepFailedError, WorkLimitError
from ring0.plan import Dtype, Plan
from ring2_orchestrator.planner.moves import closings, depth, graft, moves
from ring2_orchestrator.planner.resolve import rank
from ring2_orchestrator.planner.yardstick import Yardstick

BEAM = 8
MAX_DEPTH = 6
MAX_TICKS = 24

# What a step must save on the sample to be kept: one that saves less has fitted the sample, and
# would still have to be executed at every decoding.
STEP_PRICE = 16

# Transforms of signals: trying one took up to 1.6 times the time and saved no byte on real series,
# grids, sound or pixels, where `delta` predicts better. Whoever wants one names it in a gene.
NOT_TRIED = frozenset({"cdf53", "haar", "hilbert_lift", "kravchuk", "mellin", "stft"})


@dataclass(frozen=True, slots=True)
class Stream:
    """One output of a candidate's plan: its type, its bytes on the sample, the best way to end."""

    dtype: Dtype
    data: bytes
    cid: Cid
    closing: Plan
    closed_bytes: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan under growth. `open` are the streams, by place, that may still grow."""

    plan: Plan
    streams: tuple[Stream, ...]
    open: tuple[int, ...]
    size: int

    @property
    def closed(self) -> Plan:
        """The plan with every stream ended in the best way known."""
        plan = self.plan
        numbers = {number: number for number in plan.streams}
        for number, stream in zip(self.plan.streams, self.streams, strict=True):
            plan, _, moved = graft(plan, numbers[number], stream.closing)
            numbers = {old: moved[new] for old, new in numbers.items() if new in moved}
        return plan


@dataclass(frozen=True, slots=True)
class Frontier:
    """The candidates after some ticks, best first, and the best plan seen so far."""

    search: "Search"
    candidates: tuple[Candidate, ...]
    best: Candidate
    ticks: int = 0

    @property
    def is_done(self) -> bool:
        """Whether no candidate can grow."""
        return not any(candidate.open for candidate in self.candidates)


class Search:
    """What every tick needs: the sample, the kernels, and what was already measured."""

    def __init__(self, yardstick: Yardstick) -> None:
        self.yardstick = yardstick
        tried = (kernel for kernel in yardstick.kernels if kernel.name not in NOT_TRIED)
        self._kernels = sorted(tried, key=lambda kernel: kernel.name)
        self._streams: dict[tuple[Dtype, Cid], Stream] = {}

    def start(self, plans: Sequence[tuple[Plan, Sequence[int]]]) -> Frontier | None:
        """A frontier of plans with the value numbers of their open streams."""
        found = [self._candidate(plan, frozenset(holes)) for plan, holes in plans]
        candidates = sorted((each for each in found if each is not None), key=_order)
        if not candidates:
            return None
        return Frontier(self, tuple(candidates), candidates[0])

    def children(self, candidate: Candidate) -> Iterator[Candidate]:
        """The candidate with its first open stream left as it is, or grown by one step."""
        at = candidate.open[0]
        rest = candidate.open[1:]
        yield Candidate(candidate.plan, candidate.streams, rest, candidate.size)
        number = candidate.plan.streams[at]
        if depth(candidate.plan, number) >= MAX_DEPTH:
            return
        before = candidate.streams[at]
        for move in moves(self._kernels, before.dtype):
            step = move.plan(before.dtype)
            plan, fresh, moved = graft(candidate.plan, number, step)
            made = self._run(step, before.data)
            if made is None or (len(made) == 1 and made[0].cid == before.cid and move.kernel):
                continue
            by_number = {moved[old]: s for old, s in _numbered(candidate) if old != number}
            by_number |= dict(zip(fresh, made, strict=True))
            holes = {moved[candidate.plan.streams[place]] for place in rest} | set(fresh)
            yield self._assemble(plan, by_number, frozenset(holes))

    def _candidate(self, plan: Plan, holes: frozenset[int]) -> Candidate | None:
        whole = self.yardstick.sample.data
        made = self._run(plan, whole[: len(whole) // plan.input.width * plan.input.width])
        if made is None:
            return None
        return self._assemble(plan, dict(zip(plan.streams, made, strict=True)), holes)

    def _assemble(
        self, plan: Plan, by_number: dict[int, Stream], holes: frozenset[int]
    ) -> Candidate:
        streams = tuple(by_number[number] for number in plan.streams)
        open_at = tuple(at for at, number in enumerate(plan.streams) if number in holes)
        steps = len(plan.steps) + sum(len(stream.closing.steps) for stream in streams)
        size = STEP_PRICE * steps + sum(stream.closed_bytes for stream in streams)
        return Candidate(plan, streams, open_at, size)

    def _run(self, plan: Plan, data: bytes) -> list[Stream] | None:
        try:
            outputs = self.yardstick.executor.forward(plan, data).outputs
        except (StepFailedError, WorkLimitError):
            return None
        types = plan.values
        return [
            self._stream(types[number], output)
            for number, output in zip(plan.streams, outputs, strict=True)
        ]

    def _stream(self, dtype: Dtype, data: bytes) -> Stream:
        key = (dtype, Cid.of(data))
        if key not in self._streams:
            closing, size = self._close(dtype, data)
            self._streams[key] = Stream(dtype, data, key[1], closing, size)
        return self._streams[key]

    def _close(self, dtype: Dtype, data: bytes) -> tuple[Plan, int]:
        best, size = Plan(dtype, ()), len(data)
        for closing in closings(self._kernels, dtype):
            try:
                outputs = self.yardstick.executor.forward(closing, data).outputs
            except (StepFailedError, WorkLimitError):
                continue
            closed = sum(map(len, outputs))
            if closed + STEP_PRICE * len(closing.steps) < size:
                best, size = closing, closed
        return best, size


def tick(frontier: Frontier, beam: int = BEAM) -> Frontier:
    """Grow every candidate at its first open stream and keep the best `beam` of the results."""
    found: dict[object, Candidate] = {}
    for candidate in frontier.candidates:
        children = frontier.search.children(candidate) if candidate.open else iter([candidate])
        for child in children:
            # Two plans that come to the same streams have the same future: the better one stays.
            key = (tuple((each.dtype, each.cid) for each in child.streams), child.open)
            if key not in found or _order(child) < _order(found[key]):
                found[key] = child
    kept = sorted(found.values(), key=_order)[:beam]
    best = min((frontier.best, *kept), key=_order)
    return Frontier(frontier.search, tuple(kept), best, frontier.ticks + 1)


def select_best(frontier: Frontier) -> Plan:
    """The plan that is expected to cost least on everything, among the best seen."""
    plans = {each.closed for each in (frontier.best, *frontier.candidates)}

    def order(plan: Plan) -> tuple[int, bytes]:
        size, steps, name = rank(frontier.search.yardstick, plan)
        return (size + STEP_PRICE * steps, name)

    return min(plans, key=order)


def run_search(frontier: Frontier, *, beam: int = BEAM, ticks: int = MAX_TICKS) -> Plan:
    """Tick until nothing can grow, or the ticks are used up; then the best plan."""
    while not frontier.is_done and frontier.ticks < ticks:
        frontier = tick(frontier, beam)
    return select_best(frontier)


def _numbered(candidate: Candidate) -> list[tuple[int, Stream]]:
    return list(zip(candidate.plan.streams, candidate.streams, strict=True))


def _order(candidate: Candidate) -> tuple[int, int, bytes]:
    return (candidate.size, len(candidate.plan.steps), candidate.plan.cid.digest)
