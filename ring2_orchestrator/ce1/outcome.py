"""The four ways a run can end, as far as the ledger is concerned, and how often each did."""

import enum
from collections.abc import Iterable
from typing import NamedTuple, Self


class Outcome(enum.StrEnum):
    """What became of one request to run something."""

    REUSED = "reused"  # served from the store
    RAN = "ran"  # executed, exit code 0
    FAILED = "failed"  # executed, any other end
    DRIFTED = "drifted"  # executed on unchanged inputs, with other outputs


class Counts(NamedTuple):
    """How many runs ended each way."""

    reused: int = 0
    ran: int = 0
    failed: int = 0
    drifted: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Self:
        """Count them."""
        seen = list(outcomes)
        return cls(*(seen.count(outcome) for outcome in Outcome))

    def at(self, outcome: Outcome) -> int:
        """How many ended that way."""
        return self[tuple(Outcome).index(outcome)]

    @property
    def total(self) -> int:
        """All runs."""
        return self.reused + self.executed

    @property
    def executed(self) -> int:
        """The runs that were not served from the store."""
        return self.ran + self.failed + self.drifted

    def with_one_more(self, outcome: Outcome) -> "Counts":
        """The counts after one more run."""
        return Counts(*(self.at(each) + (each is outcome) for each in Outcome))
