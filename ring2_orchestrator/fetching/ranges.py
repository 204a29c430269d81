"""Parts of answers: which may be gone on with, and whether another part is of the same version."""

import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Self

from ring2_orchestrator.net.exchange import Exchange

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
# A time of change says which version it is only if that version had stood for a while.
_SETTLED = timedelta(seconds=60)


class Span(NamedTuple):
    """The bytes from `first` to `last`, both counted, of `total`."""

    first: int
    last: int
    total: int

    @classmethod
    def of(cls, text: str | None) -> Self | None:
        """What a Content-Range header says; None where it says nothing that can be relied upon."""
        match = _CONTENT_RANGE.fullmatch((text or "").strip())
        if match is None:
            return None
        span = cls(*(int(number) for number in match.groups()))
        return span if span.first <= span.last < span.total else None


def strong_validator(exchange: Exchange) -> str | None:
    """What proves that two parts are of one version, as If-Range takes it; None if nothing does."""
    tag = exchange.header("etag")
    if tag is not None:
        return tag if _STRONG_TAG.fullmatch(tag) else None
    try:
        changed = parsedate_to_datetime(exchange.header("last-modified") or "")
        said = parsedate_to_datetime(exchange.header("date") or "")
        settled = said - changed >= _SETTLED
    except (ValueError, TypeError, OverflowError):
        return None
    return exchange.header("last-modified") if settled else None


def is_same_version(begun: Exchange, further: Exchange) -> bool:
    """Whether the server proves that a further part belongs to what was begun."""
    validator = strong_validator(begun)
    name = "last-modified" if begun.header("etag") is None else "etag"
    return validator is not None and further.header(name) == validator
