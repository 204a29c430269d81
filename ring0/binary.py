"""Reading the binary form of WebAssembly: bytes, numbers, names, types; never past the end."""

from ring0.errors import RefusedModuleError

MAGIC = b"\0asm"
I32, I64, F32, F64, V128 = 0x7F, 0x7E, 0x7D, 0x7C, 0x7B
FUNCREF, EXTERNREF = 0x70, 0x6F
NUMBERS = {I32: "i32", I64: "i64", F32: "f32", F64: "f64"}
VALUES = {**NUMBERS, V128: "v128", FUNCREF: "funcref", EXTERNREF: "externref"}


def within(value: int, cap: int, reason: str, what: str) -> None:
    """Refuse a count or size above its cap."""
    if value > cap:
        raise RefusedModuleError(reason, f"{value:,} {what}; at most {cap:,} are accepted")


def malformed(what: str) -> RefusedModuleError:
    """The refusal of bytes that break the format itself."""
    return RefusedModuleError("malformed", f"the module is malformed: {what}")


class Cursor:
    """A position in bytes; reading past `end` is refused."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end

    def byte(self) -> int:
        """The next byte."""
        if self.at >= self.end:
            raise RefusedModuleError("truncated", f"the module ends too early, at byte {self.at}")
        self.at += 1
        return self.data[self.at - 1]

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.end - self.at:
            raise RefusedModuleError("truncated", f"the module ends too early, at byte {self.end}")
        self.at += count
        return self.data[self.at - count : self.at]

    def u32(self) -> int:
        """The next unsigned LEB128 of 32 bits; padded forms are legal."""
        value = self._leb(5)
        if value >> 32:
            raise malformed(f"a number above 2^32 before byte {self.at}")
        return value

    def i32_as_address(self) -> int:
        """A signed LEB128 of 32 bits, read as the address it stands for."""
        start = self.at
        value = self._leb(5)
        if value >> 7 * (self.at - start) - 1:
            value |= -1 << 7 * (self.at - start)
        return value & 0xFFFF_FFFF

    def skip_leb(self, longest: int) -> None:
        """Pass one LEB128 of at most `longest` bytes."""
        self._leb(longest)

    def name(self, cap: int) -> str:
        """The next name: UTF-8 of at most `cap` bytes."""
        length = self.u32()
        within(length, cap, "name-length", "bytes in a name")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise RefusedModuleError("name-utf8", "a name is not UTF-8") from None

    def _leb(self, longest: int) -> int:
        value = 0
        for place in range(longest):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return value
        raise malformed(f"a number of more than {longest} bytes before byte {self.at}")


def value_type(body: Cursor) -> int:
    """The next value type; those of features that are off are refused."""
    kind = body.byte()
    if kind not in VALUES:
        raise RefusedModuleError("feature", f"value type {kind:#x} is off here")
    return kind


def skip_constant(body: Cursor) -> int | None:
    """Pass a constant expression; its value if it is one plain i32."""
    value, parts = None, 0
    while (opcode := body.byte()) != 0x0B:
        parts += 1
        value = None
        if opcode == 0x41:
            value = body.i32_as_address()
        elif opcode == 0x42:
            body.skip_leb(10)
        elif opcode in (0x43, 0x44):
            body.take(4 if opcode == 0x43 else 8)
        elif opcode in (0x23, 0xD2):
            body.u32()
        elif opcode == 0xD0:
            body.byte()
        elif opcode == 0xFD:
            if body.u32() != 12:
                raise malformed("an unknown constant")
            body.take(16)
        elif opcode not in (0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E):
            raise malformed(f"opcode {opcode:#x} in a constant")
    return value if parts == 1 else None
