"""What can be said of one command before it runs, from a home: for the verbs of `redoxa jit`."""

from collections.abc import Sequence
from pathlib import Path

from cid_store.errors import InputError
from ring2_orchestrator.ce1.entries import is_own, name_of
from ring2_orchestrator.ce1.kept import Learned
from ring2_orchestrator.ce1.learning.happening import Before
from ring2_orchestrator.ce1.learning.learner import Forecast
from ring2_orchestrator.ce1.outlook import Decided, Difference, Outlook
from ring2_orchestrator.commands._jit_known import Known, known_of
from ring2_orchestrator.home import Home
from ring2_orchestrator.load import load_of, load_step
from ring2_orchestrator.runs.environment import given_environment
from ring2_orchestrator.runs.errors import NoSuchCommandError, NotExecutableError
from ring2_orchestrator.runs.memo import Decision, Memo
from ring2_orchestrator.runs.program import find_program


def outlook_of(command: Sequence[str], home: Home, known: Known | None = None) -> Outlook:
    """Decide, remember and estimate; runs nothing. `known` is what the home knows, if at hand."""
    cwd, env = Path.cwd(), given_environment()
    try:
        find_program(command, cwd=cwd, env=env)
    except (NoSuchCommandError, NotExecutableError) as error:
        raise InputError(str(error)) from error
    decision = Memo(home).decide(command, cwd=cwd, env=env, streams=None)
    decided = Decided(
        reuse=decision.reuse,
        reason=decision.reason,
        changed=tuple(Difference(*change) for change in decision.changed),
        trace=None if decision.trace is None else str(decision.trace),
    )
    known = known_of(home) if known is None else known
    learned, subject = known.learned, decision.subject
    return Outlook(
        learned.history(subject),
        command,
        subject,
        decided,
        _foreseen(command, decision, learned),
        point=learned.mind(subject).prior,
        doubts=known.doubts,
        state=known.state,
    )


def _foreseen(command: Sequence[str], decision: Decision, learned: Learned) -> Forecast:
    """What was learned from all runs says of the next one of this command."""
    paths, name = tuple(change.path for change in decision.changed), name_of(command)
    before = Before(
        decision.subject,
        name=name,
        changed=not decision.reuse,
        paths=paths,
        own_changed=is_own(name, paths),
        load=load_of(load_step()),
    )
    mind = learned.mind(decision.subject)
    return learned.learner.forecast(before, mind.subject)
