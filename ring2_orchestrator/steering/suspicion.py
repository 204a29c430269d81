"""How likely a test file fails, from what changed and what failed before.

How often a change of a path was followed by a failure of that file is counted, the latest runs for
most. What was seen of several changed paths adds up, as each may break the file by itself (a noisy
or). What was not seen is held towards how often such a change broke any file, towards what the
names say (a change of `parser.py` is for `test_parser.py`) and towards what was learned of all
runs; of that only the likeliest path counts, as else every large change would say of all files
alike that they fail.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ring2_orchestrator.runs.marks import Marks

_WEIGHT = 0.5  # how many observations a prior counts as
_FADES = 0.9  # what a run counts, of what the one after it does
_BASE = 0.1  # a change breaks a file, before anything was seen
_NAMED_ALIKE, _OF_A_NAME = 0.5, 0.25  # the same where names say that one tests the other
_AGAIN = 0.5  # what failed fails again, although something changed
_FAILED_SO = 0.99  # what failed on these very inputs fails again, unless it is flaky
_UNKNOWN = 0.3  # a file that never ran
_LEARNED = 0.5  # of what was learned, which is of the file and not of any one change
_SHORT = 4  # letters of which the beginning of a name says nothing


class Past(NamedTuple):
    """One earlier execution of a test file: what had changed, and whether it failed.

    `round` numbers the sessions; None where it is not known in which one that was.
    """

    changed: tuple[str, ...]
    failed: bool
    round: int | None = None


class Foreseen(NamedTuple):
    """One test file that may have to run, and what is known of it; oldest run first."""

    name: str
    past: Sequence[Past] = ()
    changed: tuple[str, ...] = ()
    known: bool = False  # some run of it was kept
    failed_so: bool = False  # it failed on exactly these inputs
    unchanged: bool = False  # nothing it depends on changed, and it passed
    seconds: float | None = None
    marks: Marks | None = None
    learned: float | None = None  # how likely it fails by what all runs taught


class Suspicions:
    """Probabilities of failure, learned from the past of all test files of a session."""

    def __init__(self, files: Iterable[Foreseen]) -> None:
        self._ran: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        for file in files:
            for past in file.past:
                self._ran.update(past.changed)
                if past.failed:
                    self._failed.update(past.changed)

    def of(self, file: Foreseen) -> float:
        """How likely the file fails if it is run now."""
        if file.unchanged:
            return 0.0
        if file.failed_so:
            return _FAILED_SO
        if not file.known:
            return _UNKNOWN if file.learned is None else file.learned
        learned = _LEARNED * (file.learned or 0.0)
        passes, unseen = 1.0, 0.0
        for path in file.changed:
            seen, broke = _counted(file.past, path)
            passes *= 1 - min(broke / (seen + _WEIGHT), _FAILED_SO)
            prior = max(self._prior(file.name, path), learned)
            unseen = max(unseen, prior * _WEIGHT / (seen + _WEIGHT))
        passes *= 1 - unseen
        if file.past and file.past[-1].failed:
            passes *= 1 - _still_fails(file.past)
        return 1 - passes

    def _prior(self, name: str, path: str) -> float:
        """How likely a change of that path breaks the file, before that was ever seen."""
        failed = self._failed[path] + _WEIGHT * _BASE
        return max(failed / (self._ran[path] + _WEIGHT), _by_name(name, path))


def _counted(past: Sequence[Past], path: str) -> tuple[float, float]:
    """How many runs saw a change of the path, and for how many failures it may be to blame."""
    seen = broke = 0.0
    weight = 1.0
    for each in reversed(past):
        if path in each.changed:
            seen += weight
            # Of several changes at once each may have been the one.
            broke += weight * each.failed / len(each.changed)
        weight *= _FADES
    return seen, broke


def _still_fails(past: Sequence[Past]) -> float:
    """How often what had failed failed the next time, too."""
    after = [now.failed for then, now in pairwise(past) if then.failed]
    return (sum(after) + _WEIGHT * _AGAIN) / (len(after) + _WEIGHT)


def _by_name(test: str, path: str) -> float:
    """What the names of a test file and of a changed file say before anything was seen."""
    if test == path or test.endswith(f"/{path}") or path.endswith(f"/{test}"):
        return _NAMED_ALIKE
    mine, theirs = _stems(test), _stems(path)
    if mine[-1] in theirs or theirs[-1] in mine:
        return _NAMED_ALIKE
    near = any(_begins(mine[-1], each) or _begins(each, mine[-1]) for each in theirs)
    return _OF_A_NAME if near or _words(mine[-1]) & _words(theirs[-1]) else 0.0


def _stems(path: str) -> list[str]:
    """The parts of a path without endings, and without what only says that it is a test."""
    parts = [part.partition(".")[0].lower() for part in path.split("/") if part]
    bare = [re.sub(r"^tests?_|_tests?$|^_+", "", part) for part in parts]
    kept = [part for part in bare if part not in ("", "tests", "test", "init", "src", "lib")]
    return kept or ["?"]


def _begins(name: str, other: str) -> bool:
    return len(name) >= _SHORT and other.startswith(name)


def _words(name: str) -> set[str]:
    return {word for word in name.split("_") if len(word) >= _SHORT}
