"""Which kinds of instructions a module contains, read without executing any.

The engine validates instructions before it runs them; this says beforehand what it will find, so
that features which are off are refused by name and never reach an engine.
"""

from ring0.errors import RefusedModuleError
from ring0.sections import ModuleInfo

BULK_MEMORY = "bulk memory"
MEMORY_GROW = "memory.grow"
MEMORY_SIZE = "memory.size"
SIMD = "SIMD"
FLOAT = "floating point"
TABLES = "tables"
REFERENCES = "references"
TAIL_CALL = "tail calls"
EXCEPTIONS = "exceptions"
FUNCTION_REFERENCES = "function references"
GARBAGE_COLLECTION = "garbage collection"
THREADS = "threads"
RELAXED_SIMD = "relaxed SIMD"
WIDE_ARITHMETIC = "wide arithmetic"

_I32_CONST, _I64_CONST, _F32_CONST, _F64_CONST = range(0x41, 0x45)

# What no kernel may contain, because it is off in the engine.
OFF = frozenset(
    {
        TAIL_CALL,
        EXCEPTIONS,
        FUNCTION_REFERENCES,
        GARBAGE_COLLECTION,
        THREADS,
        RELAXED_SIMD,
        WIDE_ARITHMETIC,
    }
)

# What follows each opcode. A number below 8 is that many LEB128 numbers.
_BYTES_1, _BYTES_4, _BYTES_8, _BRANCHES, _TYPES, _PREFIX, _UNKNOWN = range(8, 15)


def _immediates() -> bytes:
    table = bytearray([_UNKNOWN]) * 256
    for first, last, what in (
        (0x00, 0x01, 0), (0x02, 0x04, 1), (0x05, 0x05, 0), (0x0B, 0x0B, 0), (0x0C, 0x0D, 1),
        (0x0E, 0x0E, _BRANCHES), (0x0F, 0x0F, 0), (0x10, 0x10, 1), (0x11, 0x11, 2),
        (0x1A, 0x1B, 0), (0x1C, 0x1C, _TYPES), (0x20, 0x26, 1), (0x28, 0x3E, 2),
        (0x3F, 0x40, _BYTES_1), (0x41, 0x42, 1), (0x43, 0x43, _BYTES_4), (0x44, 0x44, _BYTES_8),
        (0x45, 0xC4, 0), (0xD0, 0xD0, 1), (0xD1, 0xD1, 0), (0xD2, 0xD2, 1),
        (0xFC, 0xFD, _PREFIX),
    ):  # fmt: skip
        for opcode in range(first, last + 1):
            table[opcode] = what
    return bytes(table)


_IMMEDIATES = _immediates()
_NAMED = {
    **dict.fromkeys((0x06, 0x07, 0x08, 0x09, 0x0A, 0x18, 0x19, 0x1F), EXCEPTIONS),
    **dict.fromkeys((0x12, 0x13), TAIL_CALL),
    **dict.fromkeys((0x14, 0x15, 0xD3, 0xD4, 0xD5, 0xD6), FUNCTION_REFERENCES),
    **dict.fromkeys((0x25, 0x26), TABLES),
    **dict.fromkeys((0xD0, 0xD1, 0xD2), REFERENCES),
    **dict.fromkeys((0x2A, 0x2B, 0x38, 0x39, 0x43, 0x44), FLOAT),
    **dict.fromkeys((*range(0x5B, 0x67), *range(0x8B, 0xA7), *range(0xA8, 0xAC)), FLOAT),
    **dict.fromkeys((*range(0xAE, 0xC0),), FLOAT),
    0x3F: MEMORY_SIZE,
    0x40: MEMORY_GROW,
    0xFB: GARBAGE_COLLECTION,
    0xFE: THREADS,
}


# Vector arithmetic on floats; what only moves their bits is left out.
_FLOAT_SIMD = frozenset(
    {
        *range(0x41, 0x4D),
        0x5E,
        0x5F,
        *range(0x67, 0x6B),
        0x74,
        0x75,
        0x7A,
        0x94,
        *range(0xE0, 0x100),
    }
)


