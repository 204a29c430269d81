"""Digests by which what was loaded is recognised: a caller's, or the server's own."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple, Self

from blake3 import blake3

from cid_store.cid import Cid
from cid_store.errors import MalformedCidError, UsageError

_BLOCK = 1 << 20
_LENGTHS = {"sha-256": 32, "sha-512": 64}
_FIELD = re.compile(r"\s*(sha-256|sha-512)=:([A-Za-z0-9+/=]+):\s*")


class Digest(NamedTuple):
    """A digest of all bytes: `blake3`, `sha-256` or `sha-512`."""

    kind: str
    value: bytes

    @classmethod
    def of(cls, text: str) -> Self:
        """What a person typed: a CID, or sha256:HEX, or sha512:HEX. Raises UsageError."""
        name, mark, digits = text.partition(":")
        kind = {"sha256": "sha-256", "sha512": "sha-512"}.get(name.lower())
        try:
            if not mark:
                return cls("blake3", Cid.parse(text).digest)
            value = bytes.fromhex(digits)
        except (MalformedCidError, ValueError):
            value = b""
        if kind is None or len(value) != _LENGTHS[kind]:
            raise UsageError(f"{text[:200]!r} is no digest; write a CID, sha256:HEX or sha512:HEX")
        return cls(kind, value)

    def is_of(self, blocks: Iterable[bytes]) -> bool:
        """Whether these bytes, one block after the other, have it."""
        digest = blake3() if self.kind == "blake3" else hashlib.new(self.kind.replace("-", ""))
        for block in blocks:
            digest.update(block)
        return digest.digest() == self.value


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """All that a file holds, from its beginning."""
    file.seek(0)
    while block := file.read(_BLOCK):
        yield block


def told(field: str | None) -> list[Digest]:
    """The digests in a Repr-Digest header (RFC 9530); what is none is passed over."""
    found: list[Digest] = []
    for part in (field or "").split(","):
        if match := _FIELD.fullmatch(part):
            try:
                value = base64.b64decode(match[2], validate=True)
            except binascii.Error:
                continue
            if len(value) == _LENGTHS[match[1]]:
                found.append(Digest(match[1], value))
    return found
