"""What the end of a run does for traces: for its own, and for those that waited for it."""

from contextlib import suppress

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import Memo, load_kept
from ring2_orchestrator.runs.presence import Candidate, Parting, Presence
from ring2_orchestrator.runs.result import append_withdrawal
from ring2_orchestrator.runs.touched import Touched


def end_run_alone(memo: Memo, presence: Presence, candidate: Candidate | None) -> bool:
    """End a run that met nobody; False where it met some, and goes on.

    Inside a batch the candidate may be published together with its entry: no other run waits for
    it, so there is one wait for the disk instead of two.
    """
    if not presence.part_alone():
        return False
    if candidate is not None:
        memo.publish(candidate.subject, candidate.entry)
    return True


def end_run(
    home: Home,
    memo: Memo,
    presence: Presence,
    touched: Touched | None,
    candidate: Candidate | None = None,
    *,
    leaves_some: bool = False,
) -> Parting:
    """Part from the others, and publish what may be published now.

    Raises what `Presence.part` and `Memo.publish` raise for the run itself.
    """
    parting = presence.part(touched, candidate, leaves_some=leaves_some)
    if candidate is not None and parting.harm is None and not parting.waits:
        memo.publish(candidate.subject, candidate.entry)
    # The rest is about others, and the run does not suffer: a trace that cannot be published now
    # is published at the next end.
    with suppress(RedoxaError, OSError):
        if candidate is not None and parting.harm is not None:
            memo.give_up(candidate.entry)
        for subject, entry in parting.settled:
            memo.publish(subject, entry)
        presence.forget(parting.settled)
        for (subject, entry), harm in parting.withdrawn:
            trace = load_kept(home.store, subject, entry).cid
            append_withdrawal(home.ledger, subject, trace, harm)
            memo.give_up(entry)
    return parting
