"""ABI v1 as the host sees it: the call block, its layout in memory, and the return codes.

The module exports `memory` and `run(call: i32) -> i32`. `call` is the address of a block of
little-endian u32 words:

    op  param_ptr param_len  n_in (ptr len)*n_in  n_out (ptr cap len)*n_out  scratch_ptr scratch_len

Everything past the module's initial memory belongs to the host, which lays the regions out there
one after another, each aligned to 16 bytes, none overlapping another.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple

VERSION = 1
PAGE_BYTES = 65_536
ALIGNMENT = 16
# A 32-bit module can address 4 GiB; the last page stays free so that no region's end wraps to zero.
MEMORY_BYTES = (1 << 32) - PAGE_BYTES
MAX_PORTS = 64
MEMORY_EXPORT = "memory"
RUN_EXPORT = "run"


class Op(enum.IntEnum):
    """The first word of the call block. A `BOUND_` op says what the other one will need."""

    BOUND_FORWARD = 0
    FORWARD = 1
    BOUND_INVERSE = 2
    INVERSE = 3

    @property
    def bound(self) -> "Op":
        """The op that must be called before this one."""
        return Op(self & ~1)

    @property
    def opposite(self) -> "Op":
        """FORWARD for INVERSE and the other way round."""
        return Op(self ^ 2)


class Code(enum.IntEnum):
    """What `run` returns; anything else is refused as an unknown code."""

    DONE = 0
    OUTSIDE_DOMAIN = 1
    BAD_PARAMETER = 2
    MALFORMED = 3
    CAPACITY = 4
    UNKNOWN_OPERATION = 5
    SCRATCH = 6
    CALL_SHAPE = 7


# The stable word and the sentence of each refusal.
REFUSALS: dict[int, tuple[str, str]] = {
    Code.OUTSIDE_DOMAIN: ("outside-domain", "the input lies outside the kernel's domain"),
    Code.BAD_PARAMETER: ("bad-parameter", "the kernel does not accept these parameters"),
    Code.MALFORMED: ("malformed", "these bytes were never made by the kernel's forward operation"),
    Code.CAPACITY: ("capacity", "an output's capacity is smaller than the kernel needs"),
    Code.UNKNOWN_OPERATION: ("unknown-operation", "the kernel does not know this operation"),
    Code.SCRATCH: ("scratch", "the scratch space is smaller than the kernel needs"),
    Code.CALL_SHAPE: ("call-shape", "the kernel takes another number of inputs or outputs"),
}


def align(address: int) -> int:
    """The next address at or after this one where a region may start."""
    return (address + ALIGNMENT - 1) & -ALIGNMENT


def block_words(n_in: int, n_out: int) -> int:
    """How many u32 words the call block of such a call has."""
    return 7 + 2 * n_in + 3 * n_out


class Layout(NamedTuple):
    """Where the call block, the parameters and the inputs of one call lie in memory."""

    block: int
    param: int
    inputs: tuple[int, ...]
    end: int

    @classmethod
    def after(cls, base: int, param_len: int, input_lens: Sequence[int], n_out: int) -> "Layout":
        """Regions in order from `base`; `end` is the first free, aligned address."""
        param = align(base + 4 * block_words(len(input_lens), n_out))
        at = align(param + param_len)
        inputs: list[int] = []
        for length in input_lens:
            inputs.append(at)
            at = align(at + length)
        return cls(base, param, tuple(inputs), at)


def unsigned_leb128(value: int) -> bytes:
    """The shortest LEB128 form of a number that is not negative."""
    assert value >= 0, "signed parameters are zigzagged first"
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    """Signed to unsigned: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return value << 1 if value >= 0 else ~value << 1 | 1


def unzigzag(value: int) -> int:
    """The number that `zigzag` made this of."""
    return value >> 1 ^ -(value & 1)
