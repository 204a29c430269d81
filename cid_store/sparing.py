"""What garbage rests on that is not collected: a spared object must not lose what it is read from.

Otherwise a store would be found damaged that lost nothing it should keep, and a name could be bound
to an object that is there and cannot be read.
"""

from collections.abc import Container, Iterable
from itertools import islice

from cid_store.chunks import parse_chunks
from cid_store.cid import Cid
from cid_store.demotion import parse_demotion
from cid_store.errors import DamageError, MalformedNodeError
from cid_store.folder import Place
from cid_store.ground import Ground
from cid_store.keeper import Keeper
from cid_store.pack import Head, Kind
from cid_store.reading import Reader
from cid_store.tiers import parse_recipe

_AT_ONCE = 256


def rested_on(
    keeper: Keeper,
    reader: Reader,
    *,
    needed: Container[Cid],
    gone: Container[int],
    older: Iterable[Head],
) -> set[Cid]:
    """All that is read to read what is not needed, and lies in packs that are not to be `gone`.

    Of objects that cannot be read any more nothing is kept. `older` are records in packs that stay
    of objects that the index finds elsewhere: where that is gone, these stand again.
    """
    ground = Ground(keeper, reader)
    waiting: list[Cid] = []
    names = iter([cid for cid, _ in keeper.ask(lambda index: index.sealed()) if cid not in needed])
    while some := list(islice(names, _AT_ONCE)):
        stay = [cid for cid, place in _places(keeper, some).items() if place.pack not in gone]
        waiting += [cid for cid in stay if ground.fault(cid) is None]
    found: set[Cid] = set()
    for head in _standing_again(keeper, older, needed=needed, gone=gone):
        under = Ground(keeper, reader, without=[head.cid])
        below = _below(keeper, reader, head)
        if all(under.fault(cid) is None for cid in below):
            found.update(below)
            waiting += below
    while waiting:
        below = set(ground.below(waiting.pop()) or ()) - found
        found |= below
        waiting += below
    return found


def _standing_again(
    keeper: Keeper, older: Iterable[Head], *, needed: Container[Cid], gone: Container[int]
) -> Iterable[Head]:
    """The records of objects kept as something else that would be the last ones."""
    heads = (head for head in older if head.kind.is_sealed and head.cid not in needed)
    while some := list(islice(heads, _AT_ONCE)):
        places = _places(keeper, [head.cid for head in some])
        for head in some:
            place = places.get(head.cid)
            if place is None or place.pack in gone:
                yield head


def _below(keeper: Keeper, reader: Reader, head: Head) -> list[Cid]:
    """What is read to read an object by that record; nothing where it cannot be read."""
    pack = keeper.packs.pack(head.pack)
    payload = pack.read(head.payload, head.length) if pack is not None else b""
    if head.kind is Kind.CHUNKS:
        chunks = parse_chunks(head.cid, payload)
        return [name for name, _ in chunks.chunks()] if chunks is not None else []
    demotion = parse_demotion(head.cid, payload)
    if demotion is None:
        return []
    try:
        return [demotion.recipe, *parse_recipe(reader.get(demotion.recipe)).needs]
    except (DamageError, MalformedNodeError):
        return []


def _places(keeper: Keeper, cids: list[Cid]) -> dict[Cid, Place]:
    return keeper.ask(lambda index: index.places(cids))
