"""Whether what a run was answered over the network still holds."""

from cid_store.cid import Cid
from cid_store.errors import DamageError, MalformedNodeError
from cid_store.store import Store
from ring2_orchestrator.clock import Clock
from ring2_orchestrator.net.exchange import get_exchanges
from ring2_orchestrator.net.policy import Policy
from ring2_orchestrator.runs.surroundings import Change


def network_changes(
    policy: Policy, store: Store, clock: Clock, answers: Cid | None, begun_ns: int
) -> list[Change]:
    """Which of the answers kept under that name would no longer be given.

    With `replay` nobody is asked, and all hold. Answers that cannot be read do not.
    """
    if answers is None or policy.mode == "replay":
        return []
    from ring2_orchestrator.net.validation import differences  # noqa: PLC0415 - few runs

    try:
        exchanges = get_exchanges(store, answers)
    except (DamageError, MalformedNodeError):
        return [Change("what servers answered", "network", "kept", "lost, or not readable")]
    found = differences(
        exchanges,
        policy.hosts,
        policy.limits,
        begun_ns=begun_ns,
        now_ns=clock.now_ns(),
    )
    return [Change(each.url, "network", each.was, each.now) for each in found]
