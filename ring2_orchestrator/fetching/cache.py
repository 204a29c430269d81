"""Answers that are kept, whole or in part, each under a root of the store."""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, cast

from blake3 import blake3

from cid_store.errors import DamageError, MalformedNodeError
from cid_store.nodes import get_node, put_node
from cid_store.store import Store
from ring2_orchestrator.net.credentials import Header
from ring2_orchestrator.net.exchange import Exchange
from ring2_orchestrator.net.target import Target

_ANSWER, _PART = "fetch/", "fetch-part/"
_VERSION = 1


class Kept(NamedTuple):
    """An answer, or the first `exchange.size` bytes of one that has `total`, where that is known.

    `begun_ns` lies before the request was sent.
    """

    exchange: Exchange
    begun_ns: int
    total: int | None = None


class Cache:
    """What was answered to each request. What cannot be read any more counts as not kept."""

    def __init__(self, store: Store, seal: Callable[[bytes], bytes]) -> None:
        self._store, self._seal = store, seal

    def name(self, target: Target, headers: tuple[Header, ...]) -> str:
        """The name of a request: nobody without the home's key can test a guess of it."""
        said = repr(sorted((name.lower(), value) for name, value in headers))
        return self._seal(blake3(f"GET {target.url}\n{said}".encode()).digest()).hex()

    def answer(self, name: str) -> Kept | None:
        """The newest whole answer."""
        return self._get(_ANSWER + name)

    def part(self, name: str) -> Kept | None:
        """The beginning of an answer that broke off."""
        return self._get(_PART + name)

    def keep_answer(self, name: str, kept: Kept) -> None:
        """From now on this is the answer, and there is no part of another one."""
        self._set(_ANSWER + name, kept)
        self._store.set_root(_PART + name, None)

    def keep_part(self, name: str, kept: Kept) -> None:
        """From now on this is where to go on."""
        self._set(_PART + name, kept)

    def drop_part(self, name: str) -> None:
        """Nothing can be gone on with any more."""
        self._store.set_root(_PART + name, None)

    def drop(self, name: str) -> bool:
        """Forget answer and part; whether there was any."""
        found = [at + name for at in (_ANSWER, _PART) if self._store.root(at + name) is not None]
        for root in found:
            self._store.set_root(root, None)
        return bool(found)

    def _set(self, root: str, kept: Kept) -> None:
        with self._store.batch():
            node = put_node(
                self._store,
                {
                    "begun_ns": kept.begun_ns,
                    "exchange": kept.exchange.node(),
                    "total": kept.total,
                    "type": "fetched",
                    "v": _VERSION,
                },
            )
            self._store.set_root(root, node)

    def _get(self, root: str) -> Kept | None:
        cid = self._store.root(root)
        if cid is None:
            return None
        with suppress(DamageError, MalformedNodeError, KeyError, TypeError, ValueError, IndexError):
            node = cast("dict[str, object]", get_node(self._store, cid))
            if (node["type"], node["v"]) != ("fetched", _VERSION):
                return None
            exchange = Exchange.from_node(cast("dict[str, object]", node["exchange"]))
            # Without its bytes an answer is none: it is asked for again.
            if exchange.content is None or self._store.has(exchange.content):
                return Kept(
                    exchange, cast("int", node["begun_ns"]), cast("int | None", node["total"])
                )
        return None
