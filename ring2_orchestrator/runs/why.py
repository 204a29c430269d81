"""What a command depends on, and what keeps its last results from being used again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.clones.asking import folders_for
from ring2_orchestrator.runs.memo import Decision, Kept, Memo
from ring2_orchestrator.runs.past import Withdrawals, run_in
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.result import LEDGER_KIND
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.surroundings import Change
from ring2_orchestrator.runs.trace import Trace

if TYPE_CHECKING:
    from ring2_orchestrator.net.policy import Policy
    from ring2_orchestrator.runs.clones.wanted import Moving


@dataclass(frozen=True, slots=True)
class LastRun:
    """How the newest run of the command ended, from the ledger."""

    seq: int
    verdict: str
    reason: str
    exit_code: int
    doubts: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, object]:
        """The same as plain values."""
        return {
            "doubts": [{"detail": detail, "kind": kind} for kind, detail in self.doubts],
            "exit_code": self.exit_code,
            "reason": self.reason,
            "seq": self.seq,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to `redoxa why`."""

    decision: Decision
    last: LastRun | None
    trace: Trace | None  # the one the changes are counted from, or the one that holds

    @property
    def reusable(self) -> bool:
        """Whether the command would be reused now."""
        return self.decision.reuse

    @property
    def prevented_by(self) -> tuple[tuple[str, str], ...]:
        """Why the last run was not kept for reuse; empty when it was, or when another holds."""
        if self.decision.reuse or self.last is None:
            return ()
        return self.last.doubts

    @property
    def reason(self) -> str:
        """Why it would be reused or run, in one sentence."""
        if self.prevented_by:
            details = "; ".join(detail for _, detail in self.prevented_by)
            return f"the last run was not kept for reuse: {details}"
        return self.decision.reason

    @property
    def origin(self) -> str | None:
        """The project folder from which it would be reused, if not from this."""
        kept = self.decision.kept
        return None if kept is None or kept.origin is None else shown(kept.origin.root)

    @property
    def changed(self) -> tuple[Change, ...]:
        """What differs from the kept run that differs least."""
        return self.decision.changed


def explain(
    command: Sequence[str],
    *,
    home: Home,
    cwd: Path,
    env: Mapping[str, str],
    cache_failures: bool = False,
    moving: "Moving | None" = None,
    network: "Policy | None" = None,
) -> Explanation:
    """Ask the memo what it would decide, and the ledger how the last run went; changes nothing.

    The standard streams count as unchanged: `why` cannot know what a later run will be given.
    """
    memo = Memo(home)
    folders = folders_for(home, memo, command, moving=moving, cwd=cwd, env=env, network=network)
    decision = memo.decide(
        command,
        cwd=cwd,
        env=env,
        stdin=None,
        streams=None,
        cache_failures=cache_failures,
        network=network,
        elsewhere=folders and folders.elsewhere,
    )
    kept: Kept | None = decision.kept or decision.nearest
    return Explanation(
        decision=decision,
        last=_last_run(home, decision.subject),
        trace=None if kept is None else kept.trace,
    )


def dependencies(trace: Trace) -> list[tuple[str, str]]:
    """Every input as (how it was used, path), files first, in path order."""
    words = {
        What.FILE: "content",
        What.TIMED: "content and time",
        What.SECRET: "secret content",
        What.BYTECODE: "bytecode",
        What.LINK: "link",
        What.DIR: "folder",
        What.NAMES: "listing",
        What.PRESENT: "existence",
        What.BLANK: "missing or empty",
        What.UNREADABLE: "existence",
        What.UNKNOWN: "existence",
        What.OTHER: "existence",
        What.MISSING: "missing",
    }
    rows = [(What(row.state.what), words[What(row.state.what)], row.path) for row in trace.inputs]
    order = list(words)
    rows.sort(key=lambda row: (order.index(row[0]), row[2]))
    return [(word, shown(_typed(path))) for _, word, path in rows]


def made(trace: Trace) -> list[tuple[str, str]]:
    """Every output as (what it is, path), in path order."""
    words = {What.FILE: "file", What.DIR: "folder", What.LINK: "link", What.MISSING: "deleted"}
    return [(words[output.what], shown(_typed(output.path))) for output in sorted(trace.outputs)]


def _typed(path: bytes) -> bytes:
    """A short path as a person would type it in the project folder."""
    if path == b"P":
        return b"."
    return path.removeprefix(b"P/")


def _last_run(home: Home, subject: str) -> LastRun | None:
    try:
        batch = next(home.ledger.batches(LEDGER_KIND, subject, newest_first=True), None)
    except RedoxaError:
        return None  # the ledger's own command says what is wrong with it
    run = None if batch is None else run_in(batch)
    if run is None:
        return None
    return LastRun(
        seq=run.seq,
        verdict=run.verdict,
        reason=run.reason,
        exit_code=run.exit_code,
        doubts=run.doubts or Withdrawals(home.ledger).about(run),
    )
