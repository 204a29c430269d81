"""What became of a command, for programs. Its names are those of docs/formats/run.md."""

from collections.abc import Sequence

from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.result import RunResult

SCHEMA = "redoxa.run/1"


def answer_of(command: Sequence[str], result: RunResult) -> dict[str, object]:
    """The answer as plain values."""
    return {
        "attempt": result.attempt,
        "changed": [change._asdict() for change in result.changed],
        "command": list(command),
        "cpu_s": result.cpu_s,
        "doubts": [{"detail": doubt.detail, "kind": doubt.kind} for doubt in result.doubts],
        "elsewhere": result.elsewhere,
        "entry": result.seq,
        "exit_code": result.exit_code,
        "flaky": result.flaky,
        "from": None if result.origin is None else shown(result.origin),
        "inputs": result.inputs,
        "max_rss_bytes": result.max_rss_bytes,
        "message": result.message,
        "outputs": result.outputs,
        "reason": result.reason,
        "restored": result.restored,
        "saved_s": result.saved_s,
        "schema": SCHEMA,
        "subject": result.subject,
        "trace": None if result.trace is None else str(result.trace),
        "verdict": result.verdict,
        "verified": result.verified,
        "wall_s": result.wall_s,
    }
