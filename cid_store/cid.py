"""A CID names some bytes: their codec and the BLAKE3-256 digest of exactly those bytes."""

import enum
import os
from typing import NamedTuple, Self

from blake3 import blake3

from cid_store.errors import MalformedCidError

DIGEST_BYTES = 32

MANY_BYTES = 1 << 20  # from here on, hashing on every core is worth waking the other cores for

_VERSION = b"\x01"
_MULTIHASH = b"\x1e\x20"  # blake3, 32 bytes of digest
_MULTIBASE = "b"  # lower-case base32 without padding


class Codec(enum.IntEnum):
    """What the bytes under a name are, by their number in the multicodec table."""

    RAW = 0x55
    NODE = 0x0201  # messagepack, in the one form that cid_store.encoding accepts


# Everything before the digest, for each codec: the only prefixes there are.
_PREFIX: dict[Codec, bytes] = {
    Codec.RAW: _VERSION + b"\x55" + _MULTIHASH,
    Codec.NODE: _VERSION + b"\x81\x04" + _MULTIHASH,  # 0x0201 as an unsigned varint
}
_BY_PREFIX = {prefix: codec for codec, prefix in _PREFIX.items()}
_TEXT_LENGTHS = {1 + -(-8 * (len(prefix) + DIGEST_BYTES) // 5) for prefix in _BY_PREFIX}


class _Cores:
    """On how many cores a large blob may be hashed."""

    many = blake3.AUTO


def _one_core() -> None:
    _Cores.many = 1


# The threads that hash do not survive a fork, and a child that asked for them would wait for ever.
os.register_at_fork(after_in_child=_one_core)


def digest_of(data: bytes | bytearray | memoryview) -> bytes:
    """The BLAKE3-256 digest of `data`; large blobs are hashed on every core."""
    if len(data) < MANY_BYTES:
        return blake3(data).digest()
    return blake3(data, max_threads=_Cores.many).digest()


def seal_of(cid: "Cid", body: bytes) -> bytes:
    """What ties bytes that stand for an object to its name: those of another are none of this."""
    return blake3(cid.to_bytes() + body).digest()


def large_hasher() -> blake3:
    """A hasher for data that comes in large parts, each hashed on every core."""
    return blake3(max_threads=_Cores.many)


class _Parts(NamedTuple):
    codec: Codec
    digest: bytes


class Cid(_Parts):
    """The name of some bytes: CIDv1, their codec and their BLAKE3-256 digest."""

    __slots__ = ()

    def __new__(cls, codec: Codec, digest: bytes) -> Self:
        """The name of the bytes with that digest."""
        assert type(codec) is Codec, "a codec is a member of Codec"
        assert type(digest) is bytes, "a digest is a bytes value"
        assert len(digest) == DIGEST_BYTES, "a digest has 32 bytes"
        return super().__new__(cls, codec, digest)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, codec: Codec = Codec.RAW) -> Self:
        """The name of `data`."""
        return cls(codec, digest_of(data))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The CID in binary form. Raises MalformedCidError for all but the one accepted form."""
        codec = _BY_PREFIX.get(bytes(data[:-DIGEST_BYTES]))
        if codec is None:
            raise MalformedCidError(
                f"{_shown(bytes(data).hex())} is not a CID of ours: expected CIDv1, codec raw or "
                "messagepack, and a 32-byte blake3 digest"
            )
        return cls(codec, bytes(data[-DIGEST_BYTES:]))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The CID in text form. Raises MalformedCidError for all but the one accepted form."""
        # The length first: a text of a gigabyte is refused without being decoded.
        if len(text) in _TEXT_LENGTHS and text.startswith(_MULTIBASE):
            try:
                cid = cls.from_bytes(_base32_bytes(text[1:]))
            except (MalformedCidError, ValueError):
                cid = None
            # One name, one spelling: this refuses upper case and stray bits in the last letter.
            if cid is not None and str(cid) == text:
                return cid
        raise MalformedCidError(
            f"{_shown(text)} is not a CID of ours: expected 'b' and 58 or 60 lower-case base32 "
            "letters naming a raw or messagepack object by its blake3 digest"
        )

    def to_bytes(self) -> bytes:
        """The binary form: version, codec, multihash code, length, digest."""
        return _PREFIX[self.codec] + self.digest

    def __str__(self) -> str:
        import base64  # noqa: PLC0415 - only people and other tools need the text form

        return _MULTIBASE + base64.b32encode(self.to_bytes()).decode("ascii").rstrip("=").lower()

    @property
    def short(self) -> str:
        """The last eight letters, for people; never a name to look something up by."""
        return str(self)[-8:]


def _base32_bytes(letters: str) -> bytes:
    """The bytes of unpadded base32 in either case; ValueError for any other letter."""
    import base64  # noqa: PLC0415 - as above

    return base64.b32decode(letters + "=" * (-len(letters) % 8), casefold=True)


def _shown(text: str) -> str:
    """A hostile text cut to a length that fits a sentence."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
