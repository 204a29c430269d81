# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
"""Chunks of zarr arrays as containers: a codec of numcodecs, for zarr 2, and one of zarr 3.

Importing this registers both under the name `redoxa`; an installed Redoxa is found without that.
"""

import asyncio
import threading
from dataclasses import dataclass
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

from cid_store.errors import DamageError
from cid_store.store import Buffer
from ring0.plan import Plan
from ring2_orchestrator.container import BytesSource, Container, Original, stored_size
from ring2_orchestrator.container import write_planned as write
from ring2_orchestrator.container import write_stored as store
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing_parts import best_plan
from ring2_orchestrator.planner import BALANCED, library, library_gene
from ring2_orchestrator.toolbox import Toolbox, shared_toolbox

NAME = "redoxa"


class Chunks:
    """Packs chunks of one array: the plan that suits the first is used for all of them.

    With a gene, a name of the library or a text, there is nothing to look for. Any thread may use
    it.
    """

    def __init__(self, gene: str | None = None) -> None:
        self.gene = gene
        self._plans: dict[str, Plan | None] = {}
        self._planning = threading.Lock()

    def __reduce__(self) -> tuple[type[Self], tuple[str | None]]:
        """Copies that go to other processes, as dask sends them, look for a plan of their own."""
        return type(self), (self.gene,)

    def encode(self, data: bytes, kind: str) -> bytes:
        """The container of a chunk, decoded once before it is given; `kind` is its element type."""
        tools = shared_toolbox()
        original = Original.of(BytesSource(data, "the chunk"))
        plan = self._plan(data, kind, tools)
        if plan is not None and data:
            out = BytesIO()
            size = write(
                out, original, original.header(plan), tools.packer, tools.kernels,
                below=stored_size(original, tools.kernels),
            )  # fmt: skip
            if size is not None and _gives_back(out.getvalue(), data, tools):
                return out.getvalue()
        out = BytesIO()
        store(out, original, tools.kernels)
        return out.getvalue()

    def decode(self, container: bytes) -> bytes:
        """The chunk. Raises DamagedContainerError."""
        return _decoded(container, shared_toolbox())

    def _plan(self, data: bytes, kind: str, tools: Toolbox) -> Plan | None:
        with self._planning:
            if kind not in self._plans:
                self._plans[kind] = self._found(data, tools)
            return self._plans[kind]

    def _found(self, data: bytes, tools: Toolbox) -> Plan | None:
        if self.gene is None:
            return best_plan(
                BytesSource(data, "the chunk"), library(tools.palette), tools, BALANCED
            )
        if "\n" in self.gene:
            return Gene.parse(self.gene, tools.palette).plan()
        return library_gene(self.gene, tools.palette).plan()


class Redoxa(Codec):
    """The codec for zarr 2 and whatever else speaks numcodecs: `compressor=Redoxa()`."""

    codec_id = NAME

    def __init__(self, gene: str | None = None) -> None:
        self.gene = gene
        self._chunks = Chunks(gene)

    def encode(self, buf: Buffer) -> bytes:
        """The container of a chunk."""
        kind = str(buf.dtype) if isinstance(buf, np.ndarray) else "bytes"
        return self._chunks.encode(ensure_contiguous_ndarray(buf).tobytes(), kind)

    def decode(self, buf: Buffer, out: Buffer | None = None) -> NDArrayLike:
        """The chunk, in `out` where that is given."""
        data = self._chunks.decode(ensure_contiguous_ndarray(buf).tobytes())
        return ndarray_copy(np.frombuffer(data, dtype=np.uint8), out)

    def get_config(self) -> dict[str, Any]:
        """What is kept beside the array."""
        return {"id": NAME, "gene": self.gene}


@dataclass(frozen=True)
class RedoxaCodec(BytesBytesCodec):
    """The codec for zarr 3: `compressors=RedoxaCodec()`."""

    is_fixed_size = False

    gene: str | None = None

    @cached_property
    def _chunks(self) -> Chunks:
        return Chunks(self.gene)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The codec that an array's metadata name."""
        return cls(**(data.get("configuration") or {}))

    def to_dict(self) -> dict[str, Any]:
        """What stands in an array's metadata."""
        return {"name": NAME, "configuration": {"gene": self.gene}}

    async def _encode_single(self, chunk_bytes: Bytes, chunk_spec: ArraySpec) -> Bytes:
        kind = str(chunk_spec.dtype)
        made = await asyncio.to_thread(self._chunks.encode, chunk_bytes.to_bytes(), kind)
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
