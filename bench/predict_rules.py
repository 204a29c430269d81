"""The simple rules that predictions are measured against, each as it is stated beside it.

Runs are rows of a history in their order. First runs of a command are neither fitted nor scored.
"Fitted" is reckoned once from the first part; "online" goes on learning from every row before the
one it is asked of. Shares of circumstances are Jeffreys' estimates, (hits + 1/2) / (runs + 1).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

SURE = 0.95  # what "as the last time" is sure of
EWMA = 0.05
CLIPPED = 0.01
COST_EWMA = 0.1


class Row(NamedTuple):
    """One run of a history, as far as rules see it."""

    command: str
    fitted: bool
    first: bool
    happened: bool
    changed: bool
    failed_last: bool


Rule = Callable[[Sequence[Row]], list[float]]


def constant(rows: Sequence[Row]) -> list[float]:
    """The share of the fitted runs, for all."""
    return [_fitted_share(rows)] * len(rows)


def beta_bernoulli(rows: Sequence[Row]) -> list[float]:
    """By command, online, under Jeffreys' prior; first runs count as seen."""
    seen: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    said: list[float] = []
    for row in rows:
        runs, hits = seen[row.command]
        said.append((hits + 0.5) / (runs + 1))
        seen[row.command] = [runs + 1, hits + row.happened]
    return said


def last_value(rows: Sequence[Row]) -> list[float]:
    """What it was the last time, with 95 %."""
    last: dict[str, bool] = {}
    said: list[float] = []
    for row in rows:
        said.append(SURE if last.get(row.command, False) else 1 - SURE)
        last[row.command] = row.happened
    return said


def ewma(rows: Sequence[Row]) -> list[float]:
    """A running share by command, the newest weighing 0.05, from the fitted share; 1 to 99 %."""
    start = _fitted_share(rows)
    share: dict[str, float] = {}
    said: list[float] = []
    for row in rows:
        now = share.get(row.command, start)
        said.append(min(max(now, CLIPPED), 1 - CLIPPED))
        if not row.first:
            share[row.command] = now + EWMA * (row.happened - now)
    return said


def markov(rows: Sequence[Row]) -> list[float]:
    """The fitted share after a yes, and that after a no."""
    last: dict[str, bool] = {}
    before: list[bool] = []
    for row in rows:
        before.append(last.get(row.command, False))
        last[row.command] = row.happened
    return _by_circumstance(rows, before, online=False)


def changed(rows: Sequence[Row]) -> list[float]:
    """The fitted share where inputs changed, and where not."""
    return _by_circumstance(rows, [row.changed for row in rows], online=False)


def failed_last(rows: Sequence[Row]) -> list[float]:
    """The fitted share after a failure, and after a success."""
    return _by_circumstance(rows, [row.failed_last for row in rows], online=False)


def both(rows: Sequence[Row]) -> list[float]:
    """Changed or not, together with failed last time: four fitted shares."""
    return _by_circumstance(rows, [(row.changed, row.failed_last) for row in rows], online=False)


def both_online(rows: Sequence[Row]) -> list[float]:
    """The same, online."""
    return _by_circumstance(rows, [(row.changed, row.failed_last) for row in rows], online=True)


RERUN_RULES: Mapping[str, Rule] = {
    "constant": constant,
    "Beta-Bernoulli": beta_bernoulli,
    "EWMA": ewma,
    "Markov": markov,
    "last value": last_value,
}
FAILS_RULES: Mapping[str, Rule] = {
    "constant": constant,
    "Beta-Bernoulli": beta_bernoulli,
    "EWMA": ewma,
    "last value": last_value,
    "changed or not": changed,
    "failed last time": failed_last,
    "both together": both,
    "both together, online": both_online,
}


def cost_rules(costs: Sequence[tuple[str, float]]) -> dict[str, list[float | None]]:
    """What four simple means expect of each cost, by command, from those before it."""
    said: dict[str, list[float | None]] = {
        name: [] for name in ("EWMA of logarithms", "EWMA", "mean", "last")
    }
    state: dict[str, tuple[float, float, float, int, float]] = {}
    for command, cost in costs:
        known = state.get(command)
        if known is None:
            for row in said.values():
                row.append(None)
            state[command] = (math.log(cost), cost, cost, 1, cost)
            continue
        log, running, mean, count, last = known
        for row, value in zip(said.values(), (math.exp(log), running, mean, last), strict=True):
            row.append(value)
        state[command] = (
            log + COST_EWMA * (math.log(cost) - log),
            running + COST_EWMA * (cost - running),
            mean + (cost - mean) / (count + 1),
            count + 1,
            cost,
        )
    return said


def _fitted_share(rows: Sequence[Row]) -> float:
    fitted = [row.happened for row in rows if row.fitted and not row.first]
    share = sum(fitted) / max(len(fitted), 1)
    # A fitted part without a single case knows no certainty either.
    edge = 0.5 / (len(fitted) + 1)
    return min(max(share, edge), 1 - edge)


def _by_circumstance(rows: Sequence[Row], keys: Sequence[object], *, online: bool) -> list[float]:
    seen: dict[object, list[int]] = defaultdict(lambda: [0, 0])
    said: list[float] = []
    for row, key in zip(rows, keys, strict=True):
        runs, hits = seen[key]
        said.append((hits + 0.5) / (runs + 1))
        if not row.first and (row.fitted or online):
            seen[key] = [runs + 1, hits + row.happened]
    return said
