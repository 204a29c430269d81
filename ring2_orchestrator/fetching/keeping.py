"""What of an exchange may be written down, and under which name."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import BinaryIO, NamedTuple

from ring2_orchestrator.net.credentials import Header, Stripper
from ring2_orchestrator.net.exchange import Asked, Exchange
from ring2_orchestrator.net.sources import is_private, key_of
from ring2_orchestrator.net.target import Target

# Of an answer no more is kept than what a later question needs: less can leak.
_KEPT = frozenset({
    "accept-ranges", "age", "cache-control", "content-type", "date", "etag", "expires",
    "last-modified", "location", "repr-digest", "vary",
})  # fmt: skip
# What a confirmation says of itself, and not of what it confirms.
_OF_ITSELF = frozenset({"accept-ranges", "content-type", "repr-digest"})


class Keeping(NamedTuple):
    """The rules of a home. The functions find, or replace, what secret variables hold."""

    stripper: Stripper
    seal: Callable[[bytes], bytes]
    hidden: Callable[[Sequence[str]], list[str]]
    found_in: Callable[[bytes], str | None]
    found_in_stream: Callable[[BinaryIO], str | None]

    def shown(self, target: Target) -> str:
        """The address as it may be written and shown."""
        return self.words(self.stripper.url(target))

    def words(self, text: str) -> str:
        """A sentence without secrets."""
        return self.hidden([text])[0]

    def exchange(
        self, target: Target, said: Sequence[Header], status: int, headers: Sequence[Header]
    ) -> Exchange:
        """The exchange as it may be kept, its bytes not yet."""
        asked = Asked("GET", target, tuple(said))
        key = key_of(asked, self.stripper, self.seal)._replace(url=self.shown(target))
        kept = tuple(
            (name, value)
            for name, value in self.stripper.answered(headers)
            if name.lower() in _KEPT
        )
        credentials = self.stripper.carries_credentials(target, said)
        return Exchange(key, credentials, status, phrase(status), kept, None, 0)

    def why_not(self, headers: Sequence[Header], exchange: Exchange, file: BinaryIO) -> str:
        """Why the answer may not be kept; empty where it may."""
        if is_private(headers):
            return "its server forbids to store it (Cache-Control: no-store)"
        file.seek(0)
        words = "\n".join(value for _, value in exchange.headers).encode("latin-1", "replace")
        secret = self.found_in(words) or self.found_in_stream(file)
        return "" if secret is None else f"it holds what {secret} does, and no secret is kept"

    def may_keep_redirect(self, headers: Sequence[Header], to: Target) -> bool:
        """Whether it may be written down where an answer leads to."""
        return not is_private(headers) and self.shown(to) == to.url


def phrase(status: int) -> str:
    """What the status means, in the standard's words: a server's own could hold anything."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def confirmed(was: Exchange, now: Exchange) -> Exchange:
    """What is kept, as a confirmation of it renews it (RFC 9111, 3.2)."""
    newer = [(name, value) for name, value in now.headers if name.lower() not in _OF_ITSELF]
    names = {name.lower() for name, _ in newer}
    older = [(name, value) for name, value in was.headers if name.lower() not in names]
    return was._replace(headers=(*older, *newer))
