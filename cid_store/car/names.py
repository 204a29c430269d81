"""Names of blocks as other tools give them: CIDs of any version, codec and hash function."""

import base64
from typing import NamedTuple

from cid_store.car import varint
from cid_store.car.multihash import Multihash
from cid_store.car.varint import VarintError
from cid_store.cid import Cid
from cid_store.errors import MalformedCidError

MAX_NAME_BYTES = 2048

_SHA2_256 = b"\x12\x20"  # how every CIDv0 begins: the multihash of 32 bytes of sha2-256
_DAG_PB = 0x70
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class BlockName(NamedTuple):
    """A CID that may be anybody's. Equal names have equal bytes."""

    data: bytes  # in binary form
    codec: int
    multihash: Multihash

    @classmethod
    def read(cls, data: bytes, at: int = 0) -> "tuple[BlockName, int]":
        """The CID that begins at `at`, and where it ends. Raises VarintError."""
        if data[at : at + 2] == _SHA2_256:
            multihash, end = Multihash.read(data, at)
            return cls(bytes(data[at:end]), _DAG_PB, multihash), end
        version, codec_at = varint.decode(data, at)
        if version != 1:
            raise VarintError(f"a CID of version {version} is none that exists")
        codec, hash_at = varint.decode(data, codec_at)
        multihash, end = Multihash.read(data, hash_at)
        if end - at > MAX_NAME_BYTES:
            raise VarintError(f"a CID of {end - at:,} bytes is over {MAX_NAME_BYTES:,}")
        return cls(bytes(data[at:end]), codec, multihash), end

    @classmethod
    def from_bytes(cls, data: bytes) -> "BlockName":
        """The CID in exactly these bytes. Raises VarintError."""
        name, end = cls.read(data)
        if end != len(data):
            raise VarintError(f"{len(data) - end} bytes stand after a CID")
        return name

    @property
    def ours(self) -> Cid | None:
        """The same as a name in a store; None where a store has no such names."""
        try:
            return Cid.from_bytes(self.data)
        except MalformedCidError:
            return None

    def __str__(self) -> str:
        if self.data.startswith(_SHA2_256):
            return _base58(self.data)
        return "b" + base64.b32encode(self.data).decode("ascii").rstrip("=").lower()


def _base58(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    letters: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        letters.append(_BASE58[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(letters))
