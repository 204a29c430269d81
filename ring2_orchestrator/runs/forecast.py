"""What `redoxa run` would do, without doing any of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ring2_orchestrator.home import Home
from ring2_orchestrator.recorder.stdin_kind import StdinKind
from ring2_orchestrator.runs.clones.asking import folders_for
from ring2_orchestrator.runs.ledger_seen import last_run
from ring2_orchestrator.runs.memo import Memo, weak_key
from ring2_orchestrator.runs.program import find_program
from ring2_orchestrator.runs.stdin import StandardInput
from ring2_orchestrator.runs.surroundings import Change

if TYPE_CHECKING:
    from ring2_orchestrator.net.policy import Policy
    from ring2_orchestrator.runs.clones.wanted import Moving

NEVER_KEPT = "no run of it has been kept for reuse yet"
_AS_ASKED = "it is to run whatever is known"


class Forecast(NamedTuple):
    """What would become of one command here and now."""

    command: tuple[str, ...]
    subject: str
    reuses: bool
    reason: str
    changed: tuple[Change, ...] = ()
    restores: int = 0  # how many outputs a reuse would put back
    elsewhere: str = ""  # why nothing is reused from another folder, where that was asked for

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        back = "" if self.restores == 1 else "s"
        other = f"; {self.elsewhere}" if self.elsewhere else ""
        puts = f"; {self.restores:,} output{back} would be put back" if self.restores else ""
        return f"would {'be reused' if self.reuses else 'run'}: {self.reason}{puts}{other}"

    def as_json(self) -> dict[str, object]:
        """The same as plain values; the names are those of docs/formats/run.md."""
        return {
            "changed": [change._asdict() for change in self.changed],
            "command": list(self.command),
            "elsewhere": self.elsewhere,
            "message": self.sentence,
            "reason": self.reason,
            "restores": self.restores,
            "reusable": self.reuses,
            "subject": self.subject,
        }


def forecast(
    command: Sequence[str],
    *,
    home_path: Path,
    cwd: Path,
    env: Mapping[str, str],
    reuse: bool = True,
    cache_failures: bool = False,
    moving: "Moving | None" = None,
    network: "Policy | None" = None,
) -> Forecast:
    """What would become of the command; runs nothing and writes nothing, no cache either.

    A piped standard input counts as unchanged: what is read of it would be missing in the run.
    Raises NoSuchCommandError or NotExecutableError.
    """
    find_program(command, cwd=cwd, env=env)
    subject = weak_key(command, cwd)
    answer = Forecast(tuple(command), subject, reuses=False, reason=_AS_ASKED)
    if not reuse:
        return answer
    if not (home_path / "environment.key").is_file():
        return answer._replace(reason=NEVER_KEPT)
    stdin = StandardInput()
    with Home(home_path, to_read=True) as home:
        memo = Memo(home, keeps=False)
        folders = folders_for(home, memo, command, moving=moving, cwd=cwd, env=env, network=network)
        decision = memo.decide(
            command,
            cwd=cwd,
            env=env,
            stdin=None if stdin.kind is StdinKind.PIPE else stdin,
            cache_failures=cache_failures,
            elsewhere=folders and folders.elsewhere,
            network=network,
        )
        reason = decision.reason
        past = None if decision.reuse else last_run(home, subject)
        if past is not None and past.doubts:
            details = "; ".join(detail for _, detail in past.doubts)
            reason = f"the last run was not kept for reuse: {details}"
    return answer._replace(
        reuses=decision.reuse,
        reason=reason,
        changed=decision.changed,
        elsewhere=decision.elsewhere,
        restores=len({*decision.stale, *decision.old}),
    )
