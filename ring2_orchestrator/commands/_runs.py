"""How runs are said, by every command that speaks of them alike."""

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ring2_orchestrator.report import one_line, seconds_text

if TYPE_CHECKING:
    from ring2_orchestrator.runs.past import Doubts, Run

RUN_HELP = "a run: the beginning of its id, or @ (the newest), @~1 (the one before), @17 (entry 17)"
# A command of a hundred thousand letters would hide all others; --json has the whole.
_MOST_LETTERS = 200
_STYLES: Mapping[str, str | None] = {"recorded": None, "reused": "good", "failed": "bad"}


def command_text(words: Sequence[bytes]) -> str:
    """A command as a person would type it, on one line; cut where it is very long."""
    text = one_line(shlex.join(os.fsdecode(word) for word in words))
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def outcome_of(run: "Run", doubts: "Doubts") -> str:
    """How the run ended: one of a few stable words, or what another Redoxa called it."""
    if run.verdict == "ran":
        return "not reusable" if doubts else "recorded"
    return run.verdict


def outcome_part(run: "Run", doubts: "Doubts") -> tuple[str, str | None]:
    """The same for people, with the exit code where it tells something, and how it looks."""
    word = outcome_of(run, doubts)
    style = _STYLES.get(word, "doubtful")
    return (f"{word} {run.exit_code}" if run.exit_code else word), style


def run_json(run: "Run", doubts: "Doubts") -> dict[str, object]:
    """A run for programs; its keys are those of docs/formats/runs-json.md."""
    return {
        "command": [os.fsdecode(word) for word in run.command],
        "cpu_s": run.cpu_s,
        "doubts": [{"detail": detail, "kind": kind} for kind, detail in doubts],
        "entry": run.seq,
        "exit_code": run.exit_code,
        "id": run.id,
        "inputs": run.inputs,
        "max_rss_bytes": run.max_rss_bytes,
        "outcome": outcome_of(run, doubts),
        "outputs": run.outputs,
        "reason": run.reason,
        "restored": run.restored,
        "saved_s": run.saved_s,
        "subject": run.subject,
        "time_ns": run.time_ns,
        "trace": None if run.trace is None else str(run.trace),
        "verdict": run.verdict,
        "wall_s": run.wall_s,
    }


def signed_seconds(seconds: float) -> str:
    """Seconds for people that may be lost as well as saved."""
    return f"{'-' if seconds < 0 else ''}{seconds_text(abs(seconds))}"


def typed(path: bytes) -> str:
    """A path of a trace as a person would type it in the project folder, on one line."""
    short = b"." if path == b"P" else path.removeprefix(b"P/")
    return one_line(os.fsdecode(short))
