"""What became of one command: the value, the one line for the person, the ledger's entry."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from cid_store.cid import Cid
from cid_store.encoding import NodeLike
from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.report import seconds_text
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.surroundings import Change

if TYPE_CHECKING:
    from ring2_orchestrator.recorder.event import Doubt
    from ring2_orchestrator.runs.touched import Touched

Verdict = Literal["reused", "ran", "failed", "drifted"]
LEDGER_KIND = "run"
WITHDRAWAL_KIND = "withdrawal"
TIMED_OUT = 124  # as timeout(1) has it
_MOST_DOUBTS = 20
_NOT = "not reusable"


class RunResult(NamedTuple):
    """What became of one command. `message` is the one line for the person."""

    exit_code: int
    verdict: Verdict
    reason: str
    subject: str
    message: str = ""
    trace: Cid | None = None
    processes: Cid | None = None  # what each of its processes did, for people
    published: bool = False
    waits: bool = False  # it is published when commands that ran at the same time have ended
    known_before: bool = False  # the command had been recorded before
    changed: tuple[Change, ...] = ()
    doubts: "tuple[Doubt, ...]" = ()
    inputs: int = 0
    outputs: int = 0
    restored: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    saved_s: float = 0.0
    load: float | None = None  # programs that wanted to run when it began, as the system counts
    seq: int | None = None
    attempt: int = 1  # which try it was, of those that one command line made
    verified: str | None = None  # same, drifted or not compared: it was run again to verify it
    timed_out: bool = False  # it was ended because its time was over
    touched: "Touched | None" = None  # all paths of a run that was recorded, where they were seen
    interrupted: bool = False  # a signal was sent to us meanwhile
    origin: bytes | None = None  # the project folder where it was recorded, if not here
    elsewhere: str = ""  # why not from, and why not for, other folders, where that was asked for

    @property
    def flaky(self) -> bool:
        """Whether it succeeded where earlier tries had failed."""
        return self.attempt > 1 and self.exit_code == 0

    @property
    def reused(self) -> bool:
        """Whether the program did not run."""
        return self.verdict == "reused"


def message_of(result: RunResult) -> str:
    """One line: what was done, and why not less."""
    failures = "once" if result.attempt == 2 else f"{result.attempt - 1} times"
    flaky = f"; flaky: it had failed {failures}" if result.flaky else ""
    elsewhere = f"; {result.elsewhere}" if result.elsewhere else ""
    return _message(result) + flaky + elsewhere


def _message(result: RunResult) -> str:
    if result.reused:
        return _reused(result)
    if result.timed_out:
        detail = next(doubt.detail for doubt in result.doubts if doubt.kind == "timeout")
        return f"timed out: {detail} (exit code {result.exit_code})"
    if result.doubts:
        more = len(result.doubts) - 1
        said = "ran again to verify it, and could not be compared" if result.verified else _NOT
        return f"{said}: {result.doubts[0].detail}" + (f" and {more} more" if more else "")
    counted = f"{_count(result.inputs, 'input')}, {_count(result.outputs, 'output')}"
    if result.verdict == "drifted":
        return f"ran again: {result.reason}"
    failed = f", exit code {result.exit_code}" if result.exit_code else ""
    later = "; reusable when the commands running beside it have ended" if result.waits else ""
    if result.known_before:
        return f"ran again: {result.reason} ({counted}{failed}{later})"
    return f"recorded: {counted}{failed}{later}"


def _reused(result: RunResult) -> str:
    if result.restored:
        what = f"{_count(result.restored, 'output')} restored"
    elif result.outputs:
        what = f"{_count(result.outputs, 'output')} already in place"
    else:
        what = "nothing to restore"
    where = "" if result.origin is None else f" from {shown(result.origin)}"
    if result.saved_s <= 0:
        return f"reused{where}: {what}, nothing saved"
    return f"reused{where}: {what}, {seconds_text(result.saved_s)} saved"


def append_run(
    ledger: Ledger, result: RunResult, command: Sequence[str], counts: Mapping[str, int]
) -> int:
    """Enter the run in the ledger; its number there. Durable when this returns."""
    entry = entry_of(result, command, counts)
    return ledger.append([entry], kind=LEDGER_KIND, subject=result.subject).seq


def entry_of(
    result: RunResult, command: Sequence[str], counts: Mapping[str, int]
) -> dict[str, NodeLike]:
    """The run as the ledger keeps it."""
    return {
        "attempt": result.attempt,
        "changed": [change.path for change in result.changed[:_MOST_DOUBTS]],
        "command": [os.fsencode(word) for word in command],
        "counts": dict(counts),
        "cpu_s": result.cpu_s,
        "doubts": [[doubt.kind, doubt.detail] for doubt in result.doubts[:_MOST_DOUBTS]],
        "exit_code": result.exit_code,
        "flaky": result.flaky,
        "inputs": result.inputs,
        "inputs_changed": len(result.changed),
        "load": result.load,
        "max_rss_bytes": result.max_rss_bytes,
        "outputs": result.outputs,
        "processes": result.processes,
        "published": result.published,
        "reason": result.reason,
        "restored": result.restored,
        "saved_s": result.saved_s,
        "trace": result.trace,
        "verdict": result.verdict,
        "verified": result.verified,
        "wall_s": result.wall_s,
    }


def append_withdrawal(ledger: Ledger, subject: str, trace: Cid, harm: str) -> None:
    """Enter that a trace, which waited for other runs to end, is not published after all."""
    entry: dict[str, NodeLike] = {"doubts": [["overlap", harm]], "trace": trace}
    ledger.append([entry], kind=WITHDRAWAL_KIND, subject=subject)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
