"""Twins: small kernels in the shape of ABI v1, written as text, each misbehaving in one way."""

from collections.abc import Callable, Iterator

import pytest
import wasmtime

from ring0.abi import unsigned_leb128
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.manifest import SECTION, from_table

BOUND = """
    (if (i32.eqz (i32.and (i32.load (local.get $call)) (i32.const 1))) (then
      (i32.store offset=32 (local.get $call) (i32.const {cap}))
      (i32.store offset=44 (local.get $call) (i32.const {scratch}))
      (return (i32.const 0))))
"""

Twin = Callable[..., Kernel]


def build(
    body: str = "",
    *,
    cap: int = 16,
    scratch: int = 0,
    length: int | None = None,
    code: int = 0,
    pages: str = "1 1000",
    fields: str = "",
    bound: str = BOUND,
    kind: str = "codec",
) -> Kernel:
    """A kernel with one input and one output of bytes.

    The locals $call, $out (where its output lies), $in, $i and $j are for `body`, which runs in
    both directions. Words: input at 16 and 20, output at 28, 32 and 36, scratch at 40 and 44.
    """
    said = "" if length is None else f"(i32.store offset=36 (local.get $call) (i32.const {length}))"
    text = f"""(module {fields}
      (memory (export "memory") {pages})
      (func $run (export "run") (param $call i32) (result i32)
        (local $out i32) (local $in i32) (local $i i32) (local $j i32)
        {bound.replace("{cap}", str(cap)).replace("{scratch}", str(scratch))}
        (local.set $out (i32.load offset=28 (local.get $call)))
        {body}
        {said}
        (i32.const {code})))"""
    return Kernel.from_wasm(bytes(wasmtime.wat2wasm(text)) + manifest_section(kind))


def manifest_section(kind: str) -> bytes:
    manifest = from_table(
        {
            "name": "twin",
            "version": 1,
            "abi": 1,
            "kind": kind,
            "summary": "misbehaves",
            "input": [{"name": "x", "type": "u8"}],
            "output": [{"name": "y", "type": "u8"}],
        }
    )
    payload = bytes([len(SECTION)]) + SECTION.encode() + manifest.to_bytes()
    return b"\0" + unsigned_leb128(len(payload)) + payload


@pytest.fixture(scope="session")
def twin() -> Twin:
    return build


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """A host without base kernels: every twin runs in a worker process."""
    with Host() as one:
        yield one
