"""What was learned as bytes and back: a row of numbers, a row of texts (docs/formats/ce1.md).

Both are read in the order in which they were written. Whole numbers are kept as floats, which are
exact up to 2^53.
"""

import math
import sys
from array import array
from collections.abc import Iterable
from typing import cast

from cid_store.encoding import decode, encode
from cid_store.errors import RedoxaError
from ring2_orchestrator.ce1.laws.sphere import ONE, Grid
from ring2_orchestrator.ce1.learning.around import Around, Seen
from ring2_orchestrator.ce1.learning.chances import Chances, Staged, Tally
from ring2_orchestrator.ce1.learning.conformal import Conformal
from ring2_orchestrator.ce1.learning.costs import Costs
from ring2_orchestrator.ce1.learning.hedge import Hedge
from ring2_orchestrator.ce1.learning.learner import Learner
from ring2_orchestrator.ce1.learning.mind import Mind, Told
from ring2_orchestrator.ce1.learning.subject import Cost, Past

VERSION = 2


class NotLearnedError(ValueError):
    """Bytes that hold no such state."""


class Writer:
    """Numbers and texts, in order."""

    def __init__(self) -> None:
        self.numbers = array("d")
        self.texts: list[str] = []

    def put(self, *values: float) -> None:
        """Some numbers."""
        self.numbers.extend(values)

    def row(self, values: Iterable[float]) -> None:
        """A row of numbers, after its length."""
        held = list(values)
        self.numbers.append(len(held))
        self.numbers.extend(held)

    def done(self) -> bytes:
        """The bytes."""
        numbers = self.numbers
        if sys.byteorder == "big":
            numbers = array("d", numbers)
            numbers.byteswap()
        return encode({"numbers": numbers.tobytes(), "texts": self.texts, "v": VERSION})


class Reader:
    """The same, read. Raises NotLearnedError where something is missing or no number."""

    def __init__(self, data: bytes) -> None:
        try:
            node = decode(data)
        except RedoxaError as error:
            raise NotLearnedError(str(error)) from error
        match node:
            case {"numbers": bytes(numbers), "texts": list(texts), "v": int(v)} if (
                v == VERSION
                and len(numbers) % 8 == 0
                and all(isinstance(text, str) for text in texts)
            ):
                self._numbers = array("d")
                self._numbers.frombytes(numbers)
                self._texts = cast("list[str]", texts)
            case _:
                raise NotLearnedError("these bytes are of another version, or of something else")
        if sys.byteorder == "big":
            self._numbers.byteswap()
        if not all(map(math.isfinite, self._numbers)):
            raise NotLearnedError("a number is not finite")
        self._at = self._text_at = 0

    def numbers(self, count: int) -> list[float]:
        """The next ones."""
        end = self._at + count
        if not 0 <= self._at <= end <= len(self._numbers):
            raise NotLearnedError("numbers are missing")
        found = self._numbers[self._at : end].tolist()
        self._at = end
        return found

    def number(self) -> float:
        """The next one."""
        return self.numbers(1)[0]

    def whole(self) -> int:
        """The next one, which must be a whole number from 0."""
        value = self.number()
        if not (0 <= value <= 2**53 and value.is_integer()):
            raise NotLearnedError(f"{value} is no count")
        return int(value)

    def row(self, length: int | None = None) -> list[float]:
        """A row, of that length if one is given."""
        found = self.whole()
        if length not in (None, found):
            raise NotLearnedError(f"a row of {length} has {found}")
        return self.numbers(found)

    def text(self) -> str:
        """The next text."""
        if self._text_at >= len(self._texts):
            raise NotLearnedError("texts are missing")
        self._text_at += 1
        return self._texts[self._text_at - 1]

    def end(self) -> None:
        """Raise NotLearnedError unless all was read."""
        if (self._at, self._text_at) != (len(self._numbers), len(self._texts)):
            raise NotLearnedError("something is left over")


def encode_learner(learner: Learner) -> bytes:
    """What all commands share."""
    out = Writer()
    out.put(learner.runs)
    _put_around(out, learner.around)
    for chances in _questions(learner):
        _put_chances(out, chances)
    for costs in (learner.cpu, learner.wall, learner.memory):
        _put_costs(out, costs)
    return out.done()


def decode_learner(data: bytes) -> Learner:
    """The same. Raises NotLearnedError."""
    source, learner = Reader(data), Learner()
    learner.runs = source.whole()
    _read_around(source, learner.around)
    for chances in _questions(learner):
        _read_chances(source, chances)
    for costs in (learner.cpu, learner.wall, learner.memory):
        _read_costs(source, costs)
    source.end()
    return learner


def encode_mind(mind: Mind) -> bytes:
    """What is learned of one command."""
    out, subject = Writer(), mind.subject
    out.put(*mind.told)
    put_point(out, mind.prior)
    for past in (subject.rerun, subject.failure, subject.drift):
        out.put(past.count, past.hits, past.share)
        out.row(past.latest)
    for cost in (subject.cpu, subject.wall, subject.memory):
        out.put(cost.count, cost.mean, cost.last, cost.off, cost.scale)
        out.row(cost.running)
    out.put(
        -1.0 if subject.load is None else subject.load,
        subject.streak,
        subject.flips,
        subject.unchanged,
    )
    out.put(len(subject.begun_by), len(subject.touched))
    out.texts += [*subject.begun_by, *subject.touched]
    for changes, begun in subject.touched.values():
        out.put(changes, begun)
    return out.done()


