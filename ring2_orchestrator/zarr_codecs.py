# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
"""Chunks of zarr arrays as containers: a codec of numcodecs, for zarr 2, and one of zarr 3.

Importing this registers both under the name `redoxa`; an installed Redoxa is found without that.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from typing import Any, Self

import numpy as np
from numcodecs.abc import Codec
from numcodecs.compat import NDArrayLike, ensure_contiguous_ndarray, ndarray_copy
from numcodecs.registry import register_codec
from zarr.abc.codec import BytesBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer as Bytes
from zarr.registry import register_codec as register_zarr_codec

from cid_store.errors import DamageError, UsageError
from cid_store.store import Buffer
from ring0.plan import Plan
from ring2_orchestrator.container import BytesSource, Container, Original, stored_size
from ring2_orchestrator.container import write_planned as write
from ring2_orchestrator.container import write_stored as store
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import FAST, find_profile, gene_from, library
from ring2_orchestrator.toolbox import Toolbox, shared_toolbox

NAME = "redoxa"
# Chunks are many and small: unless it is asked for, no search is made for each, and of the smaller
# ones few genes are tried in all their alternatives. What was chosen for one chunk is not asked for
# another: which came first would tell in the bytes.
_QUICK = replace(FAST, search_fuel=0, tiny_bytes=1 << 15)


class Chunks:
    """Packs chunks: what a chunk becomes depends on its bytes and on what is asked for here alone.

    With a gene, a name of the library or a text, there is nothing to look for; with a profile, a
    plan is searched for as `redoxa pack` does. With neither, the genes that leave nothing open are
    compared, zstd among them. Any thread may use it. Raises UsageError.
    """

    def __init__(self, gene: str | None = None, profile: str | None = None) -> None:
        if not isinstance(gene, str | None):
            raise UsageError(
                "a gene is its text or a name of `redoxa gene list`, and not of type "
                f"{type(gene).__name__}"
            )
        if gene is not None and profile is not None:
            raise UsageError("a gene leaves nothing to search for; give it, or a profile")
        self.gene = gene
        self.profile = profile
        self._bounds = _QUICK if profile is None else find_profile(profile)

    def __reduce__(self) -> tuple[type[Self], tuple[str | None, str | None]]:
        """What other processes need to make the same of the same chunks."""
        return type(self), (self.gene, self.profile)

    @property
    def configuration(self) -> dict[str, Any]:
        """What is kept beside the array."""
        chosen = {} if self.profile is None else {"profile": self.profile}
        return {"gene": self.gene, **chosen}

    def encode(self, data: bytes) -> bytes:
        """The container of a chunk, decoded once before it is given."""
        tools = shared_toolbox()
        out = BytesIO()
        source = BytesSource(data, "the chunk")
        if self.gene is None:
            pack(source, out, self._genes, tools, profile=self._bounds, in_parts=False)
        else:
            self._encode_as_told(source, out, tools)
        return out.getvalue()

    def decode(self, container: bytes) -> bytes:
        """The chunk. Raises DamagedContainerError."""
        return _decoded(container, shared_toolbox())

    @cached_property
    def _genes(self) -> list[Gene]:
        every = library(shared_toolbox().palette)
        if self.profile is not None:
            return every
        return [each for each in every if not each.unknowns and not each.has_holes]

    @cached_property
    def _plan(self) -> Plan:
        assert self.gene is not None, "without one, every chunk has a plan of its own"
        return gene_from(self.gene, shared_toolbox().palette).plan()

    def _encode_as_told(self, source: BytesSource, out: BytesIO, tools: Toolbox) -> None:
        original = Original.of(source)
        below = stored_size(original, tools.kernels)
        header = original.header(self._plan)
        if header.has_blocks:
            made = BytesIO()
            size = write(made, original, header, tools.packer, tools.kernels, below=below)
            data = source.read(0, source.size)
            if size is not None and _gives_back(made.getvalue(), data, tools):
                out.write(made.getvalue())
                return
        store(out, original, tools.kernels)


class Redoxa(Codec):
    """The codec for zarr 2 and whatever else speaks numcodecs: `compressor=Redoxa()`."""

    codec_id = NAME

    def __init__(self, gene: str | None = None, profile: str | None = None) -> None:
        self._chunks = Chunks(gene, profile)
        self.gene, self.profile = gene, profile

    def encode(self, buf: Buffer) -> bytes:
        """The container of a chunk."""
        return self._chunks.encode(ensure_contiguous_ndarray(buf).tobytes())

    def decode(self, buf: Buffer, out: Buffer | None = None) -> NDArrayLike:
        """The chunk, in `out` where that is given."""
        data = self._chunks.decode(ensure_contiguous_ndarray(buf).tobytes())
        return ndarray_copy(np.frombuffer(data, dtype=np.uint8), out)

    def get_config(self) -> dict[str, Any]:
        """What is kept beside the array."""
        return {"id": NAME, **self._chunks.configuration}


@dataclass(frozen=True)
class RedoxaCodec(BytesBytesCodec):
    """The codec for zarr 3: `compressors=RedoxaCodec()`."""

    is_fixed_size = False

    gene: str | None = None
    profile: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no codec, before an array is made with it."""
        Chunks(self.gene, self.profile)

    @cached_property
    def _chunks(self) -> Chunks:
        return Chunks(self.gene, self.profile)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec that an array's metadata name."""
        return cls(**(data.get("configuration") or {}))

    def to_dict(self) -> dict[str, Any]:
        """What stands in an array's metadata."""
        return {"name": NAME, "configuration": self._chunks.configuration}

    async def _encode_single(self, chunk_bytes: Bytes, chunk_spec: ArraySpec) -> Bytes:
        made = await asyncio.to_thread(self._chunks.encode, chunk_bytes.to_bytes())
        return chunk_spec.prototype.buffer.from_bytes(made)

    async def _decode_single(self, chunk_bytes: Bytes, chunk_spec: ArraySpec) -> Bytes:
        made = await asyncio.to_thread(self._chunks.decode, chunk_bytes.to_bytes())
        return chunk_spec.prototype.buffer.from_bytes(made)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Nobody can say before it was done."""
        # Zarr's protocol for a size that varies; it asks for the sizes of a shard's index only.
        raise NotImplementedError("how long a container is shows only when it is packed")


def _decoded(container: bytes, tools: Toolbox) -> bytes:
    held = Container(BytesSource(container, "the chunk"), tools.kernels)
    return b"".join(held.chunks(tools.executor))


def _gives_back(container: bytes, data: bytes, tools: Toolbox) -> bool:
    try:
        return _decoded(container, tools) == data
    except DamageError:
        return False  # a kernel is wrong, so it is not used


register_codec(Redoxa)
register_zarr_codec(NAME, RedoxaCodec)
