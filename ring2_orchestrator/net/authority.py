"""An authority that vouches for any host to one command alone. Its key never leaves memory."""

import datetime
import hashlib
import ipaddress
import os
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Redoxa, for one run")])
_ALWAYS = (
    datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime(2099, 12, 31, tzinfo=datetime.UTC),
)
_ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Authority:
    """Certificates for hosts, all under one that is made here.

    With a `seed` equal seeds give equal certificates, valid at any time: for a bundle, which is to
    run whenever, and whose authority nobody trusts but the command in it.
    """

    def __init__(self, *, now_ns: int = 0, seed: bytes | None = None) -> None:
        self._seed = seed
        now = datetime.datetime.fromtimestamp(now_ns // 10**9, datetime.UTC)
        day = datetime.timedelta(days=1)
        self._begins, self._ends = _ALWAYS if seed is not None else (now - day, now + 7 * day)
        self._key = self._new_key(b"authority")
        self._leaf_key = self._new_key(b"hosts")
        self._own = self._certificate(
            _NAME,
            self._key,
            x509.BasicConstraints(ca=True, path_length=0),
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
                encipher_only=False, decipher_only=False,
            ),
        )  # fmt: skip
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    @property
    def pem(self) -> bytes:
        """The certificate to be trusted."""
        return self._own.public_bytes(Encoding.PEM)

    def leaf(self, host: str) -> bytes:
        """A host's key and certificate."""
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        certificate = self._certificate(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]),
            self._leaf_key,
            x509.BasicConstraints(ca=False, path_length=None),
            x509.SubjectAlternativeName([name]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        )
        key = self._leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + certificate.public_bytes(Encoding.PEM)

    def context(self, host: str) -> ssl.SSLContext:
        """What speaks TLS as that host. Safe to call from several threads."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = _context(self.leaf(host))
            return self._contexts[host]

    def _new_key(self, purpose: bytes) -> ec.EllipticCurvePrivateKey:
        if self._seed is None:
            return ec.generate_private_key(ec.SECP256R1())
        number = int.from_bytes(hashlib.sha512(purpose + self._seed).digest(), "big")
        return ec.derive_private_key(1 + number % (_ORDER_P256 - 1), ec.SECP256R1())

    def _serial(self, name: x509.Name) -> int:
        if self._seed is None:
            return x509.random_serial_number()
        digest = hashlib.sha256(self._seed + name.rfc4514_string().encode()).digest()
        return 1 + (int.from_bytes(digest, "big") >> 100)

    def _certificate(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        constraints: x509.BasicConstraints,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        own = self._key.public_key()
        builder = (
            x509.CertificateBuilder(_NAME, name, key.public_key(), self._serial(name))
            .not_valid_before(self._begins)
            .not_valid_after(self._ends)
            .add_extension(constraints, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(
                extension, critical=isinstance(extension, x509.KeyUsage)
            )
        return builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)


def _context(leaf: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    # The library only reads keys from files: this one is nowhere on a disk.
    descriptor = os.memfd_create("redoxa-key")
    try:
        os.write(descriptor, leaf)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
