"""From a host's name to an address that may be connected to: resolved once, and judged."""

import ipaddress
import socket
from collections.abc import Callable
from typing import NamedTuple, cast

from ring2_orchestrator.net.errors import NoAnswerError, RefusedError
from ring2_orchestrator.net.hosts import Grant, Hosts

_Plain = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# As socket.getaddrinfo gives them: family, type, protocol, name, address.
Found = list[tuple[int, int, int, str, tuple[object, ...]]]
Resolver = Callable[[str, int], Found]


class Address(NamedTuple):
    """Where to connect to; no name is looked up any more."""

    family: int
    sockaddr: tuple[object, ...]


def _resolve(host: str, port: int) -> Found:
    return cast("Found", socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def addresses_of(
    host: str,
    port: int,
    hosts: Hosts,
    *,
    resolve: Resolver = _resolve,
    option: str = "--net-allow",
) -> list[Address]:
    """The addresses of a host that are granted, in the resolver's order.

    Whoever connects to one of them cannot be led elsewhere by a second answer of the name's
    server. Raises RefusedError where the host is not granted, or leads into a private network and
    is not granted by its name; NoAnswerError where the name is not known. `option` is what grants.
    """
    grant = hosts.grant(host, port)
    if grant is None:
        raise RefusedError(f"{host}:{port} is not granted; {option} {host}:{port} grants it")
    try:
        found = resolve(host, port)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name"
        raise NoAnswerError(f"{host} cannot be looked up ({reason})") from error
    addresses = [Address(entry[0], entry[4]) for entry in found]
    allowed = [
        address
        for address in addresses
        if grant is Grant.BY_NAME or is_public(str(address.sockaddr[0]))
    ]
    if addresses and not allowed:
        raise RefusedError(
            f"{host} leads to the private address {addresses[0].sockaddr[0]}, which nobody granted "
            f"by name; {option} {host}:{port} does so"
        )
    return allowed


def is_public(text: str) -> bool:
    """Whether an address belongs to the public network, however it is wrapped."""
    try:
        address = _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _unwrapped(address: _Plain) -> _Plain:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
