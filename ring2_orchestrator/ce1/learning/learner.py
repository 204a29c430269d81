"""Everything that is learned from runs: ask it before a run, tell it after. No clock, no disk."""

import math
from typing import NamedTuple

from ring2_orchestrator.ce1.estimate import Estimate
from ring2_orchestrator.ce1.learning.around import NOBODY, Around, Seen, Shares
from ring2_orchestrator.ce1.learning.chances import Chance, Chances, Regression, Staged, View
from ring2_orchestrator.ce1.learning.costs import Circumstances, Costs
from ring2_orchestrator.ce1.learning.happening import After, Before
from ring2_orchestrator.ce1.learning.subject import Subject
from ring2_orchestrator.ce1.learning.traits import MEAN, Scene, traits

_LOAD_SHARE = 0.1  # of the newest load in a command's running mean
# One regression for each belief in how strong effects are; the mixture finds out which holds.
_FAILURE = {
    "traits": Regression(MEAN, 0.5),
    "traits_strong": Regression(MEAN, 2.0),
}


class Ends(NamedTuple):
    """How a run may end."""

    must_rerun: Chance  # as far as hashes have not decided it
    failure: Chance  # of an execution
    drift: Chance  # other results, were it executed on unchanged inputs


class Forecast(NamedTuple):
    """What is to be expected of a run; the costs are of an execution."""

    ends: Ends
    cpu_s: Estimate
    wall_s: Estimate
    max_rss_bytes: Estimate


class Learner:
    """What all commands share. A command's own part, a `Subject`, is kept by whoever asks."""

    def __init__(self) -> None:
        self.runs = 0
        self.around = Around()
        self.rerun = Staged(("markov",), {}, "constant", among=("round",))
        self.failure = Staged(("changed", "failed_last", "both"), _FAILURE, "both")
        self.drift = Chances((), {}, "constant")
        self.cpu, self.wall, self.memory = Costs(), Costs(), Costs()

    def ends(self, before: Before, subject: Subject) -> Ends:
        """How the run may end; nothing is learned, and the same is said again."""
        must_rerun = self.rerun.chance(*self._rerun_views(before, subject))
        changed = _as_number(before, must_rerun.probability)
        failure = self.failure.chance(*self._failure_views(before, subject, changed))
        return Ends(must_rerun, failure, self.drift.chance(View(subject.drift, {}, {})))

    def forecast(self, before: Before, subject: Subject) -> Forecast:
        """All that is to be expected; nothing is learned, and the same is said again."""
        ends = self.ends(before, subject)
        now = _circumstances(before, subject, _as_number(before, ends.must_rerun.probability))
        return Forecast(
            ends,
            self.cpu.interval(subject.cpu, now),
            self.wall.interval(subject.wall, now),
            self.memory.interval(subject.memory, now),
        )

    def learn(self, before: Before, after: After, subject: Subject) -> float | None:
        """What came of a run; how likely a failure was held just before, None of a reuse.

        Costs the same however many runs went before.
        """
        was_failing, new = subject.failing, not subject.rerun.count
        views = self._rerun_views(before, subject)
        said = None
        if after.executed:
            undecided = before.changed is None
            expected = self.rerun.chance(*views).probability if undecided else 0.0
            said = self._learn_execution(before, after, subject, _as_number(before, expected))
        self.rerun.learn(*views, happened=after.must_rerun)
        seen = Seen(after.must_rerun, after.failed if after.executed else None, was_failing)
        self.around.learn(before.subject, seen, new=new)
        self.runs += 1
        return said

    def _learn_execution(
        self, before: Before, after: After, subject: Subject, changed: float
    ) -> float:
        now = _circumstances(before, subject, changed)
        views = self._failure_views(before, subject, changed)
        subject.ended(failed=after.failed, changed=after.must_rerun, paths=before.paths)
        said = self.failure.learn(*views, happened=after.failed)
        if not after.must_rerun:
            self.drift.learn(View(subject.drift, {}, {}), happened=after.drifted, weigh=True)
            subject.drift.learn(after.drifted, self.drift.level)
        for kind, cost, measured in (
            (self.cpu, subject.cpu, after.cpu_s),
            (self.wall, subject.wall, after.wall_s),
            (self.memory, subject.memory, after.max_rss_bytes),
        ):
            if measured is not None:
                kind.learn(cost, now, measured)
        if before.load is not None:
            load = math.log1p(before.load)
            usual = load if subject.load is None else subject.load
            subject.load = usual + _LOAD_SHARE * (load - usual)
        return said

    def _rerun_views(self, before: Before, subject: Subject) -> tuple[View, View | None]:
        past, shares = subject.rerun, self.around.shares(before.subject)
        rules = {"markov": str(past.last)}
        among = View(past, {**rules, "round": _stage(shares)}, {}) if shares.others else None
        return View(past, {**rules, "round": _stage(NOBODY)}, {}), among

    def _failure_views(
        self, before: Before, subject: Subject, changed: float
    ) -> tuple[View, View | None]:
        shares = self.around.shares(before.subject)
        ahead = self._failure_view(before, subject, changed, None)
        if not shares.others:
            return ahead, None
        return ahead, self._failure_view(before, subject, changed, shares)

    def _failure_view(
        self, before: Before, subject: Subject, changed: float, shares: Shares | None
    ) -> View:
        by_change, by_last = f"{changed:.0f}", f"{subject.failure.last:.0f}"
        both = by_change + by_last
        rules = {"changed": by_change, "failed_last": by_last, "both": both}
        known = self.failure.ahead if shares is None else self.failure.among
        scene = Scene(
            before=before,
            subject=subject,
            shares=NOBODY if shares is None else shares,
            others=self.around.failing_share(ahead=shares is None, without=subject.failing),
            changed=changed,
            rule=known.tallies["both"].probability(both),
            level=known.level,
        )
        return View(subject.failure, rules, dict.fromkeys(_FAILURE, traits(scene)))


def _as_number(before: Before, expected: float) -> float:
    """Whether inputs changed: decided, or as it is to be expected."""
    return expected if before.changed is None else float(before.changed)


def _circumstances(before: Before, subject: Subject, changed: float) -> Circumstances:
    load = 0.0
    if before.load is not None and subject.load is not None:
        load = math.log1p(before.load) - subject.load
    return Circumstances(load, changed, float(subject.failing))


def _stage(shares: Shares) -> str:
    """What the others of the round say, in five words."""
    if shares.others == 0:
        return "first"
    if shares.must_rerun in (0.0, 1.0):
        return "none" if shares.must_rerun == 0 else "all"
    return "most" if shares.must_rerun >= 0.5 else "few"
