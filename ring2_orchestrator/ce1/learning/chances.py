"""A yes or no of the next run, by experts and their mixture: the simple rules are among them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ring2_orchestrator.ce1.learning.hedge import Hedge, clipped, loss
from ring2_orchestrator.ce1.learning.logistic import Logistic, logit
from ring2_orchestrator.ce1.learning.measured import COORDINATES, coordinates
from ring2_orchestrator.ce1.learning.score import Score
from ring2_orchestrator.ce1.learning.subject import Past

_SURE_OF_LAST = 0.95  # what the rule "as the last time" gives
SIMPLE = ("constant", "beta_bernoulli", "last_value", "ewma")


class Chance(NamedTuple):
    """A probability with what stands behind it."""

    probability: float
    observations: int  # of this command
    hits: int
    experts: dict[str, tuple[float, float]]  # name: its probability, its weight


class Tally:
    """How often something happened, by circumstance."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int]] = {}  # circumstance: runs, hits

    def probability(self, key: str) -> float:
        """Jeffreys' estimate: 1/2 where nothing was seen."""
        count, hits = self.counts.get(key, (0, 0))
        return (hits + 0.5) / (count + 1)

    def learn(self, key: str, happened: bool) -> None:  # noqa: FBT001 - an outcome
        """One more."""
        count, hits = self.counts.get(key, (0, 0))
        self.counts[key] = count + 1, hits + happened


class View(NamedTuple):
    """A question about a run: circumstances by rule, and traits by regression."""

    past: Past
    circumstances: Mapping[str, str]
    traits: Mapping[str, Sequence[float]]


class Regression(NamedTuple):
    """How a regression begins."""

    mean: tuple[float, ...]
    variance: float


# What the last events say: the level's odds are believed at first.
MEASURED = Regression((1.0, 1.0, *([0.0] * COORDINATES)), 0.3)


class Chances:
    """Experts for one question, over all commands."""

    def __init__(
        self, tallies: Sequence[str], regressions: Mapping[str, Regression], favourite: str
    ) -> None:
        """`tallies` are rules that count by circumstance, `regressions` rules that weigh traits.

        The favourite is the simplest rule that is good enough: it is believed half at first.
        """
        self.tallies = {"constant": Tally(), **{name: Tally() for name in tallies}}
        begun = {"measured": MEASURED, **regressions}
        self.regressions = [(name, Logistic(how.mean, how.variance)) for name, how in begun.items()]
        self.baselines = (*SIMPLE, *tallies)  # the rules without a regression
        self.names = (*SIMPLE, *tallies, *begun)
        self.hedge = Hedge(len(self.names), self.names.index(favourite))
        self.score = Score(len(self.names))
        self.first = Tally()  # runs of commands that had never run: no rule knows anything of them

    @property
    def level(self) -> float:
        """The share of all runs."""
        return self.tallies["constant"].probability("")

    def chance(self, view: View) -> Chance:
        """What is to be expected; nothing is learned."""
        if not view.past.count:
            p = clipped(self.first.probability(""))
            return Chance(p, 0, 0, {"first_runs": (p, 1.0)})
        said = self._forecasts(self._whole(view))
        mixed = clipped(self.hedge.mixed(said))
        pairs = zip(self.names, zip(said, self.hedge.weights, strict=True), strict=True)
        return Chance(mixed, view.past.count, view.past.hits, dict(pairs))

    def learn(self, view: View, *, happened: bool, weigh: bool) -> float:
        """What came of it; what `chance` said of it just before.

        `weigh` is whether the experts are weighed by what they said, and all are scored.
        """
        if not view.past.count:
            said_first = clipped(self.first.probability(""))
            self.first.learn("", happened)
            return said_first
        whole = self._whole(view)
        said = self._by_rule(whole)
        said += [each.learn(whole.traits[name], happened) for name, each in self.regressions]
        said = [clipped(p) for p in said]
        mixed = clipped(self.hedge.mixed(said))
        if weigh:
            losses = [loss(p, happened) for p in said]
            self.hedge.learn(losses)
            self.score.learn(mixed, losses, happened=happened)
        for name, tally in self.tallies.items():
            tally.learn(whole.circumstances[name], happened)
        return mixed

    def _whole(self, view: View) -> View:
        level = logit(self.level)
        own = logit(view.past.probability) - level
        measured = [level, 0.3 * own, *coordinates(view.past.latest)]
        return View(
            view.past,
            {"constant": "", **view.circumstances},
            {"measured": measured, **view.traits},
        )

    def _forecasts(self, view: View) -> list[float]:
        said = self._by_rule(view)
        said += [each.chance(view.traits[name]) for name, each in self.regressions]
        return [clipped(p) for p in said]

    def _by_rule(self, view: View) -> list[float]:
        past, level = view.past, self.level
        sure = _SURE_OF_LAST if past.last else 1 - _SURE_OF_LAST
        return [level, past.probability, sure, past.share] + [
            tally.probability(view.circumstances[name])
            for name, tally in self.tallies.items()
            if name not in SIMPLE
        ]


class Staged:
    """A question asked at two stages: before a round of commands, and while one goes on.

    What others did in a round tells so much that whoever has learned to rely on it would miss it
    before. So each stage has experts and weights of its own; both learn from every run.
    """

    def __init__(
        self,
        tallies: Sequence[str],
        regressions: Mapping[str, Regression],
        favourite: str,
        among: Sequence[str] = (),
    ) -> None:
        """`among` are rules that need a round going on."""
        self.ahead = Chances(tallies, regressions, favourite)
        self.among = Chances((*tallies, *among), regressions, favourite)

    def chance(self, ahead: View, among: View | None) -> Chance:
        """What is to be expected; `among` is None before a round."""
        return self.ahead.chance(ahead) if among is None else self.among.chance(among)

    def learn(self, ahead: View, among: View | None, *, happened: bool) -> float:
        """What came of it; what `chance` said of it just before."""
        # Within a round experts know from its other runs what they could not have said before it,
        # so only the first run of each tells how good they are then.
        before = self.ahead.learn(ahead, happened=happened, weigh=among is None)
        within = self.among.learn(
            ahead if among is None else among, happened=happened, weigh=among is not None
        )
        ahead.past.learn(happened, self.ahead.level)
        return before if among is None else within
