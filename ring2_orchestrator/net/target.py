"""What an HTTP request is for: scheme, host, port and path, spelled in one way."""

import ipaddress
import re
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[A-Za-z0-9._-]+")
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """An address on the network. Equal ones are spelled alike; none holds a user or a password."""

    scheme: str  # http or https
    host: str  # in small letters, without brackets
    port: int
    path: str  # with the query

    @classmethod
    def of(cls, url: str) -> Self:
        """The target of an absolute URL. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS:
            raise ValueError(f"{parts.scheme or 'this'} is no http or https address")
        if not parts.hostname:
            raise ValueError("it names no host")
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        return cls(parts.scheme, plain_host(parts.hostname), _port(parts), path)

    @property
    def authority(self) -> str:
        """Host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole, query included."""
        return f"{self.scheme}://{self.authority}{self.path}"


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port is no number from 1 to 65535")
    return _PORTS[parts.scheme] if port is None else port


def plain_host(text: str) -> str:
    """A name or an address in one spelling. Raises ValueError."""
    host = text.strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    with suppress(UnicodeError):
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text!r} is no name of a host")
    return host
