"""A recording against the network as it is: which of its answers would no longer be given."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from blake3 import blake3

from ring2_orchestrator.net.credentials import Header
from ring2_orchestrator.net.errors import BrokenAnswerError, NoAnswerError
from ring2_orchestrator.net.exchange import SAFE, Answer, Asked, Exchange, Key
from ring2_orchestrator.net.freshness import is_fresh
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.target import Target
from ring2_orchestrator.net.upstream import Limits, Upstream

_AT_ONCE = 8
_COMPARED = ("content-type", "content-encoding", "location")


class Difference(NamedTuple):
    """One answer that does not hold, in words for a person."""

    url: str
    was: str
    now: str


def differences(
    exchanges: Sequence[Exchange], hosts: Hosts, limits: Limits, *, begun_ns: int, now_ns: int
) -> list[Difference]:
    """What does not hold: an answer holds while it is fresh, and where the server gives it again.

    Only GET and HEAD are asked again, once for each address, with no credentials; where that does
    not do, the answer does not hold. Redirects are not followed: each is an answer of its own.
    """
    by_key: dict[Key, list[Exchange]] = {}
    for exchange in exchanges:
        by_key.setdefault(exchange.key, []).append(exchange)
    # Whoever drips could hold up a decision for ever.
    upstream = Upstream(hosts, limits, whole_s=limits.check_s)

    def judge(same: list[Exchange]) -> Difference | None:
        return _judge(same, hosts, upstream, begun_ns=begun_ns, now_ns=now_ns)

    with ThreadPoolExecutor(_AT_ONCE) as several:
        return [found for found in several.map(judge, by_key.values()) if found is not None]


def _judge(
    same: list[Exchange], hosts: Hosts, upstream: Upstream, *, begun_ns: int, now_ns: int
) -> Difference | None:
    last = same[-1]
    key, target = last.key, Target.of(last.key.url)

    def differs(was: str, now: str) -> Difference:
        return Difference(key.url, was, now)

    if hosts.grant(target.host, target.port) is None:
        return differs("granted", f"not granted (--net-allow {target.host}:{target.port})")
    fresh = all(is_fresh(each, begun_ns=begun_ns, now_ns=now_ns) for each in same)
    if fresh and key.method in SAFE:
        return None
    if (why_not := _cannot_be_asked(same)) is not None:
        return differs(*why_not)
    try:
        answer = upstream.ask(Asked(key.method, target, _conditional(last)))
        now = _difference(last, answer)
    except (NoAnswerError, BrokenAnswerError) as error:
        return differs("answered", f"no answer: {error} (--net=replay reuses without asking)")
    return None if now is None else differs(_said(last.status, last.size), now)


def _cannot_be_asked(same: list[Exchange]) -> tuple[str, str] | None:
    """Why nobody can be asked whether the answers still hold: what was, and what is now."""
    last = same[-1]
    if last.key.method not in SAFE:
        return f"asked by {last.key.method}", "not asked again: only --net=replay reuses that"
    if any(_facts(each) != _facts(last) for each in same):
        return "several answers", "not known which would be given"
    if last.credentials:
        return "answered to credentials", "not asked again: no credentials are kept"
    return None


def _facts(exchange: Exchange) -> tuple[object, ...]:
    return exchange.status, exchange.content, *map(exchange.header, _COMPARED)


def _conditional(exchange: Exchange) -> tuple[Header, ...]:
    """The request as it was; with what the server gave to recognise its answer by."""
    headers = list(exchange.key.headers)
    if exchange.status == 200 and not any(name.startswith("if-") for name, _ in headers):
        if etag := exchange.header("etag"):
            headers.append(("If-None-Match", etag))
        elif modified := exchange.header("last-modified"):
            headers.append(("If-Modified-Since", modified))
    return tuple(headers)


def _difference(was: Exchange, answer: Answer) -> str | None:
    """What is otherwise in the answer of now; None where nothing is."""
    try:
        if answer.status == 304 and was.status == 200:
            return None
        if answer.status != was.status:
            return _said(answer.status, None)
        now = was._replace(headers=answer.headers)
        for name in _COMPARED:
            if now.header(name) != was.header(name):
                return f"{name} {now.header(name)}"
        if was.key.method == "HEAD":
            marks = ("content-length", "etag", "last-modified")
            changed = [name for name in marks if now.header(name) != was.header(name)]
            return f"{changed[0]} {now.header(changed[0])}" if changed else None
        return _other_body(was, answer)
    finally:
        close = getattr(answer.body, "close", None)
        if close is not None:
            close()


def _other_body(was: Exchange, answer: Answer) -> str | None:
    digest, size = blake3(), 0
    for block in answer.body:
        digest.update(block)
        size += len(block)
        if size > was.size:
            return "a longer answer"
    kept = b"" if was.content is None else was.content.digest
    same = size == was.size and (not size or digest.digest() == kept)
    return None if same else f"another answer of {size:,} bytes"


def _said(status: int, size: int | None) -> str:
    return f"status {status}" + ("" if size is None else f" and {size:,} bytes")
