"""What packing an object came to, remembered, so that nothing is packed in vain a second time."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, cast

from blake3 import blake3

from cid_store.cid import Cid
from ring2_orchestrator.cachefile import CacheFile

_COLUMNS = ("key BLOB PRIMARY KEY", "tools BLOB", "stored INTEGER", "cost_us INTEGER")


class Tried(NamedTuple):
    """What an object would take in the packs as a container, and what decoding it took."""

    stored_bytes: int
    cost_s: float


class TriedFile:
    """Trials by object, in a file of the home that may be lost. Close it to keep what is new.

    They hold for one set of kernels and genes: with others, everything is tried anew.
    """

    def __init__(self, path: Path, kernels: Iterable[Cid], genes: Iterable[str]) -> None:
        hasher = blake3()
        for part in (*(cid.to_bytes() for cid in sorted(kernels)), *map(str.encode, genes)):
            hasher.update(len(part).to_bytes(8, "little") + part)
        self._tools = hasher.digest()
        self._file = CacheFile(path, "tried", _COLUMNS)
        self._known: dict[bytes, Tried] = {}
        self._fresh: dict[bytes, Tried] = {}

    def load(self, cids: Iterable[Cid]) -> None:
        """Read what is kept of these objects."""
        rows = self._file.find([cid.to_bytes() for cid in cids])
        for row in cast("Iterable[tuple[bytes, bytes, int, int]]", rows):
            key, tools, stored, cost_us = row
            if tools == self._tools:
                self._known[key] = Tried(stored, cost_us / 1e6)

    def find(self, cid: Cid) -> Tried | None:
        """What the last trial came to."""
        return self._known.get(cid.to_bytes())

    def remember(self, cid: Cid, tried: Tried) -> None:
        """Note a trial."""
        self._known[cid.to_bytes()] = self._fresh[cid.to_bytes()] = tried

    def close(self) -> None:
        """Write what is new; a failure is harmless and silent."""
        rows = [
            (key, self._tools, tried.stored_bytes, round(tried.cost_s * 1e6))
            for key, tried in self._fresh.items()
        ]
        self._fresh.clear()
        if rows:
            self._file.keep(rows)
