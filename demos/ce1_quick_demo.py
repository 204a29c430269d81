"""How far apart two ledgers are: a distance between states, and that it is one.

    python demos/ce1_quick_demo.py

Small jobs are run, each in a home of its own with a ledger of its own: what was done before on the
same bytes is reused, what fails fails, and what is done again with another result has drifted. The
state of a ledger is the belief about its next run, four probabilities p. Their distance is Fisher's
and Rao's, d(p, q) = 2 arccos(sum of sqrt(p_i q_i)): the way from sqrt(p) to sqrt(q) along the
sphere S3, taken twice (C. R. Rao, Information and the accuracy attainable in the estimation of
statistical parameters, 1945; S. Amari and H. Nagaoka, Methods of Information Geometry, 2000).
"""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _checks import check, run

from redoxa import Cid
from ring2_orchestrator.ce1.belief import Belief
from ring2_orchestrator.ce1.history import History, history_of
from ring2_orchestrator.ce1.laws import reseed
from ring2_orchestrator.ce1.outcome import Counts, Outcome
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.home import Home

RUNS = 40
EXACT = 1e-12

Job = Callable[[bytes, int], bytes]
States = npt.NDArray[np.float64]  # one point of S3 a row


def main() -> int:
    """Make the ledgers, read them back, measure."""
    with tempfile.TemporaryDirectory() as folder:
        histories = {name: lived(Path(folder) / name, story) for name, story in STORIES.items()}
    ends = {name: Belief.after(history.counts) for name, history in histories.items()}
    show(histories, ends)
    check_ends(ends)
    states = np.array([each for history in histories.values() for each in points(history)])
    check_axioms(states)
    check_geometry(states)
    check_flip(histories["flipped"], ends)
    check_turns(histories["flipped"])
    return 0


# The jobs, and the ledgers that they leave.


def squares(data: bytes, attempt: int) -> bytes:
    """Always the same for the same bytes."""
    del attempt
    return b"%d" % sum(byte * byte for byte in data)


def prime(data: bytes, attempt: int) -> bytes:
    """Fails where the sum of the bytes is no prime."""
    del attempt
    number = sum(data)
    if number < 2 or any(number % divisor == 0 for divisor in range(2, math.isqrt(number) + 1)):
        raise ArithmeticError(f"{number} is no prime")
    return b"%d" % number


def counter(data: bytes, attempt: int) -> bytes:
    """Depends on something besides its bytes: how often it was asked."""
    return b"%d %d" % (len(data), attempt)


