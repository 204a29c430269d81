"""Loads in the shadow ledger: entered after each, and read to plan the next."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import cast

from cid_store.cid import Cid
from cid_store.encoding import NodeLike
from cid_store.errors import RedoxaError
from ring2_orchestrator.fetching.loaded import Account, Ask
from ring2_orchestrator.fetching.pace import Past
from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.net.target import Target

LEDGER_KIND = "fetch"

# So many of the newest loads are looked at, and so many of one host are read.
_LOOKED_AT, _READ = 512, 32


def enter(
    ledger: Ledger,
    *,
    url: str,
    realm: str,
    cid: Cid | None,
    size_bytes: int,
    source: str,
    checked: str,
    reason: str,
    account: Account,
) -> int:
    """Enter one load; its place in the ledger."""
    entry: dict[str, NodeLike] = {
        "asks": [_ask(ask) for ask in account.asks],
        "checked": checked,
        # As text: what the ledger only tells of, it does not keep alive.
        "content": None if cid is None else str(cid),
        "moved_bytes": account.moved_bytes,
        "realm": realm,
        "reason": reason,
        "retries": account.retries,
        "size_bytes": size_bytes,
        "source": source,
    }
    return ledger.append([entry], kind=LEDGER_KIND, subject=url).seq


def _ask(ask: Ask) -> dict[str, NodeLike]:
    return {
        "latency_s": ask.latency_s,
        "moved_bytes": ask.moved_bytes,
        "status": ask.status,
        "trouble": ask.trouble,
        "url": ask.url,
    }


def past_of(ledger: Ledger, host: str) -> Past:
    """How a host answered before. What cannot be read is passed over: it only plans."""
    latencies: list[float] = []
    tries = failures = 0
    with suppress(RedoxaError, OSError):
        for ask in islice(_asks(ledger, host), 4 * _READ):
            tries += 1
            latency = ask.get("latency_s")
            if isinstance(latency, float):
                latencies.append(latency)
            failures += bool(ask.get("trouble"))
    return Past(tuple(latencies[:_READ]), tries, failures)


def _asks(ledger: Ledger, host: str) -> Iterator[dict[str, object]]:
    """The requests to a host, the newest first."""
    leaves = islice(ledger.leaves(LEDGER_KIND, newest_first=True), _LOOKED_AT)
    mine = (seq for seq, leaf in leaves if _host(leaf.subject) == host)
    for seq in islice(mine, _READ):
        for entry in ledger.read(seq).entries:
            asks = cast("dict[str, object]", entry).get("asks") if isinstance(entry, dict) else None
            found = cast("list[object]", asks) if isinstance(asks, list) else []
            for ask in reversed(found):
                if isinstance(ask, dict):
                    told = cast("dict[str, object]", ask)
                    if _host(str(told.get("url"))) == host:
                        yield told


def _host(url: str) -> str | None:
    with suppress(ValueError):
        return Target.of(url).host
    return None
