"""What of a request and its answer is never written down, wherever that would be."""

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote_plus

from ring2_orchestrator.net.target import Target

Header = tuple[str, str]
HIDDEN = "HIDDEN"
_CREDENTIALS = frozenset({
    "authorization", "cookie", "cookie2", "proxy-authorization", "proxy-authenticate",
    "set-cookie", "set-cookie2", "authentication-info", "proxy-authentication-info",
    "x-amz-security-token", "x-api-key",
})  # fmt: skip
# Of a request only these are kept: they say which form of the answer is wanted.
THAT_MATTER = frozenset({
    "accept", "accept-encoding", "accept-language", "content-type", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range",
})  # fmt: skip
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
    "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_SECRET_NAME = re.compile(
    r".*(token|secret|passw|passphrase|credential|signature|session|apikey|accesskey|privatekey|"
    r"cookie|jwt|bearer).*|(x-amz-.*|auth|authorization|code|key|sig|sid|pwd|pass|assertion|otp)|"
    r".*[-_.](auth|key|sig|pass|pwd|pat)",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a header or a parameter of that name holds what opens doors."""
    plain = re.sub(r"[-_.\s]", "", name)
    return bool(_SECRET_NAME.fullmatch(name) or _SECRET_NAME.fullmatch(plain))


class Stripper:
    """Takes credentials away; `also_secret` names what a person holds for secret besides."""

    def __init__(self, also_secret: Callable[[str], bool] = is_secret_name) -> None:
        self._also = also_secret

    def _is_secret(self, name: str) -> bool:
        return is_secret_name(name) or self._also(name)

    def url(self, target: Target) -> str:
        """The address with `HIDDEN` in the place of each secret parameter."""
        path, mark, query = target.path.partition("?")
        parts = [self._parameter(part) for part in re.split("([&;])", query)]
        return target._replace(path=path + mark + "".join(parts)).url

    def _parameter(self, part: str) -> str:
        name, mark, value = part.partition("=")
        hides = mark and value and self._is_secret(unquote_plus(name))
        return f"{name}={HIDDEN}" if hides else part

    def asked(self, headers: Iterable[Header]) -> tuple[Header, ...]:
        """What is kept of a request's headers, in one order."""
        return tuple(sorted((name.lower(), at) for name, at in headers if _matters(name)))

    def answered(self, headers: Iterable[Header]) -> tuple[Header, ...]:
        """What is kept of an answer's headers, in the order they came."""
        return tuple(
            (name, value)
            for name, value in end_to_end(headers)
            if name.lower() not in _CREDENTIALS and not self._is_secret(name)
        )

    def carries_credentials(self, target: Target, headers: Iterable[Header]) -> bool:
        """Whether the request held something that is not kept and says who asks."""
        said = any(
            name.lower() in _CREDENTIALS or (self._is_secret(name) and not _matters(name))
            for name, _ in headers
        )
        return said or self.url(target) != target.url


def _matters(name: str) -> bool:
    return name.lower() in THAT_MATTER


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """The headers without those that only concern one connection."""
    all_of_them = list(headers)
    named = {
        word.strip().lower()
        for name, value in all_of_them
        if name.lower() == "connection"
        for word in value.split(",")
    }
    return [
        (name, value)
        for name, value in all_of_them
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named
    ]
