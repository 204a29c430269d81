"""A signed note: a text, an empty line, and a line for each signature over the text (C2SP)."""

import binascii
import re
from typing import NamedTuple, Self

from ring2_orchestrator.ledger.errors import MalformedNoteError

# Room for the 16 signatures that every reader must take, each as long as any in use.
MAX_NOTE = 262_144
MAX_SIGNATURES = 100
KEY_ID_BYTES = 4
_LINE = re.compile("\u2014 ([^ ]+) ([A-Za-z0-9+/]+=*)")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")


class Signature(NamedTuple):
    """One signature line: whose key it claims, and the bytes, which nobody has judged yet."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        """The line, ended by a newline."""
        return f"\u2014 {self.name} {to_base64(self.key_id + self.data)}\n"


class Note(NamedTuple):
    """A text and the signatures below it, none for a text that nobody signed."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def whole(self) -> str:
        """Text and signatures as one file."""
        lines = "".join(signature.line for signature in self.signatures)
        return f"{self.text}\n{lines}" if lines else self.text

    @classmethod
    def parse(cls, whole: str) -> Self:
        """The note in a file. Raises MalformedNoteError."""
        if len(whole) > MAX_NOTE:
            raise MalformedNoteError(f"a signed text has at most {MAX_NOTE} characters")
        if _CONTROL.search(whole):
            raise MalformedNoteError(
                "a signed text holds no control characters and is UTF-8; copy it again"
            )
        text, gap, lines = whole.rpartition("\n\n")
        if not gap:
            return cls(whole, ())
        if not lines.endswith("\n") or lines.count("\n") > MAX_SIGNATURES:
            raise MalformedNoteError(
                "after the empty line a signed text has 1 to "
                f"{MAX_SIGNATURES} whole lines of signatures; copy it again"
            )
        return cls(f"{text}\n", tuple(_signature(line) for line in lines[:-1].split("\n")))


def check_name(name: str) -> None:
    """Raise MalformedNoteError unless a key may be called that."""
    if not name or "+" in name or any(map(str.isspace, name)) or _CONTROL.search(name):
        raise MalformedNoteError(
            f"a key's name has no spaces and no plus sign and is not empty: {name[:60]!r}"
        )


def to_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: str) -> bytes | None:
    """The bytes of standard base64 in its one spelling, else None."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    # The last letter has spare bits; only one spelling of the same bytes is accepted.
    return data if to_base64(data) == text else None


def _signature(line: str) -> Signature:
    match = _LINE.fullmatch(line)
    data = from_base64(match[2]) if match else None
    if match is None or data is None or len(data) <= KEY_ID_BYTES:
        raise MalformedNoteError(f"this line is not a signature: {line[:60]!r}; copy it again")
    check_name(match[1])
    return Signature(match[1], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])
