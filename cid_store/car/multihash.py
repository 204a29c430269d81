"""Multihashes: which function a digest is of, and whether bytes have that digest."""

import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, Protocol

from blake3 import blake3

from cid_store.car import varint
from cid_store.car.varint import VarintError

IDENTITY = 0x00
MAX_DIGEST_BYTES = 1024
# Below this a digest protects nobody: other bytes with the same one can be found.
MIN_DIGEST_BYTES = 20


class Hasher(Protocol):
    """A hash function that takes its input in parts."""

    def update(self, data: bytes, /) -> object:
        """Take the next part."""
        ...

    def digest(self) -> bytes:
        """The digest of all parts."""
        ...


class _Shake:
    """An extendable-output function, of which multihashes take a fixed length."""

    def __init__(self, name: str, length: int) -> None:
        self._hasher = getattr(hashlib, name)()
        self._length = length

    def update(self, data: bytes, /) -> None:
        self._hasher.update(data)

    def digest(self) -> bytes:
        return self._hasher.digest(self._length)


class _DoubleSha:
    """The sha2-256 digest of the sha2-256 digest."""

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()

    def update(self, data: bytes, /) -> None:
        self._hasher.update(data)

    def digest(self) -> bytes:
        return hashlib.sha256(self._hasher.digest()).digest()


def _library(name: str) -> Callable[[], Hasher]:
    return lambda: hashlib.new(name, usedforsecurity=False)


# By number in the multicodec table. A digest may be a beginning of what these give.
_FUNCTIONS: dict[int, Callable[[], Hasher]] = {
    0x11: _library("sha1"),
    0x12: _library("sha256"),
    0x13: _library("sha512"),
    0x14: _library("sha3_512"),
    0x15: _library("sha3_384"),
    0x16: _library("sha3_256"),
    0x17: _library("sha3_224"),
    0x18: partial(_Shake, "shake_128", 32),
    0x19: partial(_Shake, "shake_256", 64),
    0x1E: blake3,
    0x20: _library("sha384"),
    0x56: _DoubleSha,
    0x1013: _library("sha224"),
    0x1014: _library("sha512_224"),
    0x1015: _library("sha512_256"),
    # blake2b-8 to blake2b-512 and blake2s-8 to blake2s-256: each length is a function of its own.
    **{0xB200 + size: partial(hashlib.blake2b, digest_size=size) for size in range(1, 65)},
    **{0xB240 + size: partial(hashlib.blake2s, digest_size=size) for size in range(1, 33)},
}


class Multihash(NamedTuple):
    """A hash function's number and a digest."""

    code: int
    digest: bytes

    @classmethod
    def read(cls, data: bytes, at: int = 0) -> "tuple[Multihash, int]":
        """The multihash that begins at `at`, and where it ends. Raises VarintError."""
        code, at = varint.decode(data, at)
        length, at = varint.decode(data, at)
        if length > MAX_DIGEST_BYTES:
            raise VarintError(f"a digest of {length:,} bytes is over {MAX_DIGEST_BYTES:,}")
        longest = longest_digest(code)
        if longest is not None and length > longest:
            raise VarintError(f"hash function 0x{code:x} gives no digest of {length} bytes")
        if at + length > len(data):
            raise VarintError("a digest is cut short")
        return cls(code, bytes(data[at : at + length])), at + length

    def to_bytes(self) -> bytes:
        """The binary form: code, length, digest."""
        return varint.encode(self.code) + varint.encode(len(self.digest)) + self.digest

    def names(self, parts: Iterable[bytes]) -> bool | None:
        """Whether the bytes, given in parts, have this digest; None where nobody here can tell.

        That is so for functions that are not known, and for digests too short to prove anything.
        """
        if self.code == IDENTITY:
            return _are(self.digest, parts)
        function = _FUNCTIONS.get(self.code)
        if function is None:
            return None
        hasher = function()
        for part in parts:
            hasher.update(part)
        if hasher.digest()[: len(self.digest)] != self.digest:
            return False
        return True if len(self.digest) >= MIN_DIGEST_BYTES else None


def longest_digest(code: int) -> int | None:
    """How long a digest of that function can be; None where the function is not known."""
    function = _FUNCTIONS.get(code)
    return None if function is None else len(function().digest())


def _are(expected: bytes, parts: Iterable[bytes]) -> bool:
    """Whether the parts together are exactly what is expected, which is short."""
    at = 0
    for part in parts:
        if expected[at : at + len(part)] != part:
            return False
        at += len(part)
    return at == len(expected)