def decode_mind(data: bytes) -> Mind:
    """The same. Raises NotLearnedError."""
    source, mind = Reader(data), Mind()
    subject = mind.subject
    mind.told = Told(source.whole(), source.whole())
    mind.prior = read_point(source)
    for past in (subject.rerun, subject.failure, subject.drift):
        _read_past(source, past)
    for cost in (subject.cpu, subject.wall, subject.memory):
        _read_cost(source, cost)
    load = source.number()
    subject.load = None if load < 0 else load
    subject.streak, subject.flips, subject.unchanged = (source.whole() for _ in range(3))
    begun_by, touched = source.whole(), source.whole()
    subject.begun_by = tuple(source.text() for _ in range(begun_by))
    paths = [source.text() for _ in range(touched)]
    subject.touched = {path: (source.whole(), source.whole()) for path in paths}
    source.end()
    return mind


def _questions(learner: Learner) -> list[Chances]:
    staged: list[Staged] = [learner.rerun, learner.failure]
    return [*(part for each in staged for part in (each.ahead, each.among)), learner.drift]


def put_point(out: Writer, point: Grid) -> None:
    """A point of the sphere S³, exactly."""
    out.texts += [str(value) for value in point]


def read_point(source: Reader) -> Grid:
    """The same."""
    try:
        a, b, c, d = (int(source.text()) for _ in range(4))
    except ValueError as error:
        raise NotLearnedError(str(error)) from error
    off = math.isqrt(a * a + b * b + c * c + d * d) - ONE
    if abs(off) > 4:
        raise NotLearnedError("the prior is no point of the sphere")
    return a, b, c, d


def _put_around(out: Writer, around: Around) -> None:
    out.put(around.known, around.failing, around.failing_before, len(around.round))
    for subject, seen in around.round.items():
        out.texts.append(subject)
        out.put(seen.must_rerun, 2 if seen.failed is None else seen.failed, seen.was_failing)


def _read_around(source: Reader, around: Around) -> None:
    around.known, around.failing, around.failing_before = (source.whole() for _ in range(3))
    for _ in range(source.whole()):
        must, failed, was = (source.whole() for _ in range(3))
        seen = Seen(bool(must), None if failed == 2 else bool(failed), bool(was))
        around.round[source.text()] = seen


def _put_tally(out: Writer, tally: Tally) -> None:
    out.put(len(tally.counts))
    for key, (count, hits) in tally.counts.items():
        out.texts.append(key)
        out.put(count, hits)


def _read_tally(source: Reader, tally: Tally) -> None:
    for _ in range(source.whole()):
        tally.counts[source.text()] = source.whole(), source.whole()


def _put_chances(out: Writer, chances: Chances) -> None:
    for tally in (chances.first, *chances.tallies.values()):
        _put_tally(out, tally)
    for _, regression in chances.regressions:
        out.row(regression.mean)
        for row in regression.covariance:
            out.put(*row)
    _put_hedge(out, chances.hedge)
    score = chances.score
    out.put(score.count, score.loss)
    for row in (score.losses, score.forecasts, score.expected, score.happened):
        out.row(row)


def _read_chances(source: Reader, chances: Chances) -> None:
    for tally in (chances.first, *chances.tallies.values()):
        _read_tally(source, tally)
    for _, regression in chances.regressions:
        regression.mean = source.row(len(regression.mean))
        regression.covariance = _square(source, len(regression.mean))
    _read_hedge(source, chances.hedge)
    score = chances.score
    score.count, score.loss = source.whole(), source.number()
    for row in (score.losses, score.forecasts, score.expected, score.happened):
        row[:] = source.row(len(row))


def _put_hedge(out: Writer, hedge: Hedge) -> None:
    out.put(hedge.rounds, hedge.regret_bound)
    out.row(hedge.weights)


def _read_hedge(source: Reader, hedge: Hedge) -> None:
    hedge.rounds, hedge.regret_bound = source.whole(), source.number()
    hedge.weights = source.row(len(hedge.weights))


def _put_costs(out: Writer, costs: Costs) -> None:
    out.put(costs.seen, costs.usual)
    out.row(costs.recent)
    out.row(costs.ridge.weights)
    for row in costs.ridge.covariance:
        out.put(*row)
    _put_hedge(out, costs.hedge)
    out.put(costs.conformal.below, costs.conformal.above)
    out.row(costs.conformal.misses)
    out.put(costs.intervals, costs.held)


def _read_costs(source: Reader, costs: Costs) -> None:
    costs.seen, costs.usual, costs.recent = source.whole(), source.number(), source.row()
    costs.ridge.weights = source.row(len(costs.ridge.weights))
    costs.ridge.covariance = _square(source, len(costs.ridge.weights))
    _read_hedge(source, costs.hedge)
    costs.conformal = Conformal()
    costs.conformal.below, costs.conformal.above = source.number(), source.number()
    costs.conformal.misses = source.row()
    costs.intervals, costs.held = source.whole(), source.whole()


def _square(source: Reader, size: int) -> list[list[float]]:
    return [source.numbers(size) for _ in range(size)]


def _read_past(source: Reader, past: Past) -> None:
    past.count, past.hits, past.share = source.whole(), source.whole(), source.number()
    past.latest = source.row()


def _read_cost(source: Reader, cost: Cost) -> None:
    cost.count = source.whole()
    cost.mean, cost.last, cost.off, cost.scale = source.numbers(4)
    cost.running = source.row(len(cost.running))
