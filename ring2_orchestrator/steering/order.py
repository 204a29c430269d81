"""The order of test files that should show the first failure soonest.

One fault mostly breaks several files: those that failed together will again, and once one of them
passes, the others are hardly worth their seconds. So each next file is the one that gains most for
each second, and it gains what it is suspected of, and the earlier rounds in which it failed and
none of the files before it in the order did (greedy min-sum set cover, at most four times the best
there is: Feige, Lovász and Tetali 2004). Rounds count for what changed then and now have in
common, and fade.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ring2_orchestrator.runs.marks import Marks
from ring2_orchestrator.steering.suspicion import Foreseen, Suspicions

_FADES = 0.9  # what a round with failures counts, of what the one after it does
_ROUNDS = 64  # newest of them that are looked at; the next would count for a thousandth


class Round(NamedTuple):
    """A session of the past in which files failed: how much it counts, and which they were."""

    weight: float
    failed: frozenset[int]


def first_to_last(files: Sequence[Foreseen]) -> list[int]:
    """The places of the files in the order that finds the first failure soonest.

    Equal ones, and any two of which one is known to write what the other reads or writes, stay in
    the order given.
    """
    suspicions = Suspicions(files)
    own = [suspicions.of(file) for file in files]
    usual = _middle([file.seconds for file in files if file.seconds])
    seconds = [file.seconds or usual for file in files]
    before = _before([file.marks for file in files])
    after: list[list[int]] = [[] for _ in files]
    for later, earlier in enumerate(before):
        for at in earlier:
            after[at].append(later)
    left = rounds_of(files)
    rates = _rates(own, seconds, left, after)
    waiting = list(range(len(files)))
    order: list[int] = []
    done: set[int] = set()
    while waiting:
        free = (each for each in waiting if before[each] <= done)
        at = max(free, key=lambda each: (rates[each], -each))
        waiting.remove(at)
        done.add(at)
        order.append(at)
        uncovered = [each for each in left if at not in each.failed]
        if len(uncovered) < len(left):
            left = uncovered
            rates = _rates(own, seconds, left, after)
    return order


def rounds_of(files: Sequence[Foreseen]) -> list[Round]:
    """The newest rounds in which some of these files failed, as far as they bear on this change."""
    changed: dict[int, set[str]] = {}
    failed: dict[int, set[int]] = {}
    for at, file in enumerate(files):
        for past in file.past:
            if past.round is not None:
                changed.setdefault(past.round, set()).update(past.changed)
                if past.failed and not file.unchanged:
                    failed.setdefault(past.round, set()).add(at)
    now = {path for file in files for path in file.changed}
    found: list[Round] = []
    weight = 1.0
    for number in sorted(failed, reverse=True)[:_ROUNDS]:
        alike = _alike(changed[number], now)
        if alike:
            found.append(Round(weight * alike, frozenset(failed[number])))
        weight *= _FADES
    return found


def _alike(then: set[str], now: set[str]) -> float:
    """The share of all paths changed then or now that changed both times (Jaccard)."""
    return len(then & now) / len(then | now) if then or now else 1.0


def _rates(
    own: Sequence[float],
    seconds: Sequence[float],
    rounds: Sequence[Round],
    after: Sequence[Sequence[int]],
) -> list[float]:
    """What each file gains for each second, where these rounds are not covered yet."""
    gains = list(own)
    for each in rounds:
        for at in each.failed:
            gains[at] += each.weight
    rates = [gain / took for gain, took in zip(gains, seconds, strict=True)]
    for at in reversed(range(len(rates))):
        # Whoever must come before a suspect is as urgent as the suspect is.
        rates[at] = max([rates[at], *(rates[later] for later in after[at])])
    return rates


def _before(marks: Sequence[Marks | None]) -> list[set[int]]:
    """Of each, those earlier ones that it shares a file with which one of the two writes."""
    writers: dict[bytes, set[int]] = {}
    readers: dict[bytes, set[int]] = {}
    for at, each in enumerate(marks):
        for path in () if each is None else each.writes:
            writers.setdefault(path, set()).add(at)
    for at, each in enumerate(marks):
        for path in () if each is None else each.reads & writers.keys():
            readers.setdefault(path, set()).add(at)
    before: list[set[int]] = [set() for _ in marks]
    for path, those in writers.items():
        for one in those:
            for other in those | readers.get(path, set()):
                if one != other:
                    before[max(one, other)].add(min(one, other))
    return before


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 1.0
