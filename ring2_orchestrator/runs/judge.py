"""What became of a command that was run: its verdict, and whether it drifted."""

from typing import TYPE_CHECKING

from cid_store.cid import Cid
from ring2_orchestrator.runs.memo import Decision
from ring2_orchestrator.runs.result import TIMED_OUT, RunResult, Verdict
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.runs.verify import difference

if TYPE_CHECKING:
    from ring2_orchestrator.recorder.event import Doubt, Recording


def judge(
    decision: Decision,
    recording: "Recording",
    trace: Trace | None,
    cid: Cid | None,
    doubts: "tuple[Doubt, ...]",
    *,
    attempt: int,
) -> RunResult:
    """The result of a command that was run and recorded."""
    code = TIMED_OUT if recording.timed_out else recording.exit.status
    verdict: Verdict = "ran" if code == 0 else "failed"
    reason = decision.reason
    if decision.kept is not None and trace is not None and not doubts:
        # It held, and was run all the same: then its results must be these again.
        drift = difference(decision.kept.trace, trace)
        if decision.reuse or drift:
            reason = drift or "run again as asked, with the same results"
        verdict = "drifted" if drift else verdict
    return RunResult(
        exit_code=code,
        verdict=verdict,
        reason=reason,
        subject=decision.subject,
        trace=cid,
        published=cid is not None,
        known_before=decision.known > 0,
        changed=decision.changed,
        doubts=doubts,
        inputs=0 if trace is None else len(trace.inputs),
        outputs=0 if trace is None else len(trace.outputs),
        wall_s=recording.wall_s,
        cpu_s=recording.cpu_s,
        max_rss_bytes=recording.max_rss_bytes,
        attempt=attempt,
        timed_out=recording.timed_out,
        interrupted=recording.interrupted,
    )
