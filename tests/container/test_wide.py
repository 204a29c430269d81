"""Text beyond one block is never larger than one frame of zstd -19 makes it, and 64 bytes."""

import io
from pathlib import Path

import numpy as np
import pytest
import zstandard

from ring2_orchestrator.container import BLOCK_BYTES, BytesSource, Container
from ring2_orchestrator.packing import pack, unpack
from ring2_orchestrator.planner import FALLBACK, FAST, Profile, library_gene
from ring2_orchestrator.toolbox import Toolbox

SAMPLES = Path(__file__).parent / "samples"
TEXT = (SAMPLES / "compat.json").read_bytes()


def repeating(size: int) -> bytes:
    """A sample of text, again and again."""
    return (TEXT * (size // len(TEXT) + 1))[:size]


def flowing(size: int) -> bytes:
    """A sample's words that never come again in the same order."""
    words = np.array(sorted({*TEXT.split()}), dtype=object)
    drawn = np.random.default_rng(19).zipf(1.3, size // 4) % len(words)
    return b" ".join(words[drawn])[:size]


def check(tools: Toolbox, data: bytes, profile: Profile | None) -> None:
    out, back = io.BytesIO(), io.BytesIO()
    pack(BytesSource(data), out, [library_gene(FALLBACK, tools.palette)], tools, profile=profile)
    frame = zstandard.ZstdCompressor(level=19).compress(data)
    assert len(out.getvalue()) <= len(frame) + 64
    container = Container(BytesSource(out.getvalue()), tools.kernels)
    unpack(container, back, tools)
    assert back.getvalue() == data
    middle = range(BLOCK_BYTES - 5, BLOCK_BYTES + 5)
    assert (
        b"".join(container.range(middle.start, middle.stop, tools.executor))
        == data[slice(middle.start, middle.stop)]
    )


@pytest.mark.slow
def test_repeating_text_is_not_begun_anew_at_every_block(tools: Toolbox) -> None:
    check(tools, repeating(BLOCK_BYTES + 70_001), None)


@pytest.mark.long
def test_flowing_text_is_not_begun_anew_at_every_block(tools: Toolbox) -> None:
    check(tools, flowing(BLOCK_BYTES + 4_000_001), FAST)


def test_a_number_s_blocks_stay_small(tools: Toolbox) -> None:
    """Ranges of what is no text are read block by block, several at once."""
    data = bytes(BLOCK_BYTES + 1)
    out = io.BytesIO()
    pack(BytesSource(data), out, [library_gene("bytes", tools.palette)], tools)
    assert Container(BytesSource(out.getvalue()), tools.kernels).header.block_bytes == BLOCK_BYTES
