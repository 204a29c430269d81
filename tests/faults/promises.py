"""What was promised to those who worked on a home, and whether it holds."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cid_store.cid import Cid, Codec
from cid_store.errors import RedoxaError
from cid_store.local import LocalStore
from cid_store.nodes import get_node, links
from ring2_orchestrator.home import Home
from tests.faults.work import DAY_S, ToyHome


class Tally:
    """How much was promised in all, and what of it was broken."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []

    def __str__(self) -> str:
        said = self.counts
        return (
            f"{said['stop']:,} stops; {said['put']:,} puts, {said['root']:,} roots and "
            f"{said['entry']:,} ledger entries acknowledged, {said['demoted']:,} objects demoted "
            f"and {said['promoted']:,} promoted, {said['dropped']:,} collected meanwhile; "
            f"{said['refused']:,} acts refused; {len(self.broken):,} promises broken"
        )


class Promises:
    """Heard line by line, as `work` says them; then compared with the home."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.loose: set[Cid] = set()  # kept, whether a root leads there or not
        self.roots: dict[str, Cid | None] = {}
        self.tried: dict[str, set[Cid | None]] = {}
        self.entries: dict[int, tuple[str, int]] = {}
        self.refusals: list[str] = []
        self._head: str | None = None

    def hear(self, lines: Iterable[bytes]) -> None:
        """Take note; a last line that was cut in two never arrived, and promised nothing."""
        for line in lines:
            if line.endswith(b"\n"):
                kind, *words = line.decode().rstrip("\n").split(" ")
                self._tally.counts[kind] += int(words[0]) if kind == "dropped" else 1
                self._note(kind, words)

    def _note(self, kind: str, words: list[str]) -> None:
        if kind == "put":
            self.loose.add(Cid.parse(words[0]))
        elif kind == "try":
            self.tried.setdefault(words[0], set()).add(_cid(words[1]))
        elif kind == "root":
            self.roots[words[0]] = _cid(words[1])
            self.tried[words[0]] = set()  # what was tried before can never come back
        elif kind == "entry":
            self.entries[int(words[0])] = (words[1], int(words[2]))
        elif kind == "collect":
            self.loose.clear()
        elif kind == "refused":
            self.refusals.append(" ".join(words))
        elif kind in ("crash", "unopened"):
            self._tally.broken.append(" ".join((kind, *words)))

    def compare(self, path: Path) -> None:
        """Note in the tally every promise that the home at `path` does not keep."""
        broken = self._tally.broken
        try:
            with ToyHome(path) as home:
                broken.extend(self._lost(home))
                broken.extend(f"verify: {damage}" for damage in home.store.verify().damage)
                broken.extend(self._forgotten(home))
        except RedoxaError as error:
            broken.append(f"the home does not open: {error}")

    def _lost(self, home: Home) -> Iterator[str]:
        """Objects and roots."""
        for cid in self.loose:
            yield from _wrong(home.store, cid)
        for name in self.roots.keys() | self.tried.keys():
            bound, acknowledged = home.store.root(name), self.roots.get(name)
            if bound not in {acknowledged, *self.tried.get(name, ())}:
                yield f"root {name} names {bound} and not {acknowledged}"
        for name, cid in home.store.roots():
            for lost in _all_wrong(home.store, cid):
                yield f"root {name}: {lost}"

    def _forgotten(self, home: Home) -> Iterator[str]:
        """What the ledger does not hold, or does not hold as it was."""
        try:
            home.ledger.verify(self._head)
            for seq, (name, number) in self.entries.items():
                batch = home.ledger.read(seq)
                if batch.entries != ({"writer": name, "number": number},):
                    yield f"entry {seq} holds {batch.entries} instead of {number} by {name}"
        except RedoxaError as error:
            yield f"the ledger: {error}"

    def go_on(self, path: Path) -> None:
        """Work goes on; a log may not be shorter from here on, and what no root names may age."""
        with ToyHome(path) as home:
            assert home.store.get(home.store.put(b"work goes on")) == b"work goes on"
            home.ledger.append(["settled"], kind="t", subject="checker")
            self._head = home.ledger.checkpoint()
        self.loose.clear()
        self.entries.clear()
        for pack in (path / "store" / "packs").iterdir():
            then = pack.stat().st_mtime - 2 * DAY_S
            os.utime(pack, (then, then))


def _cid(word: str) -> Cid | None:
    return None if word == "-" else Cid.parse(word)


def _wrong(store: LocalStore, cid: Cid) -> Iterator[str]:
    try:
        if Cid.of(store.get(cid), cid.codec) != cid:
            yield f"{cid} reads as other bytes"
    except RedoxaError as error:
        yield f"{cid} is lost: {error}"


def _all_wrong(store: LocalStore, cid: Cid) -> Iterator[str]:
    """What a root leads to and is not there."""
    found = list(_wrong(store, cid))
    yield from found
    if cid.codec is Codec.NODE and not found:
        for linked in links(get_node(store, cid)):
            yield from _all_wrong(store, linked)
