"""What other commands do: in the round that is going on, and when each last ran.

A round is a stretch in which no command comes twice: a suite run file by file, a build. It needs
no clock and no notion of commits. What others did in it says much of the next: they see the same
edits.
"""

from typing import NamedTuple

_LONGEST = 256  # commands of one round


class Seen(NamedTuple):
    """One command of the round. `failed` is None where it did not execute."""

    must_rerun: bool
    failed: bool | None
    was_failing: bool


class Shares(NamedTuple):
    """What the others of a round did; a share of nobody is 0."""

    others: int
    must_rerun: float
    broke: float  # of those that passed before and ran, began to fail
    stayed: float  # of those that failed before and ran, still fail
    mended: float  # of the same, pass now


NOBODY = Shares(0, 0.0, 0.0, 0.0, 0.0)


class Around:
    """The round so far, and how many commands fail as far as is known."""

    def __init__(self) -> None:
        self.round: dict[str, Seen] = {}
        self.known = 0
        self.failing = 0
        self.failing_before = 0  # when the round began

    def shares(self, subject: str) -> Shares:
        """What the others did in the round of this command: none yet, where it begins one."""
        if not self.round or self._is_over(subject):
            return NOBODY
        seen = list(self.round.values())
        passed = [one.failed for one in seen if one.failed is not None and not one.was_failing]
        failed = [one.failed for one in seen if one.failed is not None and one.was_failing]
        return Shares(
            len(seen),
            sum(one.must_rerun for one in seen) / len(seen),
            sum(passed) / max(len(passed), 1),
            sum(failed) / max(len(failed), 1),
            (len(failed) - sum(failed)) / max(len(failed), 1),
        )

    def failing_share(self, *, ahead: bool, without: bool) -> float:
        """The share of commands that fail, now or before the round, less one that does."""
        failing = self.failing_before if ahead else self.failing
        return max(failing - without, 0) / max(self.known - 1, 1)

    def learn(self, subject: str, seen: Seen, *, new: bool) -> None:
        """One more run."""
        if self._is_over(subject):
            self.round = {}
            self.failing_before = self.failing
        self.round[subject] = seen
        self.known += new
        if seen.failed is not None:
            self.failing += seen.failed - seen.was_failing

    def _is_over(self, subject: str) -> bool:
        return subject in self.round or len(self.round) >= _LONGEST
