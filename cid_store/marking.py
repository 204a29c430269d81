"""What is still needed: everything that roots and other starting points lead to, by links."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import DamageError, MalformedNodeError
from cid_store.ground import Ground
from cid_store.keeper import Keeper
from cid_store.nodes import links
from cid_store.pack import Kind
from cid_store.reading import Reader

_AT_ONCE = 256


class Lost(NamedTuple):
    """Something that is needed and not there, or not readable."""

    cid: Cid
    hides: bool  # whether it may link to more that is needed and cannot be known


class Marker:
    """Grows the set of needed objects; asking again about what is known costs nothing."""

    def __init__(self, keeper: Keeper, reader: Reader) -> None:
        self.lost: dict[Cid, Lost] = {}
        self._keeper = keeper
        self._reader = reader
        # Digests alone, because there may be ten million of them.
        self._needed: dict[Codec, set[bytes]] = {codec: set() for codec in Codec}
        self._demoted: list[Cid] = []

    def forget(self) -> None:
        """Begin anew."""
        self.lost.clear()
        self._demoted.clear()
        for needed in self._needed.values():
            needed.clear()

    def __len__(self) -> int:
        return sum(map(len, self._needed.values()))

    def __contains__(self, cid: Cid) -> bool:
        return cid.digest in self._needed[cid.codec]

    def mark(self, cids: Iterable[Cid]) -> None:
        """These are needed, and whatever they lead to."""
        coming = iter(cids)
        waiting: list[Cid] = []
        # A part at a time: who gives ten million has them in memory only as what is marked.
        while some := list(islice(coming, _AT_ONCE)):
            waiting += self._new(some)
            while waiting:
                some = waiting[-_AT_ONCE:]
                del waiting[-_AT_ONCE:]
                waiting += self._new(self._below(some))
        if self.lost:
            self._lose_demoted()

    def mark_demoted(self, cid: Cid) -> None:
        """What rebuilds this object is needed if it is, even where it was known as whole."""
        if cid in self:
            self.mark(self._in_place_of(cid) or [])

    def doubt(self, cids: Iterable[Cid]) -> None:
        """Hash what those of these rest on that are demoted: they are lost unless all is sound."""
        ground = Ground(self._keeper, self._reader, deep=True)
        for cid in cids:
            if cid in self and self._reader.is_demoted(cid) and ground.fault(cid) is not None:
                self.lost[cid] = Lost(cid, hides=True)

    def _new(self, cids: Iterable[Cid]) -> list[Cid]:
        """Those not known yet; known from now on."""
        fresh: list[Cid] = []
        for cid in cids:
            needed = self._needed[cid.codec]
            if cid.digest not in needed:
                needed.add(cid.digest)
                fresh.append(cid)
        return fresh

    def _below(self, cids: list[Cid]) -> list[Cid]:
        places = self._keeper.places(cids)
        below: list[Cid] = []
        nodes: list[Cid] = []
        for cid in cids:
            if cid not in places:
                self.lost[cid] = Lost(cid, hides=cid.codec is Codec.NODE)
                continue
            if places[cid].is_demoted:
                instead = self._in_place_of(cid)
                if instead is not None:
                    below += instead
                    continue
            if places[cid].kind != Kind.OBJECT:
                below += self._chunks(cid)
            if cid.codec is Codec.NODE:
                nodes.append(cid)
        for data in self._nodes(nodes):
            try:
                below += links(decode(data))
            except MalformedNodeError:
                continue  # bytes that are no node link to nothing
        return below

    def _chunks(self, cid: Cid) -> list[Cid]:
        try:
            chunks = self._reader.chunks(cid)
        except DamageError:
            self.lost[cid] = Lost(cid, hides=True)
            return []
        return [name for name, _ in chunks.chunks()] if chunks is not None else []

    def _in_place_of(self, cid: Cid) -> list[Cid] | None:
        """What rebuilds a demoted object, and what it links to; None where it is whole again.

        Nothing is rebuilt to know it.
        """
        self._demoted.append(cid)
        try:
            demotion = self._reader.demotion(cid)
        except DamageError:
            self.lost[cid] = Lost(cid, hides=True)
            return []
        return [demotion.recipe, *demotion.links] if demotion is not None else None

    def _lose_demoted(self) -> None:
        """With what it needs a demoted object is lost; what may be left of it must not go, too."""
        ground = Ground(self._keeper, self._reader)
        for cid in self._demoted:
            if ground.fault(cid) is not None:
                self.lost[cid] = Lost(cid, hides=True)

    def _nodes(self, cids: list[Cid]) -> list[bytes]:
        try:
            return list(self._reader.get_many(cids).values())
        except DamageError:
            pass
        found: list[bytes] = []
        for cid in cids:
            try:
                found.append(self._reader.get(cid))
            except DamageError:
                self.lost[cid] = Lost(cid, hides=True)
        return found