def scan(wasm: bytes, info: ModuleInfo) -> frozenset[str]:
    """The kinds of instructions in all functions. Raises RefusedModuleError for what is off."""
    seen: set[int] = set()
    kinds: set[str] = set()
    try:
        for start, end in info.bodies:
            _scan_body(wasm, start, end, seen, kinds)
    except IndexError:
        raise RefusedModuleError("malformed", "an instruction runs past the module's end") from None
    kinds |= {_NAMED[opcode] for opcode in seen if opcode in _NAMED}
    for kind in sorted(kinds & OFF):
        raise RefusedModuleError("feature", f"the module uses {kind}, which is off")
    return frozenset(kinds)


def constants(wasm: bytes, info: ModuleInfo) -> frozenset[int]:
    """The numbers that the functions mention: whole ones as they are written, floats by their bits.

    For a module that `scan` has accepted.
    """
    found: set[int] = set()
    for start, end in info.bodies:
        at = start
        while at < end:
            opcode = wasm[at]
            after = _pass(wasm, at)
            if opcode in (_I32_CONST, _I64_CONST):
                found.add(_signed(wasm[at + 1 : after]))
            elif opcode in (_F32_CONST, _F64_CONST):
                found.add(int.from_bytes(wasm[at + 1 : after], "little"))
            at = after
    return frozenset(found)


def _pass(wasm: bytes, at: int) -> int:
    """Where the instruction after this one begins."""
    opcode = wasm[at]
    what, at = _IMMEDIATES[opcode], at + 1
    if what == _PREFIX:
        return _scan_prefixed(wasm, opcode, at, set())
    if what >= _BYTES_1:
        return _pass_other(wasm, what, at)
    for _ in range(what):
        at = _pass_number(wasm, at)
    return at


def _signed(data: bytes) -> int:
    value = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data))
    return value - (1 << 7 * len(data)) if data[-1] & 0x40 else value


def _scan_body(wasm: bytes, start: int, end: int, seen: set[int], kinds: set[str]) -> None:
    at = start
    while at < end:
        opcode = wasm[at]
        at += 1
        seen.add(opcode)
        what = _IMMEDIATES[opcode]
        if what < _BYTES_1:
            for _ in range(what):
                at = _pass_number(wasm, at)
        elif what == _PREFIX:
            at = _scan_prefixed(wasm, opcode, at, kinds)
        elif what == _UNKNOWN:
            if opcode not in _NAMED:
                raise RefusedModuleError("malformed", f"opcode {opcode:#x} is unknown")
            return  # off, and how long it is does not matter any more
        else:
            at = _pass_other(wasm, what, at)
    if at != end:
        raise RefusedModuleError("malformed", "an instruction runs past its function's end")


def _pass_other(wasm: bytes, what: int, at: int) -> int:
    if what == _BYTES_1:
        return at + 1
    if what == _BYTES_4:
        return at + 4
    if what == _BYTES_8:
        return at + 8
    count, at = _number(wasm, at)
    if what == _TYPES:
        return at + count
    for _ in range(count + 1):  # each target, then the default
        at = _pass_number(wasm, at)
    return at


def _scan_prefixed(wasm: bytes, prefix: int, at: int, kinds: set[str]) -> int:
    code, at = _number(wasm, at)
    if prefix == 0xFD:
        kinds.add(SIMD if code < 0x100 else RELAXED_SIMD)
        if code in _FLOAT_SIMD:
            kinds.add(FLOAT)
        return _pass_simd(wasm, code, at)
    if code >= 18:
        kinds.add(WIDE_ARITHMETIC)
    elif code >= 12:
        kinds.add(TABLES)
    elif code >= 8:
        kinds.add(BULK_MEMORY)
    else:
        kinds.add(FLOAT)
    numbers = {8: 2, 9: 1, 10: 2, 11: 1, 12: 2, 13: 1, 14: 2, 15: 1, 16: 1, 17: 1}.get(code, 0)
    for _ in range(numbers):
        at = _pass_number(wasm, at)
    return at


def _pass_simd(wasm: bytes, code: int, at: int) -> int:
    if code in (12, 13):
        return at + 16
    if code <= 11 or 84 <= code <= 93:
        at = _pass_number(wasm, _pass_number(wasm, at))
    if 21 <= code <= 34 or 84 <= code <= 91:
        at += 1
    return at


def _pass_number(wasm: bytes, at: int) -> int:
    while wasm[at] >= 0x80:
        at += 1
    return at + 1


def _number(wasm: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = wasm[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 35:
            raise RefusedModuleError("malformed", "a number of more than 5 bytes")
