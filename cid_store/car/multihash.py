"""Multihashes: which function a digest is of, and whether bytes have that digest."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from blake3 import blake3

from cid_store.car import varint
from cid_store.car.varint import VarintError

IDENTITY = 0x00
MAX_DIGEST_BYTES = 1024
# Below this a digest protects nobody: other bytes with the same one can be found.
MIN_DIGEST_BYTES = 20

_Hash = Callable[[bytes | memoryview], bytes]


def _library(name: str) -> _Hash:
    return lambda data: hashlib.new(name, data, usedforsecurity=False).digest()


def _shake(name: str, length: int) -> _Hash:
    return lambda data: getattr(hashlib, name)(data).digest(length)


def _blake2(name: str, length: int) -> _Hash:
    return lambda data: getattr(hashlib, name)(data, digest_size=length).digest()


def _dbl_sha2_256(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


# By number in the multicodec table. A digest may be a beginning of what these give.
_FUNCTIONS: dict[int, _Hash] = {
    0x11: _library("sha1"),
    0x12: _library("sha256"),
    0x13: _library("sha512"),
    0x14: _library("sha3_512"),
    0x15: _library("sha3_384"),
    0x16: _library("sha3_256"),
    0x17: _library("sha3_224"),
    0x18: _shake("shake_128", 32),
    0x19: _shake("shake_256", 64),
    0x1E: lambda data: blake3(data).digest(),
    0x20: _library("sha384"),
    0x56: _dbl_sha2_256,
    0x1013: _library("sha224"),
    0x1014: _library("sha512_224"),
    0x1015: _library("sha512_256"),
    # blake2b-8 to blake2b-512 and blake2s-8 to blake2s-256: each length is a function of its own.
    **{0xB200 + length: _blake2("blake2b", length) for length in range(1, 65)},
    **{0xB240 + length: _blake2("blake2s", length) for length in range(1, 33)},
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

    def names(self, data: bytes | memoryview) -> bool | None:
        """Whether `data` has this digest; None where nobody here can tell.

        That is so for functions that are not known, and for digests too short to prove anything.
        """
        if self.code == IDENTITY:
            return self.digest == data
        function = _FUNCTIONS.get(self.code)
        if function is None:
            return None
        if function(data)[: len(self.digest)] != self.digest:
            return False
        return True if len(self.digest) >= MIN_DIGEST_BYTES else None


def longest_digest(code: int) -> int | None:
    """How long a digest of that function can be; None where the function is not known."""
    function = _FUNCTIONS.get(code)
    return None if function is None else len(function(b""))
