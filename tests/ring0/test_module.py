"""The reader of modules: what it accepts, and each thing it refuses by its own reason."""

import pytest
import wasmtime

from ring0.abi import unsigned_leb128
from ring0.binary import F64, I32, V128
from ring0.errors import RefusedModuleError
from ring0.instructions import BULK_MEMORY, FLOAT, MEMORY_GROW, SIMD, TABLES, scan
from ring0.module import breaches, inspect
from ring0.sections import FuncType, Global, Limits, ModuleLimits, parse

RUN = '(func (export "run") (param i32) (result i32) (i32.const 0))'
MEMORY = '(memory (export "memory") 1 2)'
GOOD = f'(module (memory (export "memory") 2 9) {RUN})'
HEADER = b"\0asm\x01\0\0\0"


def wasm(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def section(number: int, body: bytes) -> bytes:
    return bytes([number]) + unsigned_leb128(len(body)) + body


def refusal(data: bytes) -> str:
    with pytest.raises(RefusedModuleError) as caught:
        inspect(data)
    assert str(caught.value).strip()
    return caught.value.reason


def test_a_good_module_says_what_it_declares() -> None:
    info = inspect(
        wasm(f"""(module (memory (export "memory") 2 9) {RUN}
            (global (mut i32) (i32.const 5)) (global (export "pi") f64 (f64.const 3))
            (func (param v128 i64) (result f64) (f64.const 0))
            (table 3 4 funcref) (data (i32.const 131068) "abcd"))""")
    )
    assert info.memory == Limits(2, 9)
    assert (info.initial_bytes, info.maximum_bytes) == (2 * 65536, 9 * 65536)
    assert info.globals == [Global(I32, mutable=True), Global(F64, mutable=False)]
    assert info.tables == [Limits(3, 4)]
    assert [export.name for export in info.exports] == ["memory", "run", "pi"]
    assert FuncType((V128, 0x7E), (F64,)) in info.types
    assert str(info.types[0]) == "(i32) -> (i32)"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"(module {RUN})", "no-memory"),
        (f'(module (memory 1 2) (global (export "memory") i32 (i32.const 0)) {RUN})', "no-memory"),
        (f'(module (memory (export "memory") 1) {RUN})', "memory-maximum"),
        (f'(module (memory (export "memory") 2000 3000) {RUN})', "memory-size"),
        ('(module (memory (export "memory") 1 2))', "no-run"),
        ('(module (memory (export "memory") (export "run") 1 2))', "no-run"),
        ('(module (memory (export "memory") 1 2) (func (export "run") (param i64)))', "run-type"),
        (f'(module {MEMORY} {RUN} (func $s) (start $s))', "start"),
        (f'(module (import "a" "b" (func)) (memory (export "memory") 1 2) {RUN})', "import"),
        (f'(module {MEMORY} {RUN} (func (export "\\1b[2J")))', "export-name"),
        (f'(module {MEMORY} {RUN} (func (export "")))', "export-name"),
        (f'(module {MEMORY} {RUN} (func (export "f") (param v128)))',
         "border-type"),
        (f'(module {MEMORY} {RUN} (global (export "g") externref (ref.null extern)))',
         "border-type"),
        (f'(module {MEMORY} {RUN} (data (i32.const 65533) "abcd"))',
         "data-bounds"),
        (f'(module {MEMORY} {RUN} (data (i32.const -1) "a"))', "data-bounds"),
        (f'(module {MEMORY} {RUN} (memory 1 2))', "memories"),
        (f'(module (memory (export "memory") i64 1 2) {RUN})', "feature"),
        (f'(module (memory (export "memory") 1 2 shared) {RUN})', "feature"),
        (f'(module {MEMORY} {RUN} (tag))', "feature"),
        (f'(module {MEMORY} {RUN} (type (struct)))', "feature"),
        (f'(module {MEMORY} {RUN} (table 1 (ref null any)))', "feature"),
        (f'(module {MEMORY} {RUN} (table 10001 funcref))', "table-size"),
    ],
)  # fmt: skip
def test_each_breach_has_its_reason(text: str, reason: str) -> None:
    assert refusal(wasm(text)) == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x7fELF" + bytes(60), "native-code"),
        (b"(module)", "not-wasm"),
        (b"\0asm", "truncated"),
        (b"\0asm\x02\0\0\0", "version"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (HEADER + section(99, b""), "malformed"),
        (HEADER + section(1, b"\0") * 2, "malformed"),
        (HEADER + section(3, b"\0") + section(1, b"\0"), "malformed"),
        (HEADER + section(1, b"\0\0"), "malformed"),
        (HEADER + section(3, b"\x01\0"), "malformed"),
        (HEADER + section(1, b"\x80\x80\x80\x80\x80\x00"), "malformed"),
        (HEADER + section(1, b"\xff\xff\xff\xff\x7f"), "malformed"),
        (HEADER + b"\x01\x05\0", "truncated"),
        (HEADER + section(7, b"\x01\x01\xff\0\0"), "name-utf8"),
        (HEADER + section(0, b"\x01a" + bytes(70_000)), "custom-size"),
        (HEADER + section(7, b"\x01\x01a\x00\x00"), "malformed"),
        (HEADER + section(7, b"\xff\xff\x03"), "exports"),
        (HEADER + section(0, b"\0") + b"\0", "truncated"),
        (HEADER + bytes(1 << 20), "module-size"),
    ],
)
def test_bytes_that_are_no_module_are_refused(data: bytes, reason: str) -> None:
    assert refusal(data) == reason


