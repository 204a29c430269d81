"""How the host and its worker processes speak: messages of length-prefixed parts over a socket.

Neither side trusts the other's lengths: a reader says how much it takes, and refuses more.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ring0.host.call import Answer

CHECK, CALL, STRICT, EXERCISE = range(4)
# A worker forgets old modules; this answer asks for the module's bytes again.
UNKNOWN_MODULE = 200

_MAX_PARTS = 200
_COUNT = struct.Struct("<I")
_REQUEST = struct.Struct("<BBHqQQQI32s")
_ANSWER = struct.Struct("<B?i?q")

Receive = Callable[[int], bytearray]


class WireError(Exception):
    """The other side sent something that is no message."""


class Request(NamedTuple):
    """What a worker is asked to do. `wasm` is empty when the worker should know the digest."""

    kind: int
    op: int
    n_out: int
    fuel: int
    memory_bytes: int
    output_bytes: int
    base: int
    wall_ms: int
    digest: bytes
    wasm: Any
    params: Any
    inputs: Sequence[Any]


def join(parts: Sequence[Any]) -> list[Any]:
    """The buffers to send for these parts, in order."""
    return [_COUNT.pack(len(parts)), struct.pack(f"<{len(parts)}Q", *map(len, parts)), *parts]


def split(receive: Receive, limit_bytes: int) -> list[bytearray]:
    """The parts of the next message, no more than `limit_bytes` together. Raises WireError."""
    (count,) = _COUNT.unpack(receive(_COUNT.size))
    if count > _MAX_PARTS:
        raise WireError("too many parts")
    lengths = struct.unpack(f"<{count}Q", receive(8 * count))
    if sum(lengths) > limit_bytes:
        raise WireError("the message is too long")
    return [receive(length) for length in lengths]


def pack_request(request: Request) -> list[Any]:
    """The buffers of a request."""
    head = _REQUEST.pack(*request[: len(request) - 3])
    return join([head, request.wasm, request.params, *request.inputs])


def unpack_request(parts: Sequence[bytearray]) -> Request:
    """The request in these parts."""
    head, wasm, params, *inputs = parts
    fields: Sequence[Any] = (*_REQUEST.unpack(head), wasm, params, inputs)
    return Request._make(fields)


def pack_answer(answer: Answer) -> list[Any]:
    """The buffers of an answer."""
    code, fuel = answer.code, answer.fuel
    head = _ANSWER.pack(answer.kind, code is not None, code or 0, fuel is not None, fuel or 0)
    return join([head, answer.word.encode(), answer.detail.encode(), *answer.outputs])


def unpack_answer(parts: Sequence[bytearray]) -> Answer:
    """The answer in these parts. Raises WireError."""
    try:
        head, word, detail, *outputs = parts
        kind, has_code, code, has_fuel, fuel = _ANSWER.unpack(head)
        return Answer(
            kind,
            code if has_code else None,
            word.decode(),
            detail.decode(),
            [bytes(output) for output in outputs],
            fuel if has_fuel else None,
        )
    except (ValueError, struct.error) as error:
        raise WireError(str(error)) from error
