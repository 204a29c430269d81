"""A way of rebuilding objects that is small enough to test the store with."""

from pathlib import Path
from typing import cast

from cid_store.cid import Cid, Codec
from cid_store.local import LocalStore
from cid_store.tiers import Recipe, Writable, encode_recipe, parse_recipe


class Toy:
    """Makes objects of others: joined and repeated, or the wrong way round."""

    def __init__(self) -> None:
        self.store: LocalStore
        self.rebuilt: list[Cid] = []

    def __call__(self, cid: Cid, recipe: Cid, out: Writable) -> None:
        self.rebuilt.append(cid)
        how, needs, fields = parse_recipe(self.store.get(recipe))
        for _ in range(cast("int", fields["times"])):
            for need in needs:
                if how == "backwards":
                    out.write(self.store.get(need)[::-1])
                else:
                    for part in self.store.get_stream(need):
                        out.write(part)


def opened(path: Path, *, read_only: bool = False) -> LocalStore:
    """A store that can rebuild objects."""
    toy = Toy()
    toy.store = LocalStore(path, read_only=read_only, rebuild=toy)
    return toy.store


def toy_of(store: LocalStore) -> Toy:
    """What rebuilds the objects of an opened store."""
    return cast("Toy", store._reader.rebuilder._rebuild)


def put_recipe(store: LocalStore, *needs: Cid, how: str = "joined", times: int = 1) -> Cid:
    """A recipe for what these objects give."""
    return store.put(encode_recipe(Recipe(how, needs, {"times": times})), Codec.NODE)
