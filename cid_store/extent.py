"""How large the object is that a record stands for, told from the record's payload."""

from typing import NamedTuple

from cid_store.chunks import parse_chunks
from cid_store.cid import Cid
from cid_store.demotion import parse_demotion
from cid_store.pack import Kind


class Extent(NamedTuple):
    """An object's length, and what making it from its record is expected to cost."""

    size: int
    cost_us: int = 0


def sealed_extent(kind: Kind, cid: Cid, payload: bytes) -> Extent | None:
    """The extent of an object that is not kept whole; None where nothing is sealed to its name."""
    assert kind.is_sealed, "any other payload is hashed"
    if kind is Kind.CHUNKS:
        chunks = parse_chunks(cid, payload)
        return Extent(chunks.size) if chunks is not None else None
    demotion = parse_demotion(cid, payload)
    return Extent(demotion.size, demotion.cost_us) if demotion is not None else None
