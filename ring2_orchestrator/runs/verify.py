"""Which of the runs that would be reused are run again to see that they give the same."""

import math
from itertools import islice

from blake3 import blake3

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import Decision, Memo
from ring2_orchestrator.runs.past import run_in
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.result import LEDGER_KIND, RunResult
from ring2_orchestrator.runs.trace import Trace

_LATEST = 20  # runs among which a drift counts


def is_chosen(fraction: float, home: Home, subject: str) -> bool:
    """Whether this time the command is among the fraction that is verified.

    That hangs on the command and on how many of its runs are in the ledger, so it is the same
    whenever it is asked, and in the long run each command has its share; one that drifted among its
    latest runs has a larger one.
    """
    if not 0 < fraction < 1:
        return fraction >= 1
    fraction *= weight_of(*_latest(home, subject))
    runs = sum(1 for _ in home.ledger.leaves(LEDGER_KIND, subject))
    drawn = int.from_bytes(blake3(f"{subject} {runs}".encode()).digest(8), "big")
    return drawn < fraction * 2**64


def weight_of(drifts: int, runs: int) -> float:
    """How many times its share a command is verified: by Neyman's rule, and never less than once.

    Samples tell most where they are taken in proportion to the deviation of what they find, which
    for a drift of probability p is the square root of p (1 - p).
    """
    drifted, clean = ((count + 0.5) / (runs + 1) for count in (drifts, 0))
    return max(math.sqrt(drifted * (1 - drifted) / (clean * (1 - clean))), 1.0)


def _latest(home: Home, subject: str) -> tuple[int, int]:
    """How many of a command's latest runs drifted, and how many were looked at."""
    batches = home.ledger.batches(LEDGER_KIND, subject, newest_first=True)
    latest = [run_in(batch) for batch in islice(batches, _LATEST)]
    return sum(run is not None and run.verdict == "drifted" for run in latest), len(latest)


def difference(old: Trace, new: Trace) -> str | None:
    """What two runs on the same inputs left differently; None where nothing."""
    if old.exit_code != new.exit_code:
        return f"its exit code was {old.exit_code} and is now {new.exit_code}"
    was = {output.path: output.state() for output in old.outputs}
    now = {output.path: output.state() for output in new.outputs}
    # A run over its own earlier work may leave what is already there, so compare what both made.
    for path in sorted(was.keys() & now.keys()):
        if was[path] != now[path]:
            return f"its output {shown(path).removeprefix('P/')} differs on the same inputs"
    return "it printed something else on the same inputs" if old.printed != new.printed else None


def verified(memo: Memo, decision: Decision, result: RunResult) -> RunResult:
    """What became of a run that was to confirm its recording; one that drifted is given up."""
    assert decision.kept is not None, "only what would be reused is verified"
    if result.doubts:
        return result._replace(verified="not compared")
    if result.verdict != "drifted":
        return result._replace(
            verified="same", reason="run again to verify it, with the same results"
        )
    reason = f"{result.reason}; that recording is never reused again"
    try:
        memo.condemn(decision.subject, decision.kept)
    except (RedoxaError, OSError) as error:
        reason = f"{result.reason}; its recording could not be given up: {error}"
    return result._replace(verified="drifted", reason=reason)
