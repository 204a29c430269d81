"""Step-wise search: which steps a stream should take, and which codecs should end it.

Streams are independent of one another once they are made, so the search does not grow whole plans
but streams: a stream can be ended by a codec, or go on by a step to other streams. The plan of
fewest bytes whose decoding stays within the profile is put together from the ways of its streams
at any time, so the search may stop after any tick.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cid_store.cid import Cid
from ring0.plan import Dtype, Plan
from ring2_orchestrator.planner.entropy import estimate
from ring2_orchestrator.planner.moves import without_leading_bitcast
from ring2_orchestrator.planner.node import (
    Edge,
    Key,
    Node,
    Stream,
    Way,
    as_it_stands,
    best_ways,
    combined,
    joined,
    step_price,
)
from ring2_orchestrator.planner.periods import Periods
from ring2_orchestrator.planner.profile import BALANCED, Profile
from ring2_orchestrator.planner.resolve import rank
from ring2_orchestrator.planner.sample import Sample
from ring2_orchestrator.planner.trials import Trials, dear_codecs, middle
from ring2_orchestrator.planner.yardstick import Yardstick

BEAM = 8
MAX_DEPTH = 6
MAX_TICKS = 24
MOST_CANDIDATES = 12

# What a small file may cost beyond its bytes: a millisecond, as tables are set up once.
_FREE = 10_000_000
# A plan is first tried on so much, and never asked for more than so many times the limit.
_GLIMPSE_BYTES = 1 << 13
_SLOWEST = 2
# Decoding a sample within such a limit takes no longer than another look at the plan would.
_LONG = 1 << 28
# A stream that takes less than this part of the whole is left as it is.
_MATTERS = 200
# So many steps in a row may only rearrange a stream, and so many ways to do it are kept for each.
_MOST_IDLE = 2
_REARRANGING = 3
# Of a gene's first steps so many settings are gone on with, if they promise to save anything: to
# leave no more than so many percent of what the data is estimated to take as it stands.
_VARIANTS = 2
_PROMISING = 98
_MOST = 1 << 62
# Growing a stream is hoped to save this part of it; where that would not do, it is left alone.
_HOPE = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plan, what it comes to on the sample with the price of its steps, and its decode fuel."""

    plan: Plan
    size: int
    fuel: int


