"""Which objects are worth demoting: most bytes saved for each second of rebuilding first.

All of it is arithmetic over what was measured or expected before; nothing is read or written here.
"""

import enum
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.tiers import Tier

# A second of somebody's waiting is worth this many bytes at least.
MIN_GAIN = 1_000_000.0
# A demotion costs a record, a recipe and their padding; below this too little of it is left.
MIN_SIZE = 4096
# No clock tells shorter times apart, and no object is rebuilt for nothing.
_LEAST_S = 1e-6


class Option(NamedTuple):
    """One way to keep an object in less room."""

    tier: Tier
    saved_bytes: int  # of the packs, once what is no longer needed is collected
    cost_s: float  # what rebuilding it takes

    @property
    def gain(self) -> float:
        """Bytes saved for each second of rebuilding."""
        return self.saved_bytes / max(self.cost_s, _LEAST_S)


class Candidate(NamedTuple):
    """An object that might be demoted, and the ways there are."""

    cid: Cid
    size_bytes: int
    options: tuple[Option, ...]


class Why(enum.StrEnum):
    """The reason of a choice, as a word that stays."""

    GAIN = "gain"  # taken: it gains enough
    ASKED = "asked"  # taken: it was named, and there is a way
    NO_WAY = "no-way"  # nothing makes it smaller
    NO_FRAME = "no-frame"  # no frame that could be executed now makes it
    LOW_GAIN = "low-gain"  # rebuilding it would take too long for what it saves
    ENOUGH = "enough"  # others that gain more have saved what was wanted
    THERE = "there"  # it is in that tier already
    YOUNG = "young"  # it was put too lately
    CHUNK = "chunk"  # another object is kept in it
    INGREDIENT = "ingredient"  # a demoted object is rebuilt from it
    GARBAGE = "garbage"  # neither a root nor the ledger leads to it
    REFUSED = "refused"  # the store found that it could not be rebuilt

    @property
    def is_taken(self) -> bool:
        """Whether the object is to be demoted."""
        return self in (Why.GAIN, Why.ASKED)

    @property
    def is_untried(self) -> bool:
        """Whether the object was left alone without trying anything."""
        return self in (Why.YOUNG, Why.CHUNK, Why.INGREDIENT, Why.GARBAGE)


class Choice(NamedTuple):
    """What the policy says of one candidate. `option` is the best there is."""

    candidate: Candidate
    option: Option | None
    why: Why

    @property
    def taken(self) -> bool:
        """Whether the object is to be demoted."""
        return self.why.is_taken


class Policy:
    """Judges candidates one by one, and remembers how much was saved so far."""

    def __init__(self, *, wanted_bytes: int | None = None, min_gain: float = MIN_GAIN) -> None:
        self.saved_bytes = 0
        self._wanted_bytes = wanted_bytes
        self.min_gain = min_gain

    @property
    def is_content(self) -> bool:
        """Whether as much was saved as was wanted."""
        return self._wanted_bytes is not None and self.saved_bytes >= self._wanted_bytes

    def judge(self, candidate: Candidate) -> Choice:
        """Whether to demote this object now."""
        option = best(candidate.options)
        if option is None:
            return Choice(candidate, None, Why.NO_WAY)
        if option.gain < self.min_gain:
            return Choice(candidate, option, Why.LOW_GAIN)
        return Choice(candidate, option, Why.ENOUGH if self.is_content else Why.GAIN)

    def count(self, saved_bytes: int) -> None:
        """Note what a demotion saved."""
        self.saved_bytes += saved_bytes


def best(options: Iterable[Option]) -> Option | None:
    """The option that gains most, of those that save anything."""
    saving = [option for option in options if option.saved_bytes > 0]
    return max(saving, key=lambda option: (option.gain, option.saved_bytes), default=None)


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that gain most first; the same order on every machine for equal gains."""

    def order(candidate: Candidate) -> tuple[float, int, Cid]:
        option = best(candidate.options)
        if option is None:
            return (0.0, 0, candidate.cid)
        return (-option.gain, -option.saved_bytes, candidate.cid)

    return sorted(candidates, key=order)


def choose(
    candidates: Iterable[Candidate], *, wanted_bytes: int | None = None, min_gain: float = MIN_GAIN
) -> Iterator[Choice]:
    """A choice for every candidate, in order, if each turns out as expected."""
    policy = Policy(wanted_bytes=wanted_bytes, min_gain=min_gain)
    for candidate in ranked(candidates):
        choice = policy.judge(candidate)
        if choice.taken and choice.option is not None:
            policy.count(choice.option.saved_bytes)
        yield choice
