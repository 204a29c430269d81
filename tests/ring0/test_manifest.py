"""Manifests: one form each, and parameter bytes that decode to what was encoded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.encoding import encode
from ring0 import abi
from ring0.errors import ManifestError, ParameterError
from ring0.manifest import Manifest, Parameter, Port, from_table, parse_manifest

TABLE: dict[str, Any] = {
    "name": "split",
    "version": 3,
    "abi": 1,
    "kind": "bijection",
    "float": False,
    "summary": "Parts things.",
    "types": {"T": ["u16", "u32", "f64"]},
    "input": [{"name": "x", "type": "T"}],
    "output": [{"name": "planes", "type": "u8", "count": "width"}, {"name": "rest", "type": "u8"}],
    "parameter": [
        {"name": "order", "min": 1, "max": 8, "default": 2, "summary": "how often"},
        {"name": "shift", "min": -5, "max": 300, "default": 0, "signed": True, "summary": "off"},
    ],
}
MANIFEST = from_table(TABLE)


def changed(**changes: Any) -> dict[str, Any]:
    table = {**TABLE, **changes}
    return {key: value for key, value in table.items() if value is not None}


def test_a_table_becomes_a_manifest() -> None:
    assert MANIFEST.inputs == (Port("x", "T"),)
    assert MANIFEST.outputs == (Port("planes", "u8", per_byte=True), Port("rest", "u8"))
    assert MANIFEST.parameters[0] == Parameter("order", 1, 8, 2, signed=False, summary="how often")
    assert MANIFEST.edges == ()
    assert MANIFEST.has_variable


def test_bytes_and_manifest_are_one_to_one() -> None:
    data = MANIFEST.to_bytes()
    assert parse_manifest(data) == MANIFEST
    assert parse_manifest(data).to_bytes() == data


def test_a_manifest_in_another_form_is_refused() -> None:
    node = MANIFEST.to_node()
    assert isinstance(node, dict)
    del node["edge"]  # its default, left out: the same manifest, other bytes
    with pytest.raises(ManifestError, match="canonical"):
        parse_manifest(encode(node))
    with pytest.raises(ManifestError, match=r"no 'redoxa\.manifest' section"):
        parse_manifest(None)
    for junk in (b"", b"\xc1", encode([1]), MANIFEST.to_bytes() + b"\0"):
        with pytest.raises(ManifestError):
            parse_manifest(junk)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None}, {"name": "Split"}, {"name": ""}, {"name": "a" * 41}, {"name": 7},
        {"version": 0}, {"version": True}, {"version": 1 << 32}, {"abi": 2}, {"kind": "magic"},
        {"float": 1}, {"summary": "two\nlines"}, {"summary": "x" * 201}, {"surprise": 1},
        {"types": {"T": []}}, {"types": {"U": ["u8"]}}, {"types": {"T": ["u8", "u8"]}},
        {"types": {"T": ["u32", "f32"]}}, {"types": {"T": ["i8"]}}, {"types": []}, {"types": None},
        {"input": []}, {"input": [{"name": "x", "type": "u128"}]}, {"input": [{"name": "x"}]},
        {"input": [{"name": "x", "type": "u8", "count": 2}]}, {"input": [3]}, {"input": "x"},
        {"input": [{"name": "x", "type": "u8"}, {"name": "x", "type": "u8"}]},
        {"input": [{"name": "x", "type": "u8", "odd": 1}]}, {"edge": ["cliff"]}, {"edge": "zero"},
        {"parameter": [{"name": "p", "min": 2, "max": 1, "default": 1, "summary": ""}]},
        {"parameter": [{"name": "p", "min": -1, "max": 1, "default": 1, "summary": ""}]},
        {"parameter": [{"name": "p", "min": 0, "max": 1 << 64, "default": 1, "summary": ""}]},
        {"parameter": [{"name": "p", "min": 0, "max": 9, "default": 10, "summary": ""}]},
        {"parameter": [{"name": "p", "min": 0, "max": 9, "default": 1.5, "summary": ""}]},
        {"parameter": TABLE["parameter"][:1] * 2},
        {"parameter": TABLE["parameter"] * 20},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestError) as caught:
        from_table(changed(**changes))
    assert str(caught.value).strip()


@pytest.mark.parametrize("side", ["input", "output"])
def test_no_call_has_more_streams_than_the_abi_allows(side: str) -> None:
    def wide(count: int) -> dict[str, Any]:
        ports = [{"name": f"p{at}", "type": "u8", "count": "width"} for at in range(count)]
        return changed(**{side: ports})

    assert from_table(wide(8)).most_streams == 64
    with pytest.raises(ManifestError, match="at most 64 streams each way, not 72"):
        from_table(wide(9))


def test_a_port_of_the_variable_needs_one() -> None:
    with pytest.raises(ManifestError, match="neither a type nor the type variable"):
        from_table(changed(types={}, output=[{"name": "y", "type": "u8"}]))


def test_parameter_bytes_are_width_then_numbers() -> None:
    assert MANIFEST.encode_parameters({}, dtype="u32") == bytes([4, 2, 0])
    assert MANIFEST.encode_parameters({"shift": -1}, dtype="f64") == bytes([8, 2, 1])
    assert MANIFEST.encode_parameters({"shift": 300}, dtype="u16") == bytes([2, 2, 0xD8, 4])


@given(
    st.integers(1, 8),
    st.integers(-5, 300),
    st.sampled_from([("u16", 2), ("u32", 4), ("f64", 8)]),
)
def test_parameters_come_back(order: int, shift: int, bound: tuple[str, int]) -> None:
    values = {"order": order, "shift": shift}
    data = MANIFEST.encode_parameters(values, dtype=bound[0])
    assert MANIFEST.decode_parameters(data) == (bound[1], values)


@given(st.binary(max_size=12))
def test_parameter_bytes_have_one_form(data: bytes) -> None:
    try:
        width, values = MANIFEST.decode_parameters(data)
    except ParameterError:
        return
    dtype = {2: "u16", 4: "u32", 8: "f64"}[width or 0]
    assert MANIFEST.encode_parameters(values, dtype=dtype) == data


@pytest.mark.parametrize(
    ("values", "dtype", "told"),
    [
        ({"order": 0}, "u16", "outside 1..8"),
        ({"order": 9}, "u16", "outside 1..8"),
        ({"ordre": 1}, "u16", "it has order, shift"),
        ({}, "u8", "u8 given, it works on u16, u32, f64"),
        ({}, None, "no type given"),
    ],
)
def test_wrong_parameters_are_named(values: dict[str, int], dtype: str | None, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        MANIFEST.encode_parameters(values, dtype=dtype)


def test_a_kernel_of_fixed_types_takes_none() -> None:
    fixed = from_table(changed(types={}, input=[{"name": "x", "type": "u8"}], output=[
        {"name": "y", "type": "u8"}]))  # fmt: skip
    assert fixed.encode_parameters({}) == bytes([2, 0])
    with pytest.raises(ParameterError, match="types are fixed"):
        fixed.encode_parameters({}, dtype="u8")


def test_the_number_of_streams_follows_from_the_width() -> None:
    four = MANIFEST.encode_parameters({}, dtype="u32")
    assert MANIFEST.call_shape(abi.Op.FORWARD, four) == (1, 5)
    assert MANIFEST.call_shape(abi.Op.INVERSE, four) == (5, 1)
    # A width that is none: the kernel will refuse it, and the host must still make the call.
    for odd in (b"", b"\xff", b"\x03"):
        assert MANIFEST.call_shape(abi.Op.FORWARD, odd) == (1, 2)


def test_every_shipped_manifest_is_canonical(kernels: dict[str, Any]) -> None:
    assert kernels
    for kernel in kernels.values():
        assert isinstance(kernel.manifest, Manifest)
        assert kernel.manifest.to_bytes() == kernel.info.custom("redoxa.manifest")
