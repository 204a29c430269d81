"""What is wanted of the network, and what may be spent on it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self
from urllib.parse import quote, urljoin, urlsplit

from cid_store.errors import UsageError
from ring2_orchestrator.fetching.digests import Digest
from ring2_orchestrator.net.credentials import Header
from ring2_orchestrator.net.hosts import Hosts, Rule
from ring2_orchestrator.net.target import Target

# What a path and a query may hold as it stands (RFC 3986); `%` begins what is spelled already.
_PLAIN = "/%?:@!$&'()*+,;=-._~[]|"
_LONGEST_URL = 3000
# What a caller may not say: it is ours to say, or it would let one request look like another.
_OURS = frozenset({
    "accept-encoding", "connection", "content-length", "expect", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range", "te",
    "transfer-encoding", "upgrade",
})  # fmt: skip


class Bounds(NamedTuple):
    """How much is taken, and how long is waited. None is planned from what is known."""

    size_bytes: int = 1 << 30
    silence_s: float | None = None  # without a byte
    whole_s: float = 3600.0
    retries: int | None = None
    wait_s: float = 60.0  # the longest pause before another try, whoever asks for it


def _nobody(received: int, total: int | None) -> None:
    del received, total


class Wish(NamedTuple):
    """One address that is wanted, and on what terms."""

    target: Target
    hosts: Hosts
    headers: tuple[Header, ...] = ()  # credentials among them go to the address's own server alone
    offline: bool = False
    again: bool = False  # ask, however fresh what is kept may be
    expected: Digest | None = None
    bounds: Bounds = Bounds()
    progress: Callable[[int, int | None], None] = _nobody

    @classmethod
    def of(
        cls,
        url: str,
        *,
        allow: Sequence[str] = (),
        headers: Sequence[Header] = (),
        offline: bool = False,
        again: bool = False,
        expect: str | None = None,
        bounds: Bounds | None = None,
        progress: Callable[[int, int | None], None] = _nobody,
    ) -> Self:
        """The wish for a URL; its own host is granted where it is public. Raises UsageError."""
        target = target_of(url)
        for name, value in headers:
            _check_header(name, value)
        ports = {target.port, 443} if target.port == 80 else {target.port}
        hosts = Hosts(
            [Rule.of(word) for word in allow],
            public=[Rule(target.host, port) for port in sorted(ports)],
        )
        expected = None if expect is None else Digest.of(expect)
        chosen = Bounds() if bounds is None else bounds
        return cls(target, hosts, tuple(headers), offline, again, expected, chosen, progress)


def target_of(url: str, base: Target | None = None) -> Target:
    """What a URL, or one that a server gave from a base, means. Raises UsageError."""
    try:
        whole = url if base is None else urljoin(base.url, url)
        if urlsplit(whole).username is not None and base is None:
            raise UsageError(
                "an address with a user or a password in it is not taken, for it shows in lists of "
                "processes and histories; give --header 'Authorization: ...' instead"
            )
        target = Target.of(whole)
    except ValueError as error:
        raise UsageError(f"{url[:200]!r} cannot be loaded: {error}") from None
    target = target._replace(path=quote(target.path, safe=_PLAIN, errors="surrogateescape"))
    if len(target.url) > _LONGEST_URL:
        raise UsageError(f"an address of more than {_LONGEST_URL:,} bytes is not taken")
    return target


def _check_header(name: str, value: str) -> None:
    if name.lower() in _OURS:
        raise UsageError(f"the header {name} is Redoxa's own to say; leave it out")
    plain = all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in name)
    if not name or not plain:
        raise UsageError(f"{name!r} is no name of a header; write 'NAME: VALUE'")
    if not all(" " <= letter <= "ÿ" and letter != "\x7f" for letter in value):
        raise UsageError(f"the value of the header {name} holds what no header may")
