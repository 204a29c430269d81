"""Whether kept answers still hold is decided in bounded time, whatever a server does."""

from collections.abc import Iterator

import pytest

from ring2_orchestrator.net.exchange import Exchange, Key
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.upstream import Limits
from ring2_orchestrator.net.validation import differences
from tests.net.server import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.mark.parametrize("path", ["/informs", "/drips", "/endless", "/stalls"])
def test_nobody_holds_up_a_decision(site: Site, path: str) -> None:
    was = Exchange(
        Key("GET", site.url(path), (), b""),
        credentials=False,
        status=200,
        reason="OK",
        headers=(),
        content=None,
        size=1 << 40,
    )
    limits = Limits(connect_s=5, check_s=0.5)
    (found,) = differences([was], Hosts.of([site.host]), limits, begun_ns=0, now_ns=1)
    assert "nothing came for too long" in found.now or "did not end in time" in found.now
