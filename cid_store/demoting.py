"""Moving objects between tiers: bytes are dropped only where they were rebuilt once before."""

import time
from typing import IO

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.demotion import Demotion, encode_demotion
from cid_store.encoding import MAX_NODE_BYTES, decode
from cid_store.errors import CorruptObjectError, InputError, MalformedNodeError, UsageError
from cid_store.ground import Ground
from cid_store.keeper import Keeper
from cid_store.nodes import links
from cid_store.pack import Kind, Record
from cid_store.reading import Reader
from cid_store.streams import filled, keep_stream
from cid_store.tiers import Demoted, Tier, parse_recipe

_KINDS = {Tier.PENUMBRA: Kind.PENUMBRA, Tier.UMBRA: Kind.UMBRA}


def demote(keeper: Keeper, reader: Reader, cid: Cid, recipe: Cid, tier: Tier) -> Demoted:
    """Keep the recipe in place of the object, once it has rebuilt it.

    Raises InputError where it does not, or where the store lacks something of it.
    """
    kind = _KINDS.get(tier)
    if kind is None:
        raise UsageError(f"object {cid} is not demoted to be {tier}; promote it instead")
    keeper.check_writable()
    needs = _needs(keeper, reader, cid, recipe)
    start = time.perf_counter()
    try:
        with reader.rebuilder.made(cid, recipe, reader.size(cid), sure=True) as file:
            cost_s = time.perf_counter() - start
            linked = _links(cid, file)
    except CorruptObjectError as error:
        raise InputError(f"{error}; by recipe {recipe} it is not demoted") from error
    demotion = Demotion(reader.size(cid), round(cost_s * 1e6), recipe, linked)
    payload = encode_demotion(cid, demotion)
    with keeper.exclusive():
        tail = keeper.followed()
        # Under the lock: of two writers who demote one object from the other, one must not.
        ground = Ground(keeper, reader, without=[cid])
        fault = next((at for need in (recipe, *needs) if (at := ground.fault(need))), None)
        if fault == cid:
            raise _stays(cid, f"what recipe {recipe} needs is rebuilt from the object itself")
        gone = cid if keeper.find(cid) is None else fault
        if gone is not None:
            raise _stays(cid, f"{gone} is not in the store any more")
        keeper.append(tail, [Record(kind, cid, payload)], {})
    return Demoted(demotion.size, cost_s)


def promote(keeper: Keeper, reader: Reader, cid: Cid) -> bool:
    """Keep a demoted object whole again; false where it is."""
    keeper.check_writable()
    demotion = reader.demotion(cid)
    if demotion is None:
        return False
    with reader.rebuilt(cid, demotion) as file:
        first = filled(file, CHUNK_BYTES + 1)
        if len(first) <= CHUNK_BYTES:
            keeper.keep({cid: first}, {})
        else:
            keep_stream(keeper, first, file, cid.codec)
    return True


def _needs(keeper: Keeper, reader: Reader, cid: Cid, recipe: Cid) -> tuple[Cid, ...]:
    """What the recipe needs, all of which the store knows. Raises InputError otherwise."""
    for name in (cid, recipe):
        if keeper.find(name) is None:
            raise _stays(cid, f"{name} is not in the store at {keeper.path}")
    if recipe.codec is not Codec.NODE:
        raise _stays(cid, f"{recipe} names raw bytes, not a recipe")
    if reader.demotion(recipe) is not None:
        raise _stays(cid, f"its recipe {recipe} is demoted; promote that first")
    needs = parse_recipe(reader.get(recipe)).needs
    for name in needs:
        if name == cid:
            raise _stays(cid, f"recipe {recipe} needs the object itself")
        if keeper.find(name) is None:
            raise _stays(cid, f"{name}, which recipe {recipe} needs, is not in the store")
    return needs


def _links(cid: Cid, file: IO[bytes]) -> tuple[Cid, ...]:
    """What the object links to, each once. Raises InputError for a recipe."""
    if cid.codec is not Codec.NODE:
        return ()
    data = file.read(MAX_NODE_BYTES + 1)
    try:
        node = decode(data)
    except MalformedNodeError:
        return ()  # bytes that are no node link to nothing
    try:
        parse_recipe(data)
    except MalformedNodeError:
        return tuple(dict.fromkeys(links(node)))
    raise _stays(cid, "it is a recipe, and recipes are read to know what else is needed")


def _stays(cid: Cid, fact: str) -> InputError:
    return InputError(f"object {cid} stays as it is: {fact}")
