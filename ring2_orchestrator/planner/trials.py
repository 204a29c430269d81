"""Steps and endings tried on streams of the sample: which settings suit them, what they cost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.errors import InputError
from ring0.execution import StepFailedError
from ring0.kernel import Kernel
from ring0.outcome import OutOfFuel
from ring0.plan import Dtype, Plan
from ring0.signature import accepted, bind, takes_several
from ring2_orchestrator.container import limits
from ring2_orchestrator.planner.effort import effort
from ring2_orchestrator.planner.entropy import estimate
from ring2_orchestrator.planner.moves import (
    Move,
    closing,
    defaults,
    is_codec,
    is_splitter,
    variations,
)
from ring2_orchestrator.planner.node import (
    Edge,
    Stream,
    Way,
    as_it_stands,
    best_ways,
    combined,
    step_price,
)
from ring2_orchestrator.planner.periods import Periods
from ring2_orchestrator.planner.yardstick import Yardstick

# Settings are compared on so much of a stream, from its middle.
_PROBE_BYTES, _LEAST_PROBE_BYTES = 1 << 15, 1 << 14
_GLANCE_BYTES = 1 << 11
# A codec that takes more fuel than this for a byte, there and back, is tried last. What is not
# executed by the engine is among the quick ones: streams that no codec was tried on look alike.
_QUICK = 1500
# What is not executed by the engine costs fuel, too: an estimate and an encoder of another kind
# for each byte, and every call.
_ESTIMATE = 30
_UNMETERED = 1000
_CALL = 300_000
_AMPLE = 1 << 62
_WIDEST = 8
_SMALL = 64
# A step gains if it saves more than this part.
_GAIN = 64
# How many settings of one kernel are worth more than an estimate.
_SETTINGS = 2
_PASSES = 2
# No kernel's settings on one stream take more than this part of all that a search may cost.
_PART = 64


# A codec, its parameters, the type it takes, and the bytes.
_Coding = tuple[Cid, tuple[int, ...], Dtype, Cid]


class Made(NamedTuple):
    """What a plan made of a stream, and the effort of undoing it."""

    outputs: list[bytes]
    fuel: int


class Trials:
    """Runs steps on streams, and counts the fuel that this takes."""

    def __init__(
        self,
        yardstick: Yardstick,
        periods: Periods,
        *,
        budget: int,
        coding: int,
        dear: frozenset[Cid],
    ) -> None:
        """`coding` is the fuel that a plan may take to code any stream; `dear` codecs need more."""
        kernels = yardstick.kernels
        self._executor = yardstick.executor
        self._kernels = kernels
        self._budget = budget
        self._coding = coding
        # Of a small sample not all, since every setting of every kernel is tried on it.
        half = len(yardstick.sample.data) // 2
        self._probe_bytes = min(max(half, _LEAST_PROBE_BYTES), _PROBE_BYTES)
        self._periods = periods
        searched = (kernel for kernel in kernels if kernels.is_searched(kernel.cid))
        ordered = [kernel for kernel in searched if not takes_several(kernel.manifest)]
        self._splitters = [kernel for kernel in ordered if is_splitter(kernel.manifest)]
        self.movers = [kernel for kernel in ordered if not is_codec(kernel.manifest)]
        self.codecs = [kernel for kernel in ordered if is_codec(kernel.manifest)]
        # Fuel for a byte, there and back, as it was when a codec was first tried.
        self._price = dict.fromkeys(dear, _QUICK + 1)
        self._dear = dear
        self._coded: dict[_Coding, tuple[int, int] | None] = {}
        self.spent = 0

    def run(self, plan: Plan, data: bytes) -> Made | None:
        """What a plan makes of some bytes; None where it refuses or does not give them back."""
        executor = self._executor.with_limits(replace(limits(len(data)), fuel=self._coding))
        try:
            there = executor.forward(plan, data)
            back = executor.inverse(plan, there.outputs)
        except StepFailedError as error:
            if isinstance(error.outcome, OutOfFuel):
                self.spent += self._coding
            return None
        except InputError:
            return None
        there_fuel = _UNMETERED * len(data) if there.new_fuel is None else there.new_fuel
        self.spent += there_fuel + (back.new_fuel or 0) + 2 * _CALL
        made = Made(there.outputs, effort(back, self._kernels))
        return made if back.outputs == [data] else None

    def quick_endings(self, stream: Stream, limit: int) -> Iterator[Way]:
        """The codecs that cost little to try, set by default: on lanes, or on each byte."""
        yield as_it_stands(stream)
        for kernel in self.codecs:
            if self._price.get(kernel.cid, 0) <= _QUICK:
                way = self._ending(kernel, defaults(kernel.manifest), stream)
                if way is not None and way.fuel <= limit:
                    yield way
        for kernel in self._splitters:
            if stream.dtype in accepted(kernel.manifest):
                yield from self._split_ending(kernel, stream, limit)

    def _split_ending(self, kernel: Kernel, stream: Stream, limit: int) -> Iterator[Way]:
        outputs = bind(kernel.manifest, [stream.dtype]).outputs
        step = Move(kernel, (), outputs).plan(stream.dtype)
        made = self.run(step, stream.data)
        if made is None:
            return
        planes = [Stream(Dtype.U8, plane, Cid.of(plane)) for plane in made.outputs]
        ways = [best_ways(self.quick_endings(plane, limit), limit) for plane in planes]
        yield from combined(Edge(step, step_price(stream), made.fuel, ()), ways, limit)

    def all_endings(self, stream: Stream, limit: int) -> Iterator[Way]:
        """The dear codecs too, and all of them with the settings that suit the stream."""
        probe = _middle_of(stream, self._probe_bytes)
        for kernel in self.codecs:
            # What is too slow by far as it stands is so with any setting; what is dear, on less.
            seen = (
                (_middle_of(stream, _GLANCE_BYTES), probe) if kernel.cid in self._dear else (probe,)
            )
            if not all(self._may_end(kernel, stream, part, limit) for part in seen):
                continue
            settings = [defaults(kernel.manifest)]
            if kernel.manifest.parameters:
                settings += self._suiting(kernel, probe, limit)
            for setting in dict.fromkeys(settings):
                way = self._ending(kernel, setting, stream)
                if way is not None:
                    yield way

    def _may_end(self, kernel: Kernel, stream: Stream, part: Stream, limit: int) -> bool:
        """Whether a codec is no more than twice as slow on a part of a stream as it may be."""
        way = self._ending(kernel, defaults(kernel.manifest), part)
        return way is not None and way.fuel * len(stream.data) <= 2 * limit * len(part.data)

    def _suiting(self, kernel: Kernel, probe: Stream, limit: int) -> list[tuple[int, ...]]:
        """The settings with which a codec does best on a part of a stream."""

        def size(setting: tuple[int, ...]) -> int | None:
            tried = self._ending(kernel, setting, probe)
            return None if tried is None or tried.fuel > limit else tried.size

        return self._settings(kernel, probe.dtype, size)[:_SETTINGS]

    def steps(self, stream: Stream, most: int) -> list[tuple[Move, bool]]:
        """The best steps that fit a stream, and whether each only rearranges it.

        A step gains by what its outputs are estimated to take.
        """
        probe = middle(stream.data, self._probe_bytes)
        found: list[tuple[int, Move]] = []
        for kernel in self.movers:
            if stream.dtype in accepted(kernel.manifest):
                found += self._moves(kernel, stream.dtype, probe)
        if stream.dtype.value.startswith("f"):
            whole = Dtype(f"u{stream.dtype.value[1:]}")
            found.append((estimate(whole, probe), Move(None, (), (whole,))))
        found.sort(key=lambda each: each[0])
        before = estimate(stream.dtype, probe)
        gaining = [move for size, move in found if size < before - before // _GAIN]
        others = [move for size, move in found if size >= before - before // _GAIN]
        # One setting of each kernel will do for what gains nothing by itself.
        rearranging = {move.kernel: move for move in reversed(others)}
        return [(move, False) for move in gaining[:most]] + [
            (move, True) for move in rearranging.values()
        ]

    def _moves(self, kernel: Kernel, dtype: Dtype, probe: bytes) -> list[tuple[int, Move]]:
        """A kernel with the settings that suit best, each with what its outputs should take."""
        outputs = bind(kernel.manifest, [dtype]).outputs
        sizes: dict[tuple[int, ...], int] = {}

        def size(setting: tuple[int, ...]) -> int | None:
            estimated = self._estimate(Move(kernel, setting, outputs), dtype, probe)
            if estimated is not None:
                sizes[setting] = estimated
            return estimated

        best = self._settings(kernel, dtype, size)[:_SETTINGS]
        return [(sizes[setting], Move(kernel, setting, outputs)) for setting in best]

    def _settings(
        self, kernel: Kernel, dtype: Dtype, size: Callable[[tuple[int, ...]], int | None]
    ) -> list[tuple[int, ...]]:
        """The settings of a kernel, the best first: one parameter after another is varied."""
        manifest = kernel.manifest
        best = defaults(manifest)
        enough = self.spent + self._budget // _PART
        sizes: dict[tuple[int, ...], int | None] = {best: size(best)}
        distances = self._periods.lanes(dtype)
        # A row says nothing as long as channels are wrong, so what comes first is tried again.
        for place in [*range(len(manifest.parameters))] * _PASSES:
            for setting in variations(manifest, best, place, distances):
                if setting not in sizes and self.spent < enough:
                    sizes[setting] = size(setting)
            best = min(sizes, key=lambda each: (_or_most(sizes[each]), each))
        fitting = [each for each in sizes if sizes[each] is not None]
        return sorted(fitting, key=lambda each: (_or_most(sizes[each]), each))

    def _estimate(self, move: Move, dtype: Dtype, probe: bytes) -> int | None:
        executor = self._executor.with_limits(replace(limits(len(probe)), fuel=_AMPLE))
        try:
            made = executor.forward(move.plan(dtype), probe)
        except InputError:
            return None
        self.spent += (made.new_fuel or 0) + _ESTIMATE * len(probe) + _CALL
        return sum(map(estimate, move.outputs, made.outputs))

    def _ending(self, kernel: Kernel, setting: Sequence[int], stream: Stream) -> Way | None:
        plan = closing(kernel, setting, stream.dtype)
        if plan is None or len(stream.data) < _SMALL:
            return None
        # The same bytes under another type are the same to a codec of bytes.
        last = plan.steps[-1]
        key = (kernel.cid, last.parameters, plan.values[last.inputs[0]], stream.cid)
        if key not in self._coded:
            before = self.spent
            made = self.run(plan, stream.data)
            self._price.setdefault(kernel.cid, (self.spent - before) // len(stream.data))
            self._coded[key] = None if made is None else (len(made.outputs[0]), made.fuel)
        coded = self._coded[key]
        if coded is None:
            return None
        return Way(plan, (), coded[0] + step_price(stream) * len(plan.steps), coded[1])


def dear_codecs(yardstick: Yardstick, most: int) -> frozenset[Cid]:
    """The codecs that take more fuel than that to code a sample: they may do for parts of it."""
    plans = {
        kernel.cid: closing(kernel, defaults(kernel.manifest), accepted(kernel.manifest)[0])
        for kernel in yardstick.kernels
        if is_codec(kernel.manifest)
    }
    return frozenset(cid for cid, plan in plans.items() if plan and not yardstick.codes(plan, most))


def _middle_of(stream: Stream, size: int) -> Stream:
    part = middle(stream.data, size)
    return Stream(stream.dtype, part, Cid.of(part))


def middle(data: bytes, size: int) -> bytes:
    """So many bytes from the middle, in phase with lanes of every width."""
    start = max(len(data) - size, 0) // 2 // _WIDEST * _WIDEST
    return data[start : start + size]


def _or_most(size: int | None) -> int:
    return _AMPLE if size is None else size
