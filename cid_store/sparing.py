"""What garbage rests on that is not collected: a spared object must not lose what it is read from.

Otherwise a store would be found damaged that lost nothing it should keep, and a name could be bound
to an object that is there and cannot be read.
"""

from collections.abc import Container

from cid_store.cid import Cid
from cid_store.ground import Ground
from cid_store.keeper import Keeper
from cid_store.reading import Reader

_AT_ONCE = 256


def rested_on(
    keeper: Keeper, reader: Reader, *, needed: Container[Cid], gone: Container[int]
) -> set[Cid]:
    """All that is read to read what is not needed, and lies in packs that are not to be `gone`.

    Of objects that cannot be read any more nothing is kept.
    """
    ground = Ground(keeper, reader)
    names = [cid for cid, _ in keeper.ask(lambda index: index.sealed()) if cid not in needed]
    found: set[Cid] = set()
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        places = keeper.ask(lambda index, some=some: index.places(some))
        waiting = [cid for cid, place in places.items() if place.pack not in gone]
        waiting = [cid for cid in waiting if ground.fault(cid) is None]
        while waiting:
            below = set(ground.below(waiting.pop()) or ()) - found
            found |= below
            waiting += below
    return found
