"""The variables by which programs learn of a proxy and whom to trust."""

from collections.abc import Mapping

_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_EXCEPTIONS = ("NO_PROXY", "no_proxy")
TRUSTING = (
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO",
)  # fmt: skip
PROXIES = (*_PROXY, *(name.lower() for name in _PROXY))
# Node 22.21 and later heed the others where this is set.
SWITCHES = {"NODE_USE_ENV_PROXY": "1"}
OURS = frozenset({*PROXIES, *_EXCEPTIONS, *TRUSTING, *SWITCHES})


def proxied(env: Mapping[str, str], proxy: str, trusted: str) -> dict[str, str]:
    """The environment with a proxy for everything, and one file of certificates to trust."""
    found = without_proxy(env)
    found |= dict.fromkeys(PROXIES, proxy)
    return found | dict.fromkeys(TRUSTING, trusted) | SWITCHES


def without_proxy(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without all that a recorded program is told otherwise."""
    return {name: value for name, value in env.items() if name not in OURS}
