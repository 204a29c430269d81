"""Objects one by one: how far away each is, what it takes, and what else relies on it."""

from collections.abc import Iterable
from typing import NamedTuple

from cid_store.chunks import CHUNK_BYTES, ChunkList, encode_chunks
from cid_store.cid import DIGEST_BYTES, Cid, Codec
from cid_store.demotion import Demotion, encode_demotion
from cid_store.errors import DamageError, MalformedNodeError
from cid_store.folder import Place
from cid_store.keeper import Keeper
from cid_store.marking import Marker
from cid_store.pack import Kind, record_bytes
from cid_store.reading import Reader
from cid_store.tiers import Tier, parse_recipe, tier_of


class Entry(NamedTuple):
    """An object as the store keeps it."""

    cid: Cid
    tier: Tier
    size_bytes: int
    stored_bytes: int  # what its record takes in the packs, and the chunks it is kept in
    cost_s: float  # what a rebuild is expected to take
    written_ns: int  # when its pack was last written to: it was put no later
    is_chunk: bool = False  # another object is kept in it
    is_ingredient: bool = False  # a demoted object is rebuilt from it
    is_needed: bool = False  # as garbage is collected, it stays


def entry_of(keeper: Keeper, reader: Reader, cid: Cid) -> Entry:
    """The entry of one object, whatever relies on it. Raises MissingObjectError."""
    return _entry(keeper, cid, reader.place(cid), reader.chunks(cid))


def inventory(keeper: Keeper, reader: Reader, least_bytes: int, live: Iterable[Cid]) -> list[Entry]:
    """The entries of all plain bytes that are kept whole and have at least that size.

    Needed is what roots and `live` lead to.
    """
    keeper.settle()
    lists: dict[Cid, ChunkList] = {}
    ingredients: set[Cid] = set()
    for cid, kind in keeper.ask(lambda index: index.sealed()):
        try:
            if kind == Kind.CHUNKS:
                chunks = reader.chunks(cid)
                if chunks is not None:
                    lists[cid] = chunks
            else:
                ingredients.update(_needs(reader, cid))
        except (DamageError, MalformedNodeError):
            continue  # `verify` says so; here it only matters what can be known
    parts = {part for chunks in lists.values() for part, _ in chunks.chunks()}
    marker = Marker(keeper, reader)
    marker.mark(keeper.ask(lambda index: index.roots("")).values())
    marker.mark(live)
    places = keeper.ask(lambda index: index.whole(least_bytes))
    return [
        _entry(keeper, cid, place, lists.get(cid))._replace(
            is_chunk=cid in parts, is_ingredient=cid in ingredients, is_needed=cid in marker
        )
        for cid, place in places
    ]


def stream_bytes(size: int) -> int:
    """What an object that was put as a stream takes in the packs."""
    if size <= CHUNK_BYTES:
        return record_bytes(size)
    chunks = ChunkList(size, CHUNK_BYTES, bytes(-(-size // CHUNK_BYTES) * DIGEST_BYTES))
    listed = len(encode_chunks(Cid.of(b""), chunks))
    return record_bytes(listed) + sum(record_bytes(part) for _, part in chunks.chunks())


def demotion_bytes(cid: Cid, size: int, cost_s: float, recipe: bytes) -> int:
    """What stands in place of plain bytes that are demoted: a record, and the recipe."""
    demotion = Demotion(size, round(cost_s * 1e6), Cid.of(recipe, Codec.NODE), ())
    return record_bytes(len(encode_demotion(cid, demotion))) + record_bytes(len(recipe))


def _entry(keeper: Keeper, cid: Cid, place: Place, chunks: ChunkList | None) -> Entry:
    parts = chunks.chunks() if chunks is not None else ()
    return Entry(
        cid,
        tier_of(place.kind),
        place.size,
        record_bytes(place.length) + sum(record_bytes(size) for _, size in parts),
        place.cost_us / 1e6,
        keeper.packs.written_ns(place.pack) or 0,
    )


def _needs(reader: Reader, cid: Cid) -> tuple[Cid, ...]:
    demotion = reader.demotion(cid)
    return parse_recipe(reader.get(demotion.recipe)).needs if demotion is not None else ()
