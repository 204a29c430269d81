"""A home that loads from a real server on loopback, without waiting between tries."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cid_store.cid import Cid
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.fetching.client import Client
from ring2_orchestrator.fetching.wish import Bounds, Wish
from ring2_orchestrator.home import Home
from ring2_orchestrator.net.address import Resolver
from ring2_orchestrator.probing import Loaded, open_fetcher, probe_network
from tests.net.server import Site, serving

BEGUN_NS = 1_700_000_000 * 10**9


class Loader:
    """Loads into one home; notes how long it would have waited."""

    def __init__(self, home: Home, site: Site) -> None:
        self.home, self.site = home, site
        self.waits: list[float] = []
        self.resolve: Resolver | None = None

    async def probe(self, path: str, **options: Any) -> Loaded:
        fetcher = open_fetcher(self.home)

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        fetcher._sleep = sleep
        if self.resolve is not None:
            fetcher._client = self._client
        bounds = Bounds(silence_s=5.0, retries=2)._replace(**options.pop("bounds", {}))
        url = path if "://" in path else self.site.url(path)
        options.setdefault("allow", [self.site.host])
        wish = Wish.of(url, bounds=bounds, **options)
        return await probe_network(self.home, wish, fetcher)

    def _client(self, wish: Wish) -> Client:
        return Client(wish.hosts, resolve=self.resolve)

    def load(self, path: str, **options: Any) -> Loaded:
        return asyncio.run(self.probe(path, **options))

    def bytes_of(self, loaded: Loaded) -> bytes:
        cid = loaded.probe.cid
        assert isinstance(cid, Cid)
        return self.home.store.get(cid)

    def kept_text(self) -> bytes:
        """Every byte of the home's files."""
        files = (path for path in self.home.path.rglob("*") if path.is_file())
        return b"\n".join(path.read_bytes() for path in files)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(wall_ns=BEGUN_NS)


@pytest.fixture
def loader(tmp_path: Path, site: Site, clock: ManualClock) -> Iterator[Loader]:
    with Home(tmp_path / "home", clock=clock) as home:
        yield Loader(home, site)
