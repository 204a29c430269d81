"""How far away an object's bytes are, and the node that says how they come back.

An object is kept whole (illuminated), or its bytes are dropped and a recipe rebuilds them, from a
container (penumbra) or by running again what made them (umbra). It has the same name throughout.
The store knows of a recipe what it needs, and no more: docs/formats/recipe.md.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

from cid_store.cid import Cid
from cid_store.encoding import NodeLike, decode, encode
from cid_store.errors import MalformedNodeError
from cid_store.pack import Kind

_OWN_KEYS = {"type", "v", "how", "needs"}


class Tier(enum.StrEnum):
    """How far away an object's bytes are."""

    ILLUMINATED = "illuminated"  # stored whole
    PENUMBRA = "penumbra"  # stored as a container that a plan unpacks
    UMBRA = "umbra"  # dropped: what made them runs again


def tier_of(kind: int) -> Tier:
    """The tier of an object that is kept in a record of that kind."""
    demoted = {Kind.PENUMBRA: Tier.PENUMBRA, Kind.UMBRA: Tier.UMBRA}
    return demoted.get(Kind(kind), Tier.ILLUMINATED)


class Writable(Protocol):
    """Where a rebuilt object goes, part by part."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Take the next bytes of it."""
        ...


class Rebuild(Protocol):
    """What makes a demoted object's bytes again; the store checks them against the name."""

    def __call__(self, cid: Cid, recipe: Cid, out: Writable) -> None:
        """Write the object's bytes into `out`, as the recipe of that name says.

        It reads, in the thread it was called in, the recipe and the objects that the recipe needs,
        and no others: the store refuses them.
        """
        ...


class Recipe(NamedTuple):
    """How an object is rebuilt, and every object that is read in doing so."""

    how: str
    needs: tuple[Cid, ...]
    fields: Mapping[str, NodeLike]  # what that way of rebuilding wants to know


class Demoted(NamedTuple):
    """What a demotion learned."""

    size: int  # the object's bytes
    cost_s: float  # what its rebuild took


class Account(NamedTuple):
    """The objects of one tier, chunks among them, and what they take."""

    objects: int = 0
    object_bytes: int = 0  # what reading each of them gives
    stored_bytes: int = 0  # what their records take in the packs
    debt_s: float = 0.0  # what rebuilding all of them is expected to take


class Books(NamedTuple):
    """Every object the store knows, in the account of its tier and in no other."""

    illuminated: Account = Account()
    penumbra: Account = Account()
    umbra: Account = Account()

    def of(self, tier: Tier) -> Account:
        """The account of one tier."""
        return cast("Account", getattr(self, tier))

    @property
    def total(self) -> Account:
        """All accounts together: every object that was put and not forgotten."""
        return Account(
            sum(account.objects for account in self),
            sum(account.object_bytes for account in self),
            sum(account.stored_bytes for account in self),
            sum(account.debt_s for account in self),
        )


def encode_recipe(recipe: Recipe) -> bytes:
    """The recipe's node, in its one encoding."""
    assert _OWN_KEYS.isdisjoint(recipe.fields), "a recipe's own keys name nothing else"
    return encode(
        {
            **recipe.fields,
            "type": "recipe",
            "v": 1,
            "how": recipe.how,
            "needs": list(dict.fromkeys(recipe.needs)),
        }
    )


def parse_recipe(data: bytes) -> Recipe:
    """The recipe in these bytes. Raises MalformedNodeError where they are none."""
    node = decode(data)
    match node:
        case {"type": "recipe", "v": 1, "how": str(how), "needs": list(needs), **fields}:
            cids = [cid for cid in needs if type(cid) is Cid]
            if len(set(cids)) == len(needs):
                return Recipe(how, tuple(cids), fields)
        case _:
            pass
    raise MalformedNodeError(
        "this node is no recipe of version 1; docs/formats/recipe.md says what one is"
    )
