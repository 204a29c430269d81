"""Arrays come back with their element type, shape and order, and nothing else does."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import redoxa
from cid_store.errors import InputError, UsageError
from ring2_orchestrator.arrays import pack_array, unpack_array
from ring2_orchestrator.container import BytesSource, Original, write_stored
from ring2_orchestrator.toolbox import Toolbox

ARRAYS = {
    "a series": np.arange(5_000, dtype="<u4").reshape(50, 100),
    "columns first": np.asfortranarray(np.arange(600, dtype=">i2").reshape(20, 30)),
    "no dimensions": np.array(3.5),
    "no elements": np.zeros((3, 0, 2), "f4"),
    "complex": np.exp(1j * np.arange(40)),
    "records": np.zeros(9, [("a", "u1"), ("b", "<f8", 2)]),
    "every other": np.arange(1_000)[::2],
    "text": np.array(["one", "three"]),
    "times": np.arange("2020-01", "2021-01", dtype="M8[D]"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back(tools: Toolbox, name: str) -> None:
    array = ARRAYS[name]
    back = unpack_array(pack_array(array, tools, plan_of=lambda _: None), tools)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    assert np.isfortran(back) == np.isfortran(array)


@pytest.mark.slow
def test_header_and_data_have_plans_of_their_own() -> None:
    array = ARRAYS["a series"]
    packed = redoxa.pack_array(array)
    assert len(packed) < 500
    assert (redoxa.unpack_array(packed) == array).all()


def test_objects_are_refused(tools: Toolbox) -> None:
    with pytest.raises(InputError, match="holds Python objects"):
        pack_array(np.array([{}], dtype=object), tools)


@pytest.mark.parametrize("given", [[1, 2], "abc", None])
def test_what_is_no_array_is_not_packed(tools: Toolbox, given: Any) -> None:
    with pytest.raises(UsageError, match=r"of type \w+; numpy.asarray makes one of it$"):
        pack_array(given, tools)


def test_no_mask_is_lost(tools: Toolbox) -> None:
    with pytest.raises(InputError, match="would lose its mask"):
        pack_array(np.ma.masked_array([1, 2], [False, True]), tools)


def npy(array: np.ndarray, extra: bytes = b"") -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue() + extra


def headed(text: str) -> bytes:
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no array", "holds no array, but other bytes"),
        (npy(np.arange(9)) + b"!", "and more bytes after it"),
        (npy(np.arange(9))[:-1], "holds no array"),
        (npy(np.arange(9)).replace(b"(9,)", b"(9999999999999999999,)"), "holds no array"),
        (npy(np.arange(9)).replace(b"(9,)", b"(99999999999,)"), "holds no array"),
        # Each makes numpy raise something of another kind.
        (headed("{'descr': '<i4', 'fortran_order': False, 'shape': (True,)}"), "holds no array"),
        (headed("{1: 2, []: 3}"), "holds no array"),
        (headed("(" * 9000), "holds no array"),
    ],
)
def test_what_is_no_array_is_refused(tools: Toolbox, data: bytes, says: str) -> None:
    out = io.BytesIO()
    write_stored(out, Original.of(BytesSource(data)), tools.kernels)
    with pytest.raises(InputError, match=says):
        unpack_array(out.getvalue(), tools)


@pytest.mark.slow
def test_the_machine_packs_arrays(tmp_path: Path) -> None:
    with redoxa.VM(tmp_path) as vm:
        array = ARRAYS["a series"]
        packed = vm.pack(array, vm.gene("series_u32"))
        assert (vm.unpack_array(packed) == array).all()
        assert vm.get(vm.unpack(packed)) == npy(array)
