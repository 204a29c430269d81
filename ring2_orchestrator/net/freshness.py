"""How long an answer may be used without asking again: RFC 9111, as a private cache reads it."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ring2_orchestrator.net.exchange import Exchange

_WORD = re.compile(r'\s*([^=,\s]+)(?:\s*=\s*(?:"([^"]*)"|([^,]*)))?\s*(?:,|$)')


def is_fresh(exchange: Exchange, *, begun_ns: int, now_ns: int) -> bool:
    """Whether the server said that the answer would still be good now.

    `begun_ns` lies before the request, so the answer is taken for older than it is, never for
    younger. Nothing is guessed where the server said nothing, and nothing trusted where the clock
    was set back.
    """
    if now_ns < begun_ns:
        return False
    lifetime_s = _lifetime_s(exchange)
    if lifetime_s is None:
        return False
    date = _time(exchange.header("date"))
    apparent_s = 0.0 if date is None else max(0.0, begun_ns / 1e9 - date.timestamp())
    age_s = max(apparent_s, _number(exchange.header("age")) or 0.0)
    return age_s + (now_ns - begun_ns) / 1e9 < lifetime_s


def _lifetime_s(exchange: Exchange) -> float | None:
    said = directives(exchange.header("cache-control") or "")
    # A list of names after `no-cache` would allow the rest; asking is always right.
    if "no-cache" in said or (exchange.header("vary") or "").strip() == "*":
        return None
    if "max-age" in said:
        return _number(said["max-age"])
    expires, date = _time(exchange.header("expires")), _time(exchange.header("date"))
    if expires is None or date is None:
        return None
    return (expires - date).total_seconds()


def directives(text: str) -> dict[str, str]:
    """The words of a Cache-Control header; of a word that stands there twice the first."""
    found: dict[str, str] = {}
    for word in _WORD.finditer(text):
        found.setdefault(word[1].lower(), (word[2] or word[3] or "").strip())
    return found


def _number(text: str | None) -> float | None:
    # Longer ones would not fit a clock: they mean "very long".
    if text is None or not text.isascii() or not text.isdecimal():
        return None
    return float(min(int(text[:20]), 1 << 31))


def _time(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
