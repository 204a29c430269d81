"""Probes of both kinds: a script that is run or reused, an address that is loaded or reused."""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import BinaryIO, NamedTuple

from cid_store.cid import Cid
from ring2_orchestrator.fetching import entering
from ring2_orchestrator.fetching.fetcher import Fetcher
from ring2_orchestrator.fetching.keeping import Keeping
from ring2_orchestrator.fetching.loaded import Account, Found
from ring2_orchestrator.fetching.pace import Pace, Past, jitter
from ring2_orchestrator.fetching.wish import Wish
from ring2_orchestrator.home import Home
from ring2_orchestrator.net.credentials import Stripper
from ring2_orchestrator.net.errors import NoAnswerError
from ring2_orchestrator.probe import Probe, Realm
from ring2_orchestrator.report import seconds_text

_SAID = {
    "network": "loaded",
    "resumed": "loaded, going on from where it broke off",
    "confirmed": "its server confirmed what is kept",
    "cache": "kept, and nobody was asked",
}


class Loaded(NamedTuple):
    """A probe of an address, with what a caller may need besides."""

    probe: Probe
    file: BinaryIO | None = None  # the bytes, where they may not be kept; close it
    checked: str = ""
    source: str = ""


def probe_local(home: Home, script: str, arguments: Sequence[str]) -> Probe:
    """Run a script recorded, or reuse its results. Raises where it cannot be run."""
    from ring2_orchestrator.runs.execute import execute  # noqa: PLC0415 - start-up
    from ring2_orchestrator.runs.script import script_command  # noqa: PLC0415 - start-up

    result = execute(script_command(script, arguments), home=home)
    return Probe(
        target=script,
        realm=Realm.UMBRA if result.trace is None else Realm.ILLUMINATED,
        cid=result.trace,
        exit_code=result.exit_code,
        reused=result.reused,
        latency_s=result.wall_s,
        reason=result.message,
        entry=result.seq,
        retries=result.attempt - 1,
        provenance=(result.verdict,),
    )


def open_fetcher(home: Home) -> Fetcher:
    """What loads for a home, by its rules on secrets."""
    from ring2_orchestrator.runs.secrets import Secrets  # noqa: PLC0415 - start-up
    from ring2_orchestrator.runs.surroundings import EnvironmentKey  # noqa: PLC0415 - start-up

    seal: Callable[[bytes], bytes] = EnvironmentKey(home.path).seal
    secrets = Secrets.of(home.path, os.environ, seal)
    keeping = Keeping(
        Stripper(secrets.is_variable), seal, secrets.hidden, secrets.found_in,
        secrets.found_in_stream,
    )  # fmt: skip
    return Fetcher(home.store, keeping, clock=home.clock, folder=home.path)


class _Load(NamedTuple):
    """One load, as far as it is known before it ends."""

    home: Home
    fetcher: Fetcher
    wish: Wish
    past: Past
    account: Account

    def probe(
        self,
        realm: Realm,
        reason: str,
        *,
        cid: Cid | None,
        size: int,
        exit_code: int = 0,
        source: str = "",
        checked: str = "",
    ) -> Probe:
        """What came of it, entered in the ledger."""
        account, url = self.account, self.fetcher.keeping.shown(self.wish.target)
        latencies = [ask.latency_s for ask in account.asks if ask.latency_s is not None]
        steps = [
            f"{ask.url} {'no answer' if ask.status is None else ask.status}" for ask in account.asks
        ]
        entry = entering.enter(
            self.home.ledger,
            url=url,
            realm=realm.value,
            cid=cid,
            size_bytes=size,
            source=source,
            checked=checked,
            reason=reason,
            account=account,
        )
        return Probe(
            target=url,
            realm=realm,
            cid=cid,
            exit_code=exit_code,
            reused=source in ("cache", "confirmed"),
            latency_s=latencies[-1] if latencies else 0.0,
            reason=reason,
            entry=entry,
            jitter_s=jitter([*reversed(latencies), *self.past.latencies_s]),
            size_bytes=size,
            moved_bytes=account.moved_bytes,
            retries=account.retries,
            provenance=(*(steps or ["store"]), f"checked by {checked}" if checked else "not had"),
        )

    def done(self, found: Found) -> Loaded:
        """The answer came, or was kept."""
        reason = _SAID[found.source]
        if found.source == "cache" and self.wish.offline:
            age_s = max(0.0, (self.home.clock.now_ns() - found.begun_ns) / 1e9)
            reason += f", last asked {seconds_text(age_s)} ago"
        if found.why_not_kept:
            reason += f", and not kept: {found.why_not_kept}"
        probe = self.probe(
            Realm.UMBRA if found.content is None else Realm.ILLUMINATED,
            reason,
            cid=found.content,
            size=found.exchange.size,
            source=found.source,
            checked=found.checked,
        )
        return Loaded(probe, found.file, found.checked, found.source)

    def failed(self, reason: str, exit_code: int) -> Loaded:
        """It is not to be had, or not wholly; the next load goes on from what came."""
        last = self.account.last
        part = None if last is None else self.fetcher.part(self.wish, last)
        probe = self.probe(
            Realm.UMBRA if part is None else Realm.PENUMBRA,
            self.fetcher.keeping.words(reason),
            cid=None if part is None else part.exchange.content,
            size=0 if part is None else part.exchange.size,
            exit_code=exit_code,
        )
        return Loaded(probe)


async def probe_network(home: Home, wish: Wish, fetcher: Fetcher | None = None) -> Loaded:
    """Load an address; whatever comes of it is entered in the ledger."""
    fetcher = open_fetcher(home) if fetcher is None else fetcher
    past = entering.past_of(home.ledger, wish.target.host) if home.has_ledger else Past()
    pace = Pace.of(past, silence_s=wish.bounds.silence_s, retries=wish.bounds.retries)
    load = _Load(home, fetcher, wish, past, Account())
    try:
        found = await fetcher.load(wish, pace, load.account)
    except NoAnswerError as error:
        return load.failed(str(error), error.exit_code)
    except (asyncio.CancelledError, KeyboardInterrupt):
        load.failed("interrupted", 130)
        raise
    return load.done(found)
