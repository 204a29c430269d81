"""Unsigned varints of multiformats: seven bits a byte, lowest first, in their shortest form."""

MAX_BYTES = 9  # 63 bits, the bound that multiformats sets


class VarintError(ValueError):
    """Bytes that are no unsigned varint."""


def encode(number: int) -> bytes:
    """The one encoding of a number below 2^63."""
    assert 0 <= number < 1 << 63, "an unsigned varint has at most 63 bits"
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode(data: bytes | bytearray, at: int = 0) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends. Raises VarintError."""
    number = 0
    for count in range(MAX_BYTES):
        if at + count >= len(data):
            raise VarintError("a number is cut short")
        byte = data[at + count]
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if byte == 0 and count:
                raise VarintError("a number is not in its shortest form")
            return number, at + count + 1
    raise VarintError(f"a number has more than {MAX_BYTES} bytes")
