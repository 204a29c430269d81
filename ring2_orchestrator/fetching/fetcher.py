"""Loads what is wanted: from what is kept, from a server, or on from where it broke off."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

from cid_store.cid import Cid, Codec
from cid_store.errors import UsageError
from cid_store.store import Store
from ring2_orchestrator.clock import Clock
from ring2_orchestrator.fetching.cache import Cache, Kept
from ring2_orchestrator.fetching.client import Client, LostError, Reply
from ring2_orchestrator.fetching.intake import Coming, Intake
from ring2_orchestrator.fetching.keeping import Keeping, confirmed, phrase
from ring2_orchestrator.fetching.loaded import Account, Ask, Found
from ring2_orchestrator.fetching.pace import Pace, asked_to_wait
from ring2_orchestrator.fetching.ranges import Span, is_same_version, strong_validator
from ring2_orchestrator.fetching.wish import Wish, target_of
from ring2_orchestrator.net.credentials import THAT_MATTER, Header
from ring2_orchestrator.net.errors import NoAnswerError, RefusedError
from ring2_orchestrator.net.exchange import Exchange
from ring2_orchestrator.net.freshness import is_fresh
from ring2_orchestrator.net.target import Target

_CONNECT_S = 10.0
_MOST_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Step(NamedTuple):
    """One address on the way."""

    target: Target
    said: tuple[Header, ...]
    name: str


class Fetcher:
    """One home's loads. Several may be under way at a time."""

    def __init__(
        self,
        store: Store,
        keeping: Keeping,
        *,
        clock: Clock,
        folder: Path,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        client: Callable[[Wish], Client] = lambda wish: Client(wish.hosts),
    ) -> None:
        """`folder` is where bodies wait until they are checked, in files without names."""
        self._store, self._clock, self._sleep = store, clock, sleep
        self.keeping = keeping
        self._client = client
        self.cache = Cache(store, keeping.seal)
        self._intake = Intake(store, self.cache, keeping, folder)

    def part(self, wish: Wish, target: Target) -> Kept | None:
        """What is kept of an answer that broke off at that address."""
        return self.cache.part(self._step(wish, target).name)

    def forget(self, wish: Wish) -> bool:
        """Drop what is kept of the wish's own address; whether there was anything."""
        return self.cache.drop(self._step(wish, wish.target).name)

    async def load(self, wish: Wish, pace: Pace, account: Account) -> Found:
        """The answer, through redirects that are granted; what was asked is put in the account.

        Raises NoAnswerError; what can be gone on with is then kept.
        """
        if (here := self._expected(wish)) is not None:
            return here
        client, target, been = self._client(wish), wish.target, set[Target]()
        try:
            async with asyncio.timeout(wish.bounds.whole_s):
                while True:
                    been.add(target)
                    account.last = target
                    step = self._step(wish, target)
                    found = await self._persist(step, wish, pace, account, client)
                    if isinstance(found, Found):
                        return found
                    target = self._allowed(found, target, wish, been)
        except TimeoutError:
            raise NoAnswerError(
                f"{target.authority} was not done after {wish.bounds.whole_s:g} s; --deadline S "
                "gives it longer"
            ) from None

    def _step(self, wish: Wish, target: Target) -> _Step:
        said = wish.headers
        if target[:3] != wish.target[:3]:
            # Whoever a redirect leads to is told which form is wanted, and no secrets.
            said = tuple(at for at in said if at[0].lower() in THAT_MATTER)
        return _Step(target, said, self.cache.name(target, said))

    def _expected(self, wish: Wish) -> Found | None:
        """What is expected, if it is here by its name already: then nobody need be asked."""
        if wish.expected is None or wish.expected.kind != "blake3" or wish.again:
            return None
        cid = Cid(Codec.RAW, wish.expected.value)
        if not self._store.has(cid):
            return None
        exchange = self.keeping.exchange(wish.target, (), 200, ())
        exchange = exchange._replace(content=cid, size=self._store.size(cid))
        return Found(exchange, "cache", "digest", self._clock.now_ns())

    def _allowed(self, to: Target, base: Target, wish: Wish, been: set[Target]) -> Target:
        if base.scheme == "https" and to.scheme == "http":
            raise RefusedError(f"{base.authority} redirects from https to http, which is not done")
        if to in been or len(been) > _MOST_REDIRECTS:
            raise NoAnswerError(f"{base.authority} redirects in circles, or too often")
        if wish.hosts.grant(to.host, to.port) is None:
            where = f"{to.host}:{to.port}"
            raise RefusedError(
                f"{base.authority} redirects to {where}, which is not granted; --allow {where} "
                "grants it"
            )
        return to

    async def _persist(
        self, step: _Step, wish: Wish, pace: Pace, account: Account, client: Client
    ) -> Found | Target:
        """The answer of one address, or where it leads: kept, or asked for until it comes."""
        kept = self._usable(step, wish)
        if kept is not None and (wish.offline or (not wish.again and self._is_fresh(kept))):
            return self._from_cache(kept, step)
        if wish.offline:
            raise NoAnswerError(
                f"{self.keeping.shown(step.target)} is not kept here; leave --offline out to ask"
            )
        for attempt in count():
            ask = Ask(self.keeping.shown(step.target))
            account.asks.append(ask)
            try:
                return await self._once(
                    step, wish, client, ask, kept, silence_s=pace.silence(attempt)
                )
            except NoAnswerError as error:
                ask.trouble = self.keeping.words(str(error))
                if not isinstance(error, LostError) or attempt >= pace.retries:
                    raise
                wait_s = error.wait_s
                if wait_s is None:
                    wait_s = min(
                        pace.pause(attempt, self._spread(step, attempt)), wish.bounds.wait_s
                    )
                if wait_s > wish.bounds.wait_s:
                    raise NoAnswerError(
                        f"{error}, and asks to wait {wait_s:,.0f} s; try again then"
                    ) from error
                if ask.status == 304:
                    kept = None  # it confirmed another version than ours
            account.retries += 1
            await self._sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _usable(self, step: _Step, wish: Wish) -> Kept | None:
        kept = self.cache.answer(step.name)
        if kept is None or kept.exchange.content is None or wish.expected is None:
            return kept
        blocks = self._store.get_stream(kept.exchange.content)
        return kept if wish.expected.is_of(blocks) else None

    def _is_fresh(self, kept: Kept) -> bool:
        return is_fresh(kept.exchange, begun_ns=kept.begun_ns, now_ns=self._clock.now_ns())

    def _from_cache(self, kept: Kept, step: _Step) -> Found | Target:
        if kept.exchange.status in _REDIRECTS:
            return target_of(kept.exchange.header("location") or "", step.target)
        return Found(kept.exchange, "cache", "digest", kept.begun_ns)

    def _spread(self, step: _Step, attempt: int) -> float:
        """A number from 0 to 1 that is another in each home."""
        digest = self.keeping.seal(f"{step.name} {attempt}".encode())
        return int.from_bytes(digest[:4], "big") / 0xFFFFFFFF

    async def _once(
        self,
        step: _Step,
        wish: Wish,
        client: Client,
        ask: Ask,
        kept: Kept | None,
        *,
        silence_s: float,
    ) -> Found | Target:
        part = self.cache.part(step.name)
        begun_ns, began = self._clock.now_ns(), self._clock.monotonic_ns()
        # Its own form of bytes: what is unpacked on the way could grow without bounds.
        headers = [("Accept-Encoding", "identity"), ("Connection", "close"), ("Accept", "*/*")]
        own = {name.lower() for name, _ in step.said}
        headers = [*(at for at in headers if at[0].lower() not in own), *step.said]
        headers += _conditions(part, kept)
        async with client.asking(
            step.target, headers, connect_s=_CONNECT_S, silence_s=silence_s
        ) as reply:
            ask.status = reply.status
            ask.latency_s = (self._clock.monotonic_ns() - began) / 1e9
            exchange = self.keeping.exchange(step.target, step.said, reply.status, reply.headers)
            coming = Coming(step.name, reply, exchange, begun_ns, ask)
            if reply.status == 200:
                _refuse_coding(reply)
                return await self._intake.take(coming, wish)
            if reply.status == 206:
                return await self._intake.take(self._further(coming, part), wish)
            if reply.status == 304:
                return self._confirmed(coming, part, kept)
            if reply.status in _REDIRECTS:
                return self._redirect(coming, step)
            if reply.status == 416 and part is not None:
                self.cache.drop_part(step.name)
                raise LostError("has no more of what was begun; started over", wait_s=0)
            raise self._refusal(reply, step.target)

    def _further(self, coming: Coming, part: Kept | None) -> Coming:
        """The answer as the rest of what was begun. Raises where it is not surely that."""
        if part is None:
            raise NoAnswerError("sent a part of something that was asked for whole")
        _refuse_coding(coming.reply)
        span = Span.of(coming.said("content-range"))
        fits = (
            span is not None
            and span.first == part.exchange.size
            and part.total in (None, span.total)
            and is_same_version(part.exchange, coming.exchange)
        )
        if not fits:
            self.cache.drop_part(coming.name)
            raise LostError(
                "sent a part of another version, or another one; started over", wait_s=0
            )
        return coming._replace(part=part, span=span)

    def _confirmed(self, coming: Coming, part: Kept | None, kept: Kept | None) -> Found:
        if part is not None:
            self.cache.drop_part(coming.name)
            raise LostError("confirmed what it had not been asked about; started over", wait_s=0)
        if kept is None or not _conditions(None, kept):
            raise NoAnswerError("said that nothing had changed, and had not been asked that")
        ours, theirs = kept.exchange.header("etag"), coming.exchange.header("etag")
        if ours is not None and theirs is not None and _plain_tag(ours) != _plain_tag(theirs):
            raise LostError("confirmed another version than was asked about", wait_s=0)
        exchange = confirmed(kept.exchange, coming.exchange)
        self.cache.keep_answer(coming.name, Kept(exchange, coming.begun_ns))
        return Found(exchange, "confirmed", "digest", coming.begun_ns)

    def _redirect(self, coming: Coming, step: _Step) -> Target:
        to = coming.said("location")
        if not to:
            raise NoAnswerError("redirects, and does not say where to")
        try:
            target = target_of(to, step.target)
        except UsageError:
            raise RefusedError(
                f"{step.target.authority} redirects to what is no http or https address"
            ) from None
        if self.keeping.may_keep_redirect(coming.reply.headers, target):
            self.cache.keep_answer(step.name, Kept(coming.exchange, coming.begun_ns))
        return target

    def _refusal(self, reply: Reply, target: Target) -> NoAnswerError:
        text = f"{target.authority} answered {reply.status} {phrase(reply.status)}".rstrip()
        if reply.status not in _PASSING:
            return NoAnswerError(text)
        said = next((value for name, value in reply.headers if name.lower() == "retry-after"), None)
        return LostError(text, wait_s=asked_to_wait(said, self._clock.now_ns()))


def _conditions(part: Kept | None, kept: Kept | None) -> list[Header]:
    """What makes the server send less: only the rest, or nothing if nothing changed."""
    if part is not None and (validator := strong_validator(part.exchange)) is not None:
        return [("Range", f"bytes={part.exchange.size}-"), ("If-Range", validator)]
    exchange: Exchange | None = None if kept is None else kept.exchange
    if exchange is None or exchange.status != 200:
        return []
    if etag := exchange.header("etag"):
        return [("If-None-Match", etag)]
    if modified := exchange.header("last-modified"):
        return [("If-Modified-Since", modified)]
    return []


def _plain_tag(tag: str) -> str:
    return tag.strip().removeprefix("W/")


def _refuse_coding(reply: Reply) -> None:
    codings = [value for name, value in reply.headers if name.lower() == "content-encoding"]
    if any(coding.strip().lower() not in ("", "identity") for coding in codings):
        raise NoAnswerError(
            f"sent its bytes as {', '.join(codings)[:40]}, though they were asked for as they are"
        )
