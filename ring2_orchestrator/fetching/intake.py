"""Takes the body of an answer in, whole or from where another broke off, and checks it."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from cid_store.store import Store
from ring2_orchestrator.fetching.cache import Cache, Kept
from ring2_orchestrator.fetching.client import LostError, Reply
from ring2_orchestrator.fetching.digests import blocks_of, told
from ring2_orchestrator.fetching.keeping import Keeping
from ring2_orchestrator.fetching.loaded import Ask, Found
from ring2_orchestrator.fetching.ranges import Span, strong_validator
from ring2_orchestrator.fetching.wish import Wish
from ring2_orchestrator.net.credentials import Header
from ring2_orchestrator.net.errors import BrokenAnswerError, NoAnswerError
from ring2_orchestrator.net.exchange import Exchange


class Coming(NamedTuple):
    """An answer whose head has come: all of a body, or the `span` that goes on from `part`."""

    name: str  # of the request, in the cache
    reply: Reply
    exchange: Exchange
    begun_ns: int
    ask: Ask
    part: Kept | None = None
    span: Span | None = None

    @property
    def total(self) -> int | None:
        """How long the whole is, as far as the server said."""
        if self.span is not None:
            return self.span.total
        if self.said("transfer-encoding") is not None:
            return None
        said = self.said("content-length")
        return int(said) if said is not None else None

    def said(self, name: str) -> str | None:
        """A header of the reply, which may be one that is not kept."""
        return _field(self.reply.headers, name)

    @property
    def version(self) -> Exchange:
        """What says which version the bytes are of."""
        return self.exchange if self.part is None else self.part.exchange

    @property
    def first_ns(self) -> int:
        """A time before the first of its bytes was asked for."""
        return self.begun_ns if self.part is None else self.part.begun_ns


class Intake:
    """Bodies of answers, first in a file without a name and then in the store."""

    def __init__(self, store: Store, cache: Cache, keeping: Keeping, folder: Path) -> None:
        self._store, self._cache, self._keeping, self._folder = store, cache, keeping, folder

    async def take(self, coming: Coming, wish: Wish) -> Found:
        """The whole, checked, and kept if it may be.

        Raises LostError where it broke off (what came is then kept as a part, if it can be gone on
        with) and NoAnswerError where it is not to be had like this.
        """
        limit = wish.bounds.size_bytes
        if (coming.total or 0) > limit:
            raise NoAnswerError(_too_large(f"has {coming.total:,} bytes", limit))
        file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
        try:
            await self._fill(file, coming, wish)
            checked = self._check(file, coming, wish)
            return await self._keep(file, coming, checked)
        except BaseException:
            file.close()
            raise

    async def _fill(self, file: BinaryIO, coming: Coming, wish: Wish) -> None:
        self._write_part(file, coming.part)
        try:
            await self._pour(file, coming, wish)
        except NoAnswerError:
            raise
        except BrokenAnswerError as error:
            size = file.tell()
            self._keep_part(file, coming, size)
            of = "" if coming.total is None else f" of {coming.total:,}"
            raise LostError(f"broke off after {size:,}{of} bytes ({error})") from error
        except BaseException:
            # Interrupted, or out of time: what came is not to come twice.
            self._keep_part(file, coming, file.tell())
            raise

    async def _pour(self, file: BinaryIO, coming: Coming, wish: Wish) -> None:
        """Write what comes behind what is there, and hold the server to what it said."""
        size = file.tell()
        async for block in coming.reply.body:
            size += len(block)
            coming.ask.moved_bytes += len(block)
            if size > wish.bounds.size_bytes:
                raise NoAnswerError(_too_large("does not end", wish.bounds.size_bytes))
            file.write(block)
            wish.progress(size, coming.total)
        if coming.span is not None and size != coming.span.last + 1:
            self._cache.drop_part(coming.name)
            raise LostError("sent another part than it said; started over", wait_s=0)
        if coming.total is not None and size != coming.total:
            raise BrokenAnswerError("only a part was sent")

    def _write_part(self, file: BinaryIO, part: Kept | None) -> int:
        if part is None or part.exchange.content is None:
            return 0
        file.writelines(self._store.get_stream(part.exchange.content))
        return part.exchange.size

    def _keep_part(self, file: BinaryIO, coming: Coming, size: int) -> None:
        version, total = coming.version, coming.total
        refuses = (version.header("accept-ranges") or "").strip().lower() == "none"
        if not size or refuses or strong_validator(version) is None or size == total:
            return
        if self._keeping.why_not(coming.reply.headers, version, file):
            return
        file.seek(0)
        begun = version._replace(content=self._store.put_stream(file), size=size)
        self._cache.keep_part(coming.name, Kept(begun, coming.first_ns, total))

    def _check(self, file: BinaryIO, coming: Coming, wish: Wish) -> str:
        """By what the whole was checked. Raises where it is not what it should be."""
        served = told(coming.exchange.header("repr-digest"))
        for digest in served:
            if not digest.is_of(blocks_of(file)):
                self._cache.drop_part(coming.name)
                raise LostError(f"is not what its server's {digest.kind} digest says", wait_s=0)
        if wish.expected is not None and not wish.expected.is_of(blocks_of(file)):
            self._cache.drop_part(coming.name)
            if coming.part is not None:
                raise LostError("put together, is not what was expected; started over", wait_s=0)
            raise NoAnswerError(
                f"is not what was expected: it has another {wish.expected.kind} digest, and "
                "nothing of it was kept"
            )
        if served or wish.expected is not None:
            return "digest"
        if coming.total is not None:
            return "length"
        pieces = coming.said("transfer-encoding") is not None
        return "end" if pieces else "nothing"

    async def _keep(self, file: BinaryIO, coming: Coming, checked: str) -> Found:
        size, part = file.seek(0, 2), coming.part
        exchange = coming.version._replace(size=size)
        found = Found(
            exchange,
            "network" if part is None else "resumed",
            checked,
            coming.first_ns,
            resumed_from=0 if part is None else part.exchange.size,
        )
        found.why_not_kept = self._keeping.why_not(coming.reply.headers, exchange, file)
        file.seek(0)
        if found.why_not_kept:
            self._cache.drop_part(coming.name)
            found.file = file
            return found
        # In a thread: other loads go on while a long file is hashed and written.
        content = await asyncio.to_thread(self._store.put_stream, file)
        file.close()
        found.exchange = exchange._replace(content=content)
        self._cache.keep_answer(coming.name, Kept(found.exchange, coming.first_ns))
        return found


def _too_large(what: str, limit: int) -> str:
    return f"{what}, and {limit:,} are taken at most; --max-bytes N takes more"


def _field(headers: Sequence[Header], name: str) -> str | None:
    return next((value for at, value in headers if at.lower() == name), None)