def edited(every: int) -> list[bytes]:
    """The input of each run: bytes that somebody edits after every so many runs."""
    return [b"version %d" % (number // every) for number in range(RUNS)]


def flipping() -> list[bytes]:
    """Bytes whose sum is prime for the first half of the runs, and never after."""
    good = [bytes([number]) for number in (101, 103, 107, 109, 113)]
    bad = [bytes([number]) for number in (100, 102, 104, 105, 106)]
    return [*islice(cycle(good), RUNS // 2), *islice(cycle(bad), RUNS // 2)]


# A job, its inputs, and every how many runs one is run that could be reused (0: none).
STORIES: Mapping[str, tuple[Job, Sequence[bytes], int]] = {
    "settled": (squares, edited(20), 0),
    "again": (squares, edited(20)[::-1], 0),
    "edited": (squares, edited(2), 0),
    "failing": (prime, edited(1), 0),
    "drifting": (counter, edited(20), 2),
    "flipped": (prime, flipping(), 1),
}


def lived(folder: Path, story: tuple[Job, Sequence[bytes], int]) -> History:
    """Run a job on all its inputs, each run entered in a ledger; then what the ledger says."""
    job, inputs, verify = story
    clock = ManualClock()
    results: dict[Cid, bytes] = {}
    with Home(folder, clock=clock) as home:
        for number, data in enumerate(inputs, 1):
            name = home.store.put(data)
            chosen = verify > 0 and number % verify == 0
            outcome = one_run(job, data, number, results, name, again=chosen)
            clock.advance(1)
            entry = {"exit_code": int(outcome is Outcome.FAILED), "inputs": [name], "wall_s": 1e-9}
            home.ledger.append(
                [entry | {"verdict": outcome.value}], kind="run", subject=folder.name
            )
    # Closed and opened again: what is measured is what was kept.
    with Home(folder, to_read=True) as home:
        return history_of(home.ledger.batches("run"))


def one_run(
    job: Job, data: bytes, number: int, results: dict[Cid, bytes], name: Cid, *, again: bool
) -> Outcome:
    """One run of a job: reused by the name of its input, or done."""
    known = results.get(name)
    if known is not None and not again:
        return Outcome.REUSED
    try:
        made = job(data, number)
    except ArithmeticError:
        return Outcome.FAILED
    results[name] = made
    return Outcome.RAN if known in (None, made) else Outcome.DRIFTED


# States and their distance.


def points(history: History) -> list[tuple[float, float, float, float]]:
    """The state before the first run and after each."""
    counts = [Counts()]
    for outcome in history.outcomes:
        counts.append(counts[-1].with_one_more(outcome))
    return [Belief.after(each).point for each in counts]


def distances(a: States, b: States) -> States:
    """The Fisher-Rao distance of each row of `a` to each of `b`."""
    apart, together = a[:, None] - b, a[:, None] + b
    # Half-angle form: an arc cosine would lose half of the digits of a small distance.
    return 4 * np.arctan2(norm(apart), norm(together))


def norm(vectors: States) -> States:
    """The length of each vector."""
    return np.sqrt((vectors**2).sum(axis=-1))


def distance(a: Belief, b: Belief) -> float:
    """The Fisher-Rao distance of two beliefs."""
    return float(distances(np.array([a.point]), np.array([b.point]))[0, 0])


def show(histories: Mapping[str, History], ends: Mapping[str, Belief]) -> None:
    """What each ledger holds, and how far it is from each other."""
    print(f"{'ledger':10}{''.join(f'{each.value:>9}' for each in Outcome)}   distance to each\n")
    for name, history in histories.items():
        counts = "".join(f"{count:9}" for count in history.counts)
        row = "".join(f"{distance(ends[name], other):7.3f}" for other in ends.values())
        print(f"{name:10}{counts}   {row}")
    print()


# What must hold.


def check_ends(ends: Mapping[str, Belief]) -> None:
    """Ledgers that amount to the same, and ledgers that do not."""
    same = distance(ends["settled"], ends["again"])
    check("two ledgers with the same outcomes are 0 apart", holds=same == 0)
    others = [distance(ends["settled"], ends[name]) for name in ("edited", "failing", "drifting")]
    check("one of another habit is not", holds=min(others) > 0.5)


def check_axioms(states: States) -> None:
    """Every two, and every three, of all states that any ledger went through."""
    found = distances(states, states)
    count = len(states)
    print(f"\n{count} states, {count**2:,} pairs, {count**3:,} triples:")
    check("from itself a state is 0 away", holds=not found.diagonal().any())
    equal = (states[:, None] == states).all(axis=-1)
    check("from any other more than 0", holds=bool((found[~equal] > EXACT).all()))
    check("there as far as back", holds=bool((found == found.T).all()))
    # Along i, j by way of k: nothing is gained by going round.
    most = max(float((found - (found[:, k, None] + found[k])).max()) for k in range(count))
    check("no way round is shorter", holds=most <= EXACT)
    check("none is farther than pi", holds=float(found.max()) <= math.pi)


def check_geometry(states: States) -> None:
    """That it is Fisher's and Rao's distance, told by what only that one does."""
    p = states**2
    by_arc = 2 * np.arccos(np.clip(np.sqrt(p[:, None] * p).sum(axis=-1), -1, 1))
    close = float(np.abs(by_arc - distances(states, states)).max())
    check("it is 2 arccos of what two beliefs have in common", holds=close < 1e-7)
    # Close to p the square of the distance is Fisher's information: sum of dp_i^2 / p_i.
    drawn = np.random.default_rng(1945).normal(size=p.shape)
    step = 1e-6 * (drawn - (drawn * p).sum(axis=1, keepdims=True)) * p
    near = np.sqrt(p + step)
    moved = np.array([distances(a[None], b[None])[0, 0] for a, b in zip(states, near, strict=True)])
    fisher = np.sqrt((step**2 / p).sum(axis=1))
    check("of a small step it is Fisher's", holds=bool(np.allclose(moved, fisher, rtol=1e-4)))
    # The middle of the arc is as far from both ends, and on the way.
    first, last = states[:1], states[1:]
    middle = (first + last) / norm(first + last)[:, None]
    there, on = distances(first, middle)[0], distances(middle, last).diagonal()
    whole = distances(first, last)[0]
    check("half the way along the arc is half as far", holds=bool(np.allclose(there, whole / 2)))
    check("and the other half is the rest", holds=bool(np.allclose(there + on, whole, atol=EXACT)))


def check_flip(history: History, ends: Mapping[str, Belief]) -> None:
    """A habit that turns over: each later state is nearer to that of one who always fails."""
    states = np.array(points(history))
    ways = distances(states, np.array([ends["failing"].point]))[:, 0]
    half = RUNS // 2
    print(f"\na habit flips after {half} runs; how far from one who fails, every fifth run:")
    print("  " + "  ".join(f"{each:.3f}" for each in ways[::5]))
    away = all(a <= b for a, b in pairwise(ways[: half + 1]))
    back = all(a >= b for a, b in pairwise(ways[half:]))
    check("it goes away while it passes, and comes nearer while it fails", holds=away and back)


def check_turns(history: History) -> None:
    """The same way as turns of the sphere, each undone from its two quaternions."""
    way = [reseed.point_of([0.25] * 4)]
    steps: list[reseed.Step] = []
    for state in points(history)[1:]:
        # All of the way to the new belief: the turn takes one state to the next.
        moved, step = reseed.reseed(way[-1], [value**2 for value in state], 1.0)
        way.append(moved)
        steps.append(step)
    there = belief_apart(way[-1], points(history)[-1])
    check("turned from state to state, one arrives at the last", holds=there <= EXACT)
    point = way[-1]
    back = True
    for step, was in zip(reversed(steps), reversed(way[:-1]), strict=True):
        point = reseed.undo(point, step)
        back = back and point == was
    check("and turned back, at the first: the very same bits", holds=back)


def belief_apart(point: tuple[int, int, int, int], state: Sequence[float]) -> float:
    """By how much the probabilities of two points differ at most."""
    pairs = zip(reseed.belief_of(point), state, strict=True)
    return max(abs(p - value**2) for p, value in pairs)


if __name__ == "__main__":
    run(main)
