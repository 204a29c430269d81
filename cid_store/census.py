"""What a store can say of itself in figures."""

from typing import NamedTuple

from cid_store.cid import Codec


class Totals(NamedTuple):
    """How much the index names."""

    objects: int
    object_bytes: int
    roots: int


class PackFill(NamedTuple):
    """What the index knows of one pack."""

    number: int
    objects: int
    used: int  # bytes up to where it is known, its header left out
    dead: int  # of these, bytes in no record that the index points to


class Census(NamedTuple):
    """How many objects there are of which codec, how they are kept, and how full the packs are."""

    codecs: dict[Codec, tuple[int, int]]  # objects and their bytes
    in_chunks: int  # objects that are kept as a list of chunks; their bytes are the chunks'
    packs: tuple[PackFill, ...]
