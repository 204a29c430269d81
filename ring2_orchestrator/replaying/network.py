"""What a bundle holds of a run's network: its answers, and certificates to give them under."""

from collections.abc import Callable

from cid_store.cid import Cid
from cid_store.store import Store
from ring2_orchestrator.net.authority import Authority
from ring2_orchestrator.net.credentials import THAT_MATTER
from ring2_orchestrator.net.exchange import Exchange, get_exchanges
from ring2_orchestrator.net.target import Target
from ring2_orchestrator.net.variables import PROXIES, SWITCHES, TRUSTING


def network_of(store: Store, cid: Cid, keep: Callable[[bytes], str]) -> dict[str, object]:
    """The item for run.json; `keep` puts bytes among the objects and gives their name.

    Equal recordings give equal items. Raises DamageError.
    """
    exchanges = get_exchanges(store, cid)
    authority = Authority(seed=cid.digest)
    targets = [Target.of(exchange.key.url) for exchange in exchanges]
    hosts = sorted({target.host for target in targets if target.scheme == "https"})
    return {
        "compared": sorted(THAT_MATTER),
        "exchanges": [_item(exchange, store, keep) for exchange in exchanges],
        "hosts": {host: keep(authority.leaf(host)) for host in hosts},
        "proxies": sorted(PROXIES),
        "switches": SWITCHES,
        "trusted": keep(authority.pem),
        "trusting": sorted(TRUSTING),
    }


def _item(exchange: Exchange, store: Store, keep: Callable[[bytes], str]) -> dict[str, object]:
    content = exchange.content
    return {
        "answer": [list(header) for header in exchange.headers],
        "headers": [list(header) for header in exchange.key.headers],
        "method": exchange.key.method,
        "object": None if content is None else keep(store.get(content)),
        "reason": exchange.reason,
        "status": exchange.status,
        "url": exchange.key.url,
    }
