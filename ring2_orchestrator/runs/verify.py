"""Which of the runs that would be reused are run again to see that they give the same."""

from blake3 import blake3

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import Decision, Memo
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.result import LEDGER_KIND, RunResult
from ring2_orchestrator.runs.trace import Trace


def is_chosen(fraction: float, home: Home, subject: str) -> bool:
    """Whether this time the command is among the fraction that is verified.

    That hangs on the command and on how many of its runs are in the ledger, so it is the same
    whenever it is asked, and in the long run each command has its share.
    """
    if not 0 < fraction < 1:
        return fraction >= 1
    runs = sum(1 for _ in home.ledger.leaves(LEDGER_KIND, subject))
    drawn = int.from_bytes(blake3(f"{subject} {runs}".encode()).digest(8), "big")
    return drawn < fraction * 2**64


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
