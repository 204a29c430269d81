"""Calls and answers as files, for engines that are other programs.

Little-endian 32-bit words. CALLS is the number of calls, then of each: operation, number of
outputs, length of the parameters, number of inputs, length of each input; then the parameter bytes
and each input's. ANSWERS is, of each call in order, a status and what belongs to it: 0 the number
of outputs, the length of each and their bytes; 1 the code of the refusal; 2 a trap; 3 more memory
than the engine was allowed. It may end early, where the engine was stopped.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ring0.abi import Op

_RESULT, _REFUSED, _TRAPPED, _NO_MEMORY = range(4)

# The outputs, the code of a refusal (as a signed number), or in words how it ended otherwise.
Answer = tuple[bytes, ...] | int | str


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One call that every engine is given, and what to name it in a sentence."""

    op: Op
    params: bytes
    inputs: tuple[bytes, ...]
    n_out: int
    what: str


def write_calls(calls: Sequence[EngineCall]) -> bytes:
    """The bytes of CALLS."""
    parts = [struct.pack("<I", len(calls))]
    for call in calls:
        lengths = [*map(len, call.inputs)]
        words = (call.op, call.n_out, len(call.params), len(lengths), *lengths)
        parts += [struct.pack(f"<{len(words)}I", *words), call.params, *call.inputs]
    return b"".join(parts)


def read_answers(data: bytes) -> Iterator[Answer]:
    """The answers in ANSWERS; one that is not there whole ends them."""
    at = 0
    while at + 4 <= len(data):
        (status,) = struct.unpack_from("<I", data, at)
        if status == _RESULT:
            outputs, at = _outputs(data, at + 4)
            if outputs is None:
                return
            yield outputs
        elif status == _REFUSED:
            if at + 8 > len(data):
                return
            yield struct.unpack_from("<i", data, at + 4)[0]
            at += 8
        elif status in (_TRAPPED, _NO_MEMORY):
            yield "trapped" if status == _TRAPPED else "out of memory"
            at += 4
        else:
            return


def _outputs(data: bytes, at: int) -> tuple[tuple[bytes, ...] | None, int]:
    if at + 4 > len(data):
        return None, at
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    if at + 4 * count > len(data):
        return None, at
    lengths = struct.unpack_from(f"<{count}I", data, at)
    at += 4 * count
    if at + sum(lengths) > len(data):
        return None, at
    outputs: list[bytes] = []
    for length in lengths:
        outputs.append(data[at : at + length])
        at += length
    return tuple(outputs), at
