"""What callers of the machine give it, checked: names, genes, bytes, tiers."""

import numpy as np
import numpy.typing as npt

from cid_store.cid import Cid, Codec
from cid_store.errors import InputError, UsageError
from cid_store.tiers import Tier
from ring2_orchestrator.gene import Gene


def named(name: Cid | str) -> Cid:
    """The name of an object from what a caller gave as one."""
    if isinstance(name, str):
        return Cid.parse(name)
    require(name, Cid, "the name of an object, a Cid or its text")
    return name


def demoted_tier(to: Tier | str | None) -> Tier | None:
    """The tier to demote to, None for the one that fits. Raises UsageError."""
    if to in (None, Tier.PENUMBRA, Tier.UMBRA):
        return None if to is None else Tier(to)
    raise UsageError(f"expected 'penumbra' or 'umbra' as the tier to demote to, and not {to!r}")


def gene_of(gene: Gene) -> Gene:
    """A gene that a caller gave. Raises UsageError."""
    require(gene, Gene, "a gene, as vm.gene makes it")
    return gene


def require(value: object, kind: type, wanted: str) -> None:
    """Raise UsageError unless the value is of that type."""
    if not isinstance(value, kind):
        raise UsageError(f"expected {wanted}, and not a value of type {type(value).__name__}")


def require_bytes(data: object) -> None:
    """Raise UsageError unless these are bytes."""
    try:
        memoryview(data)  # pyright: ignore[reportArgumentType] - that is the question
    except TypeError as error:
        raise UsageError(
            f"expected bytes or an array, and not a value of type {type(data).__name__}"
        ) from error


def raw(cid: Cid) -> Cid:
    """The name of the same bytes as plain bytes: kernels know no other kind."""
    return Cid(Codec.RAW, cid.digest)


def little_endian(array: npt.NDArray[np.generic]) -> memoryview:
    """The elements of an array in C order, as little-endian bytes."""
    if array.dtype.hasobject:
        raise InputError("an array of Python objects has no bytes of its own; convert it first")
    # Flat first: a view as bytes needs one dimension with elements side by side.
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
    return flat.view(np.uint8).data
