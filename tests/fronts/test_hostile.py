"""Front ends read what anybody wrote: whatever that says, parts divide the file, in time."""

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.container import BytesSource
from ring2_orchestrator.fronts import Layout, recognise
from tests.fronts.files import EVERY, npy, numbers, tar, zipped

FILES = {name: make() for name, make in EVERY.items()}
MAGICS = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\x1f\x8b\x08",
    b"",
    b"\x93NUMPY\1\0",
    b"RIFF    WAVE",
    b"P6 ",
    b"BM",
    b"II*\0",
    b"PK\3\4",
]
NUMBERS = [0, 1, 0x7F, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 62, 1 << 63, (1 << 64) - 1]


class Counting(BytesSource):
    """Counts the bytes that are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.taken = 0

    def read(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= self.size
        assert size >= 0
        data = super().read(offset, size)
        self.taken += len(data)
        return data


def checked(data: bytes) -> Layout | None:
    source = Counting(data)
    layout = recognise(source)
    # Headers are read a few times over, and that is all.
    assert source.taken <= 8 * len(data) + 70_000
    if layout is not None:
        at = 0
        for part in layout.parts:
            assert part.begin == at
            assert part.size > 0
            at = part.end
            if part.kind is not None:
                assert all(stride > 0 for stride in part.kind.strides)
        assert at == len(data)
    return layout


@pytest.mark.parametrize("name", FILES)
def test_parts_divide_the_file(name: str) -> None:
    assert checked(FILES[name]) is not None


@given(st.sampled_from(sorted(FILES)), st.data())
@settings(max_examples=120, deadline=None)
def test_parts_divide_whatever_looks_like_a_file(name: str, drawn: st.DataObject) -> None:
    data = bytearray(FILES[name])
    near = drawn.draw(st.sampled_from([80, len(data) - 1]))
    for _ in range(drawn.draw(st.integers(1, 4))):
        # Where the numbers are: in front, and for archives of zip at the end.
        place = drawn.draw(st.integers(0, near))
        width = drawn.draw(st.sampled_from([1, 2, 4, 8]))
        value = drawn.draw(st.sampled_from(NUMBERS) | st.integers(0, (1 << 64) - 1))
        number = (value % (1 << 8 * width)).to_bytes(width, "little")
        data[place : place + width] = number[:: drawn.draw(st.sampled_from([1, -1]))]
    end = drawn.draw(st.just(len(data)) | st.integers(0, len(data)))
    checked(bytes(data[:end]))


@given(st.sampled_from(MAGICS), st.binary(max_size=700))
@settings(max_examples=80, deadline=None)
def test_parts_divide_any_bytes(magic: bytes, rest: bytes) -> None:
    checked(magic + rest)


def safetensors(header: object, data: int = 64) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def tensor(begin: object, end: object, shape: object = (4,), dtype: object = "F32") -> object:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "header",
    [
        {"a": tensor(0, 16), "b": tensor(8, 24)},
        {"a": tensor(0, 1 << 63)},
        {"a": tensor(-16, 0)},
        {"a": tensor(16, 0)},
        {"a": tensor(0.0, 16)},
        {"a": tensor(True, 16)},
        {"a": tensor(0, 16, "4")},
        {"a": tensor(0, 16, [4] * 100)},
        {"a": {"dtype": "F32"}},
        {"a": None},
        [],
        b"{" * 100_000,
        b'{"a":' * 30_000,
        b'{"a":' + b"9" * 9000 + b"}",
        b'{"a":\xff}',
        b"{",
    ],
    ids=range(16),
)
def test_a_header_of_tensors_that_cannot_be_meant(header: object) -> None:
    assert checked(safetensors(header)) is None


def test_a_tensor_that_lies_of_its_shape_has_no_kind() -> None:
    layout = checked(safetensors({"a": tensor(0, 16, [1 << 40, 1 << 40]), "b": tensor(16, 32)}))
    assert layout is not None
    kinds = {part.name: part.kind for part in layout.parts}
    assert kinds["a"] is None
    assert kinds["b"] is not None


def test_a_header_longer_than_its_file_is_none() -> None:
    for length in (1 << 20, 1 << 63, (1 << 64) - 1):
        assert checked(struct.pack("<Q", length) + b'{"a":1}' + bytes(99)) is None


@pytest.mark.parametrize("shape", ["(9223372036854775808,)", "(3, 99999999999)", "(-4,)", "(1e3,)"])
def test_an_array_that_lies_of_its_shape_is_none(shape: str) -> None:
    file = npy(numbers(60).reshape(3, 20)).replace(b"(3, 20)", shape.encode().ljust(7))
    assert checked(file) is None


def test_members_of_an_archive_that_overlap_are_not_believed() -> None:
    file = bytearray(zipped({"a.npy": npy(numbers(4000)), "b.npy": npy(numbers(4000))}))
    second = file.rindex(b"PK\1\2")
    file[second + 42 : second + 46] = bytes(4)
    assert checked(bytes(file)) is None


def test_a_tar_whose_sizes_wrap_is_none() -> None:
    for size in (b"\x80" + b"\xff" * 11, b"77777777777\0", b"-0000000001\0"):
        file = bytearray(tar(a=bytes(9000)))
        file[124:136] = size
        total = sum(file[:512]) - sum(file[148:156]) + 8 * ord(" ")
        file[148:156] = b"%06o\0 " % total
        assert checked(bytes(file)) is None


def test_an_archive_of_very_many_members_has_parts_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tar(a=b"a")[:1024] * 600
    for most in (500, 600):
        monkeypatch.setattr("ring2_orchestrator.fronts.MOST_PARTS", most)
        monkeypatch.setattr("ring2_orchestrator.fronts.tarred.MOST_PARTS", most)
        layout = checked(file)
        assert layout is not None
        assert sum(part.family == "a" for part in layout.parts) == most
