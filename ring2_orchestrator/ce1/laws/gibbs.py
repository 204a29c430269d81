"""The policy over actions: what minimises expected seconds less temperature times entropy.

On the simplex that minimum is unique: Gibbs' weights, exp(-seconds / temperature) in proportion.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Weights = Mapping[str, float]


class Draw(NamedTuple):
    """A decision with all that it was made from, so that it can be made again."""

    action: str
    weights: dict[str, float]
    seconds: dict[str, float]
    temperature_s: float
    seed: bytes


def expected_seconds(
    seconds: Mapping[str, Sequence[float]], belief: Sequence[float]
) -> dict[str, float]:
    """What each action should take: its seconds under each outcome, weighed by the belief."""
    return {
        action: math.fsum(p * s for p, s in zip(belief, row, strict=True) if p)
        for action, row in seconds.items()
    }


def policy(seconds: Mapping[str, float], temperature_s: float) -> dict[str, float]:
    """The weights of the actions; they sum to one. An action of infinite seconds is never taken.

    At temperature zero all weight is on the least seconds, on the first of equal ones.
    """
    assert seconds, "there is always something to do"
    assert temperature_s >= 0, "a negative temperature would seek the worst"
    best = min(seconds.values())
    assert math.isfinite(best), "at least one action must be possible"
    if temperature_s == 0:
        first = next(action for action, value in seconds.items() if value == best)
        return {action: float(action == first) for action in seconds}
    raw = {action: math.exp((best - value) / temperature_s) for action, value in seconds.items()}
    total = math.fsum(raw.values())
    return {action: weight / total for action, weight in raw.items()}


def draw(seconds: Mapping[str, float], temperature_s: float, seed: bytes) -> Draw:
    """Decide by lot; the same arguments always decide the same."""
    weights = policy(seconds, temperature_s)
    return Draw(_pick(weights, _lot(seed)), weights, dict(seconds), temperature_s, seed)


def replayed(past: Draw) -> Draw:
    """The decision made again; equal to `past`, unless the record was changed."""
    return draw(past.seconds, past.temperature_s, past.seed)


def _lot(seed: bytes) -> float:
    """A number in [0, 1) that follows from the seed, the same on every machine."""
    digest = hashlib.blake2b(seed, digest_size=8, person=b"ce1-draw").digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def _pick(weights: Weights, lot: float) -> str:
    # By name, so that the order in which actions were listed decides nothing.
    passed = 0.0
    possible = sorted(action for action, weight in weights.items() if weight > 0)
    for action in possible:
        passed += weights[action]
        if lot < passed:
            return action
    return possible[-1]
