"""Runs whose network is recorded: what holds of it, and what they are given of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.cid import Cid
from cid_store.store import Store
from ring2_orchestrator.home import Home
from ring2_orchestrator.net.credentials import Stripper
from ring2_orchestrator.net.exchange import Exchange, alike, get_exchanges
from ring2_orchestrator.net.policy import Policy
from ring2_orchestrator.recorder.event import Doubt
from ring2_orchestrator.runs.trace import Trace

if TYPE_CHECKING:
    from ring2_orchestrator.net.session import Session
    from ring2_orchestrator.runs.memo import Decision, Memo
    from ring2_orchestrator.runs.secrets import Secrets


def open_session(
    policy: Policy,
    memo: "Memo",
    subject: str,
    *,
    home: Home,
    scratch: Path,
    env: Mapping[str, str],
    secrets: "Secrets",
) -> "Session":
    """What gives a run its network."""
    from ring2_orchestrator.net.session import Session  # noqa: PLC0415 - few runs
    from ring2_orchestrator.net.sources import Kept, Live  # noqa: PLC0415 - few runs

    stripper = Stripper(secrets.is_variable)
    seal: Callable[[bytes], bytes] = memo.key.seal
    begun_ns = now_ns = home.clock.now_ns()
    if policy.mode == "replay":
        exchanges: tuple[Exchange, ...] = ()
        for kept in memo.traces(subject):
            if kept.trace.network is not None:
                exchanges, begun_ns = get_exchanges(home.store, kept.trace.network), kept.begun_ns
                break
        source = Kept(exchanges, home.store, stripper=stripper, seal=seal)
    else:
        folder = scratch / "net"
        folder.mkdir(0o700)
        source = Live(policy.hosts, policy.limits, stripper=stripper, seal=seal, folder=folder)
    return Session(
        source,
        temp=Path(env.get("TMPDIR") or "/tmp"),  # noqa: S108 - as the program itself would
        begun_ns=begun_ns,
        now_ns=now_ns,
        parting_s=policy.limits.parting_s,
    )


def answered(
    decision: "Decision",
    trace: Trace,
    session: "Session",
    *,
    home: Home,
    doubts: list[Doubt] | None,
) -> "tuple[Decision, Trace]":
    """The trace with what was answered, which is kept.

    Where the kept run that held was answered otherwise, its results are not to be compared with
    these: that is one of the doubts; where these are None the decision names that run no more.
    """
    trace = trace._replace(network=session.put(home.store))
    kept = decision.kept
    if kept is None or _alike(home.store, kept.trace.network, trace.network):
        return decision, trace
    text = "the network answered otherwise"
    if doubts is None:
        return decision._replace(kept=None, reason=text), trace
    doubts.append(Doubt("network", text))
    return decision, trace


def _alike(store: Store, some: Cid | None, other: Cid | None) -> bool:
    if some is None or other is None:
        return some == other
    return alike(get_exchanges(store, some), get_exchanges(store, other))
