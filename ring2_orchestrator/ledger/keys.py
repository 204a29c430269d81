"""Who signs: keys in the text forms that C2SP signed notes use, and what their signatures cover."""

import hashlib
from typing import NamedTuple, Self

from ring2_orchestrator.ledger.errors import MalformedNoteError, NotProvenError
from ring2_orchestrator.ledger.note import (
    KEY_ID_BYTES,
    Note,
    Signature,
    check_name,
    from_base64,
    to_base64,
)

ED25519 = 1
COSIGNATURE = 4  # a witness's: the same curve, over the time and the text
_SEED_BYTES = _PUBLIC_BYTES = 32
_TIME_BYTES = 8
_PRIVATE = "PRIVATE+KEY+"


class VerifierKey(NamedTuple):
    """What is needed to tell one signer's signatures from all others."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that point to the key; they prove nothing by themselves."""
        marked = f"{self.name}\n".encode() + bytes([self.algorithm]) + self.public
        return hashlib.sha256(marked).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """`name+id+key`, to be handed to whoever verifies."""
        key = to_base64(bytes([self.algorithm]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key in a text. Raises MalformedNoteError."""
        name, _, rest = text.partition("+")
        key_id, _, key = rest.partition("+")
        check_name(name)
        data = from_base64(key)
        if not data or len(data) != 1 + _PUBLIC_BYTES or data[0] not in (ED25519, COSIGNATURE):
            raise MalformedNoteError(
                f"{text[:80]!r} is not an Ed25519 verifier key of the form name+id+base64; "
                "`redoxa ledger key show` prints one"
            )
        found = cls(name, data[0], data[1:])
        if found.key_id.hex() != key_id:
            raise MalformedNoteError(
                f"the verifier key {text[:80]!r} was copied wrongly: its id is not the one of its "
                "name and key"
            )
        return found

    def made(self, signature: Signature) -> bool:
        """Whether a signature claims to be of this key."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def holds(self, text: str, signature: Signature) -> bool:
        """Whether this key signed the text."""
        from ring2_orchestrator.ledger import ed25519  # noqa: PLC0415 - few commands need it

        message, data = text.encode("utf-8"), signature.data
        if self.algorithm == COSIGNATURE:
            time_s, data = cosigned_at(signature), data[_TIME_BYTES:]
            message = f"cosignature/v1\ntime {time_s}\n".encode() + message
        return ed25519.holds(self.public, message, data)


class SigningKey:
    """A key that can sign. Its private half is shown by nothing but `secret`."""

    def __init__(self, name: str, seed: bytes) -> None:
        from ring2_orchestrator.ledger import ed25519  # noqa: PLC0415 - as above

        check_name(name)
        self._seed = seed
        self.verifier = VerifierKey(name, ED25519, ed25519.public_of(seed))

    @property
    def secret(self) -> str:
        """`PRIVATE+KEY+name+id+key`, for the key's own file."""
        key = to_base64(bytes([ED25519]) + self._seed)
        return f"{_PRIVATE}{self.verifier.name}+{self.verifier.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The key in a file's text, or None: no error may repeat a part of it."""
        if not text.startswith(_PRIVATE):
            return None
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        data = from_base64(rest.partition("+")[2])
        if not name or not data or len(data) != 1 + _SEED_BYTES or data[0] != ED25519:
            return None
        found = cls(name, data[1:])
        return found if found.secret == text else None

    def sign(self, text: str) -> Note:
        """The text as a note with this key's signature."""
        from ring2_orchestrator.ledger import ed25519  # noqa: PLC0415 - as above

        data = ed25519.sign(self._seed, text.encode("utf-8"))
        return Note(text, (Signature(self.verifier.name, self.verifier.key_id, data),))


def check_signed(note: Note, key: VerifierKey, *, what: str, required: bool = True) -> None:
    """Raise NotProvenError where a signature said to be of the key is not, or where none is there.

    Signatures of other keys are passed over. `what` names the note in the error.
    """
    claimed = [signature for signature in note.signatures if key.made(signature)]
    if not all(key.holds(note.text, signature) for signature in claimed):
        raise NotProvenError(
            f"{what} was altered or its signature is forged: the signature of {key.name} "
            f"(key {key.key_id.hex()}) does not fit the text"
        )
    if required and not claimed:
        signers = ", ".join(sorted({signature.name for signature in note.signatures}))
        by = f"only by {signers}" if signers else "by nobody"
        raise NotProvenError(
            f"{what} is not signed by {key.name} (key {key.key_id.hex()}), but {by}"
        )


def cosigned_at(signature: Signature) -> int:
    """The time in a witness's signature, in seconds since 1970; -1 where there is none."""
    data = signature.data[:_TIME_BYTES]
    return int.from_bytes(data, "big") if len(data) == _TIME_BYTES else -1