@dataclass(frozen=True, slots=True)
class Root:
    """Where a search starts: a plan, and the nodes of its streams; some of them may grow."""

    plan: Plan
    fuel: int
    nodes: tuple[Node, ...]
    holes: frozenset[int]

    @property
    def estimated(self) -> int:
        """What its streams are estimated to take."""
        return sum(node.estimated for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Frontier:
    """The plans seen so far, best first, and the streams that were grown."""

    search: "Search"
    roots: tuple[Root, ...]
    opened: frozenset[Node]
    candidates: tuple[Candidate, ...]
    ticks: int = 0

    @property
    def best(self) -> Candidate:
        """The plan that takes least on the sample."""
        return self.candidates[0]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to grow, or the search has used its fuel up."""
        return self.search.is_spent or self.search.next_node(self.roots, self.opened) is None


class Search:
    """What every tick needs: the sample, the kernels, and what was already measured."""

    def __init__(
        self,
        yardstick: Yardstick,
        *,
        profile: Profile = BALANCED,
        periods: Periods | None = None,
    ) -> None:
        self.yardstick = yardstick
        self.profile = profile
        sample = yardstick.sample
        self.limit = self._limit_for(sample)
        self._glimpse = yardstick
        if len(sample.data) > _GLIMPSE_BYTES:
            part = Sample(middle(sample.data, _GLIMPSE_BYTES), sample.total)
            self._glimpse = Yardstick(part, yardstick.executor, yardstick.kernels)
        self._dear = dear_codecs(self._glimpse, self._coding(self._glimpse.sample))
        self.periods = periods or Periods()
        self._budget = profile.search_limit(yardstick.sample.total)
        self._trials = Trials(
            yardstick,
            self.periods,
            budget=self._budget,
            coding=self._coding(sample),
            dear=self._dear,
        )
        self._nodes: dict[Key, Node] = {}
        # By the number of ticks: what was grown last from such a frontier, with what beam, to what.
        self._ticked: dict[int, tuple[Frontier, int, Frontier]] = {}

    @property
    def is_spent(self) -> bool:
        """Whether the search has used up its fuel."""
        return self._trials.spent >= self._budget

    def codes(self, plan: Plan) -> bool:
        """Whether coding a few bytes takes no more than the profile grants, where it applies."""
        if self._dear.isdisjoint(plan.kernels):
            return True
        return self._glimpse.codes(plan, self._coding(self._glimpse.sample))

    def fits(self, plan: Plan, *, times: int = 1, seen: Yardstick | None = None) -> bool:
        """Whether a plan codes and decodes as quickly as the profile asks, where it applies at all.

        Or decodes so many times as slowly, two at most. It is seen on the sample of the search's
        own yardstick, or of another.
        """
        yardstick = self.yardstick if seen is None else seen
        return self._seems_fit(plan, times) and _within(
            yardstick, plan, self._limit_for(yardstick.sample), times
        )

    def effort(self, plan: Plan) -> int:
        """The effort of decoding the sample, or twice the limit where that is not enough."""
        most = _SLOWEST * self.limit
        taken = self.yardstick.effort(plan, most)
        return most if taken is None else taken

    def _seems_fit(self, plan: Plan, times: int) -> bool:
        """What is too slow by far shows that on a few bytes, whatever it costs to set up."""
        if self.limit < _LONG and self._dear.isdisjoint(plan.kernels):
            return True
        glanced = self.profile.decode_fuel * len(self._glimpse.sample.data) + _FREE
        return self.codes(plan) and _within(self._glimpse, plan, glanced, times)

    def _limit_for(self, sample: Sample) -> int:
        return self.profile.decode_fuel * len(sample.data) + _FREE * sample.is_whole

    def _coding(self, sample: Sample) -> int:
        return self.profile.encode_fuel * len(sample.data) + _FREE * sample.is_whole

    def start(self, plans: Sequence[tuple[Plan, Sequence[int]]]) -> Frontier | None:
        """A frontier of plans with the value numbers of their open streams."""
        found = [self._root(plan, frozenset(holes)) for plan, holes in plans]
        roots = tuple(self._kept(root for root in found if root is not None))
        return self._frontier(roots, frozenset(), 0) if roots else None

    def _kept(self, roots: Iterable[Root]) -> Iterator[Root]:
        """Of roots that differ in parameters alone the best, their streams ended in every way.

        Whoever wrote the first steps meant something by them: what follows is tried in earnest.
        """
        view = _View(frozenset(), self.limit)
        roots = list(roots)
        bare = [root.estimated for root in roots if not root.plan.steps]
        promising = min(bare, default=_MOST) * _PROMISING // 100
        groups: dict[tuple[Dtype | Cid | None, ...], list[Root]] = {}
        for root in roots:
            if root.plan.steps and root.estimated > promising:
                continue
            kernels = (root.plan.input, *(step.kernel for step in root.plan.steps))
            groups.setdefault(kernels, []).append(root)
        for group in groups.values():
            for root in sorted(group, key=view.size)[:_VARIANTS]:
                if root.plan.steps and not self.is_spent:
                    for at in root.holes:
                        self._end(root.nodes[at])
                yield root

    def _end(self, node: Node) -> None:
        every = [*node.endings, *self._trials.all_endings(node.stream, self.limit)]
        node.endings = list(best_ways(every, self.limit))

    def tick(self, frontier: Frontier, beam: int) -> Frontier:
        """Grow the streams from which most is hoped for; the same from the same, if asked again."""
        old, width, grown = self._ticked.get(frontier.ticks, (None, 0, frontier))
        if old is not frontier or width != beam:
            grown = self._grown(frontier, beam)
            self._ticked[frontier.ticks] = frontier, beam, grown
        return grown

    def _grown(self, frontier: Frontier, beam: int) -> Frontier:
        opened = frontier.opened
        for _ in range(beam):
            # One after another: what the first saves may leave no hope for the next.
            node = None if self.is_spent else self.next_node(frontier.roots, opened)
            if node is None:
                break
            self._open(node)
            opened = opened | {node}
        return self._frontier(frontier.roots, opened, frontier.ticks + 1)

    def next_node(self, roots: tuple[Root, ...], opened: frozenset[Node]) -> Node | None:
        """The stream to grow next, the one that promises most; None where none does."""
        view = _View(opened, self.limit)
        total = min(view.size(root) for root in roots)
        waiting = [(view.size(root), root.nodes[at]) for root in roots for at in root.holes]
        hopes: dict[Node, int] = {}
        seen: dict[Node, int] = {}
        while waiting:
            through, node = waiting.pop()
            if seen.get(node, through + 1) <= through:
                continue
            seen[node] = through
            best = view.best(node)
            if node not in opened:
                hope = through - best.size + _hoped(node, best)
                if hope < total and best.size * _MATTERS >= total and _may_grow(node):
                    hopes[node] = hope
                continue
            for edge in node.edges:
                cost = view.through(edge)
                if cost is not None:
                    waiting += [(through - best.size + cost, child) for child in edge.children]
        return min(hopes, key=lambda node: (hopes[node], -node.depth, _name(node)), default=None)

    def _open(self, node: Node) -> None:
        if node.is_open:
            return
        node.is_open = True
        node.more_endings = list(self._trials.all_endings(node.stream, self.limit))
        gaining: list[Edge] = []
        rearranging: list[Edge] = []
        for move, is_idle in self._trials.steps(node.stream, self.profile.beam):
            step = move.plan(node.stream.dtype)
            edge = self._edge(node, step, node.idle + 1 if is_idle else 0)
            if edge is not None:
                (rearranging if is_idle else gaining).append(edge)
        # Estimates do not tell rearrangements apart, codecs do.
        rearranging.sort(key=lambda edge: sum(child.endings[0].size for child in edge.children))
        node.edges = [*gaining, *rearranging[:_REARRANGING]]

    def _edge(self, node: Node, step: Plan, idle: int) -> Edge | None:
        made = self._trials.run(step, node.stream.data)
        if made is None or made.fuel > self.limit:
            return None
        children = [
            self._node(dtype, data, node.depth + 1, idle)
            for dtype, data in zip(step.steps[0].outputs, made.outputs, strict=True)
        ]
        # Only ever away from the root: a step that is undone by the next leads nowhere.
        if any(child.depth <= node.depth for child in children):
            return None
        return Edge(step, step_price(node.stream), made.fuel, tuple(children))

    def _root(self, plan: Plan, holes: frozenset[int]) -> Root | None:
        whole = self.yardstick.sample.data
        made = self._trials.run(plan, whole[: len(whole) // plan.input.width * plan.input.width])
        if made is None or made.fuel > self.limit:
            return None
        types = plan.values
        nodes = [
            self._node(types[number], data, 0, 0)
            for number, data in zip(plan.streams, made.outputs, strict=True)
        ]
        places = frozenset(at for at, number in enumerate(plan.streams) if number in holes)
        return Root(plan, made.fuel, tuple(nodes), places)

    def _node(self, dtype: Dtype, data: bytes, depth: int, idle: int) -> Node:
        stream = Stream(dtype, data, Cid.of(data))
        if stream.key not in self._nodes:
            ways = self._trials.quick_endings(stream, self.limit)
            endings = list(best_ways(ways, self.limit))
            self._nodes[stream.key] = Node(stream, depth, idle, endings, estimate(dtype, data))
        node = self._nodes[stream.key]
        node.idle = min(node.idle, idle)
        return node

    def _frontier(self, roots: tuple[Root, ...], opened: frozenset[Node], ticks: int) -> Frontier:
        view = _View(opened, self.limit)
        ways = sorted(
            ((way.size, way.fuel, root, way) for root in roots for way in view.candidates(root)),
            key=lambda each: (each[0], each[1], each[3].steps),
        )
        found: dict[Plan, Candidate] = {}
        for size, fuel, root, way in ways:
            if len(found) < MOST_CANDIDATES:
                plan = without_leading_bitcast(
                    joined(root.plan, [part.plan() for part in way.parts])
                )
                found.setdefault(plan, Candidate(plan, size, fuel))
        return Frontier(self, roots, opened, tuple(found.values()), ticks)


class _View:
    """The ways of streams, as far as they were grown."""

    def __init__(self, opened: frozenset[Node], limit: int) -> None:
        self._opened = opened
        self._limit = limit
        self._ways: dict[Node, tuple[Way, ...]] = {}
        self._through: dict[int, list[Way]] = {}

    def ways(self, node: Node) -> tuple[Way, ...]:
        """The ways from a stream on that no other beats."""
        if node not in self._ways:
            self._ways[node] = best_ways(self._on(node), self._limit)
        return self._ways[node]

    def best(self, node: Node) -> Way:
        """The smallest way from a stream on; storing it is always one."""
        return self.ways(node)[0]

    def through(self, edge: Edge) -> int | None:
        """The bytes of the smallest way from a stream over one of its steps."""
        ways = self._over(edge)
        return min((way.size for way in ways), default=None)

    def size(self, root: Root) -> int:
        """The bytes of the smallest plan from a root."""
        return sum(ways[0].size for ways in self._choices(root))

    def candidates(self, root: Root) -> Iterator[Way]:
        """Whole ways from a root, one at least for each step that its first stream may take."""
        choices = self._choices(root)
        whole = Edge(root.plan, 0, root.fuel, root.nodes)
        yield from combined(whole, choices, self._limit)
        if len(root.nodes) == 1 and root.holes:
            for way in self._on(root.nodes[0], 1):
                yield from combined(whole, [(way,)], self._limit)

    def _choices(self, root: Root) -> list[tuple[Way, ...]]:
        return [
            self.ways(node) if at in root.holes else (as_it_stands(node.stream),)
            for at, node in enumerate(root.nodes)
        ]

    def _on(self, node: Node, most: int | None = None) -> Iterator[Way]:
        """The ways to end at a node or to go on, through every step at most so many."""
        yield from node.endings
        if node in self._opened:
            yield from node.more_endings
            for edge in node.edges:
                yield from self._over(edge)[:most]

    def _over(self, edge: Edge) -> list[Way]:
        if id(edge) not in self._through:
            parts = [self.ways(child) for child in edge.children]
            self._through[id(edge)] = combined(edge, parts, self._limit)
        return self._through[id(edge)]


def _within(yardstick: Yardstick, plan: Plan, limit: int, times: int) -> bool:
    # Asked for with the same bound every time, so that the answer is known the next time.
    taken = yardstick.effort(plan, _SLOWEST * limit)
    return taken is not None and taken <= times * limit


def tick(frontier: Frontier, beam: int = BEAM) -> Frontier:
    """Grow the `beam` streams from which most is hoped for."""
    return frontier.search.tick(frontier, beam)


def select_best(frontier: Frontier) -> Plan:
    """The plan that is expected to cost least on everything, among the best seen."""
    return select(frontier)[0]


def select(frontier: Frontier) -> list[Plan]:
    """The best plans seen, by what they are expected to cost on everything."""
    yardstick = frontier.search.yardstick
    return sorted(
        (each.plan for each in frontier.candidates), key=lambda plan: rank(yardstick, plan)
    )


def run_search(frontier: Frontier, *, beam: int = BEAM, ticks: int = MAX_TICKS) -> Frontier:
    """Tick until nothing can grow, or the fuel or the ticks are used up."""
    while frontier.ticks < ticks and not frontier.is_done:
        frontier = tick(frontier, beam)
    return frontier


def _may_grow(node: Node) -> bool:
    return node.depth < MAX_DEPTH and node.idle < _MOST_IDLE


def _hoped(node: Node, best: Way) -> int:
    """What a stream may come to once it is grown."""
    least = min(best.size, node.estimated)
    # Nothing is known yet of what suits a type of lanes.
    return least // 2 if node.depth == 0 else least - least // _HOPE


def _name(node: Node) -> tuple[bool, int, bytes]:
    dtype = node.stream.dtype
    return (dtype.value.startswith("f"), dtype.width, node.stream.cid.digest)
