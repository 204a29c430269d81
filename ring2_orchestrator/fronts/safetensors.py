"""Weights: safetensors, a JSON header and tensors after it."""

import json
import math
from typing import cast

from ring2_orchestrator.fronts.part import MOST_PARTS, Kind, Part, kind_of, strides_of
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

_LONGEST_HEADER = 1 << 24
_METADATA = "__metadata__"
_LETTERS = {"F": "f", "I": "i", "U": "u", "C": "c"}
_MOST_DIMENSIONS = 64


def looks_so(start: bytes, size: int) -> bool:
    """Whether a file of that size that begins like this may be one: there is no magic."""
    length = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and 2 <= length <= min(size - 8, _LONGEST_HEADER)


def find(reader: Reader) -> list[Part]:
    """Every tensor that has any bytes, in the order of the file."""
    length = reader.number(0, 8)
    if length > _LONGEST_HEADER:
        raise UnlikeError
    try:
        header: object = json.loads(reader.take(8, length))
    except (ValueError, RecursionError) as error:
        raise UnlikeError from error
    tensors = _mapping(header)
    if len(tensors) > MOST_PARTS:
        raise UnlikeError
    found = [
        _tensor(name, _mapping(tensor), 8 + length)
        for name, tensor in tensors.items()
        if name != _METADATA
    ]
    return sorted((part for part in found if part.size), key=lambda part: part.begin)


def _tensor(name: str, tensor: dict[str, object], data: int) -> Part:
    offsets, shape = _numbers(tensor.get("data_offsets")), _numbers(tensor.get("shape"))
    if len(offsets) != 2 or offsets[1] < offsets[0]:
        raise UnlikeError
    size = offsets[1] - offsets[0]
    kind = _kind(str(tensor.get("dtype")), shape, size)
    return Part(name, data + offsets[0], size, kind)


def _kind(dtype: str, shape: tuple[int, ...], size: int) -> Kind | None:
    """What a tensor holds; None where its bytes are not as many as its shape says."""
    count = math.prod(shape)
    if not count or size % count or size // count > 16:
        return None
    width = size // count
    # BF16, F8_E5M2 and their like have no lanes of their own: they are whole numbers to us.
    letter = _LETTERS.get(dtype[:1], "u") if dtype[1:].isdecimal() else "u"
    return kind_of(letter, width, strides_of(shape))


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnlikeError
    return cast("dict[str, object]", value)


def _numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise UnlikeError
    numbers = [each for each in cast("list[object]", value) if type(each) is int and each >= 0]
    if len(numbers) != len(cast("list[object]", value)) or len(numbers) > _MOST_DIMENSIONS:
        raise UnlikeError
    return tuple(numbers)
