"""The one door to `cryptography`: Ed25519, as RFC 8032 defines it.

Importing this loads the library, so whoever may not need a signature imports it late.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def public_of(seed: bytes) -> bytes:
    """The 32 bytes of the public key that belongs to a private key's 32."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of the signature; the same key and message always give the same."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of that public key signed that message; false for malformed keys, too."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
