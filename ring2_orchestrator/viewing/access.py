"""Who may ask the local page's server: the browser that was shown the address with the token.

A token alone would do against other people of this machine. The rest is against pages of elsewhere
in the same browser, which may send requests here, also under a name that they made lead here.
"""

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

HOST = "127.0.0.1"
_COOKIE = "redoxa-view"
_LONGEST_COOKIE = 8192


class Refusal(NamedTuple):
    """A status of HTTP and a sentence."""

    status: int
    sentence: str


class Access:
    """The keys of one server: the token of its address, and what the browser gets for it."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self.port = 0

    @property
    def url(self) -> str:
        """The address that lets a browser in."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """What a browser that came with the token is told to keep, until it is closed."""
        return f"{self._cookie_name}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    @property
    def _cookie_name(self) -> str:
        return f"{_COOKIE}-{self.port}"  # browsers do not tell ports apart

    def has_token(self, given: str | None) -> bool:
        """Whether this is the token."""
        return given is not None and _same(given, self.token)

    def refusal(self, headers: Mapping[str, str], *, token: str | None) -> Refusal | None:
        """Why a request is not answered; None where it is."""
        if headers.get("Host", "") not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):
            return Refusal(421, "this server answers for 127.0.0.1 alone")
        if self.has_token(token):
            return None
        # With a browser's own word for it: pages of other ports count as the same site for cookies.
        if headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return Refusal(403, "another site asked for this")
        if self._has_session(headers.get("Cookie", "")):
            return None
        return Refusal(
            403, "open the address that `redoxa view` printed: it holds the token that is missing"
        )

    def _has_session(self, text: str) -> bool:
        if len(text) > _LONGEST_COOKIE:
            return False
        try:
            kept = SimpleCookie(text).get(self._cookie_name)
        except CookieError:
            return False
        return kept is not None and _same(kept.value, self._session)


def _same(given: str, true: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), true.encode())