def test_a_component_is_called_by_its_name() -> None:
    with pytest.raises(RefusedModuleError, match="this is a component; kernels are core modules"):
        parse(b"\0asm\x0d\0\x01\0")


def test_every_breach_is_named_not_only_the_first() -> None:
    info = parse(wasm('(module (memory (export "memory") 1) (func $s) (start $s))'))
    assert {breach.reason for breach in breaches(info)} == {"start", "memory-maximum", "no-run"}


@pytest.mark.parametrize(("local_count", "size"), [(4_000, 30_000), (0, 32_000)])
def test_compile_bombs_are_refused_by_their_cost(local_count: int, size: int) -> None:
    body = b"\x01" + unsigned_leb128(local_count) + b"\x7f" + b"\x01" * size + b"\x0b"
    data = HEADER + section(1, b"\x01\x60\0\0") + section(3, b"\x01\0")
    data += section(10, b"\x01" + unsigned_leb128(len(body)) + body)
    with pytest.raises(RefusedModuleError) as caught:
        parse(data)
    assert caught.value.reason == "compile-cost"


def test_a_cap_is_the_last_number_accepted() -> None:
    text = "(module (func (param i32 i32 i32)) (memory 3 4) (global i32 (i32.const 0)))"
    data = wasm(text)
    parse(data, ModuleLimits(params=3, memory_pages=3, globals=1, module_bytes=len(data)))
    for name, cap in (("params", 2), ("memory_pages", 2), ("globals", 0), ("functions", 0)):
        with pytest.raises(RefusedModuleError):
            parse(data, ModuleLimits(**{name: cap}))


@pytest.mark.parametrize("cut", range(1, 200, 7))
def test_a_shorter_module_is_refused_or_lacks_something(cut: int) -> None:
    data = wasm(GOOD)
    if cut < len(data):
        refusal(data[: len(data) - cut])


def test_a_custom_section_is_read_by_name_and_may_not_come_twice() -> None:
    data = wasm(GOOD) + section(0, b"\x01aone") + section(0, b"\x01btwo")
    info = inspect(data)
    assert (info.custom("a"), info.custom("b"), info.custom("c")) == (b"one", b"two", None)
    with pytest.raises(RefusedModuleError):
        inspect(data + section(0, b"\x01aagain")).custom("a")


def kinds(body: str, fields: str = "") -> frozenset[str]:
    data = wasm(f'(module (memory (export "memory") 1 2) {fields} {RUN} (func {body}))')
    return scan(data, parse(data))


def test_the_kinds_of_instructions_are_named() -> None:
    assert kinds("") == frozenset()
    assert kinds("(drop (i64.const -9223372036854775808))") == frozenset()
    assert kinds("(drop (f64.add (f64.const 1) (f64.const 2)))") == {FLOAT}
    assert kinds("(drop (i32.trunc_sat_f32_s (f32.const 1)))") == {FLOAT}
    assert kinds("(drop (v128.const i64x2 1 2))") == {SIMD}
    assert kinds("(v128.store16_lane 3 (i32.const 0) (v128.load (i32.const 0)))") == {SIMD}
    lanes = "(v128.const i64x2 1 2)"
    assert kinds(f"(drop (i32x4.mul {lanes} {lanes}))") == {SIMD}
    for one in ("f32x4.add", "f64x2.pmax", "f64x2.lt", "f32x4.eq"):
        assert kinds(f"(drop ({one} {lanes} {lanes}))") == {SIMD, FLOAT}
    for one in ("f64x2.nearest", "f32x4.ceil", "f64x2.promote_low_f32x4", "f64x2.trunc"):
        assert kinds(f"(drop ({one} {lanes}))") == {SIMD, FLOAT}
    assert kinds("(memory.copy (i32.const 0) (i32.const 0) (i32.const 0))") == {BULK_MEMORY}
    assert kinds("(drop (memory.grow (i32.const 1)))") == {MEMORY_GROW}
    assert TABLES in kinds("(drop (table.grow (ref.null func) (i32.const 1)))", "(table 1 funcref)")
    assert kinds("(block (block (br_table 0 1 0 (i32.const 0))))") == frozenset()
    assert kinds("(drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 0)))") == set()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("(drop (i8x16.relaxed_swizzle (v128.const i64x2 1 2) (v128.const i64x2 1 2)))", "relaxed"),
        ("(return_call 1)", "tail calls"),
        ("(drop (i32.atomic.load (i32.const 0)))", "threads"),
        ("(throw 0)", "exceptions"),
        ("(drop (ref.i31 (i32.const 1)))", "garbage collection"),
    ],
)
def test_what_is_off_is_refused_by_name(body: str, kind: str) -> None:
    text = f"(func {body})"
    data = wasm(f"(module (memory 1 2) (func) {'(tag)' if 'throw' in body else ''} {text})")
    if "throw" in body:
        assert refusal(data) == "feature"
        return
    with pytest.raises(RefusedModuleError, match=kind):
        scan(data, parse(data))
