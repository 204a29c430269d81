"""Collecting garbage: in every store what is needed stays, what is not goes when it is old."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store.cid import Cid, Codec
from cid_store.errors import (
    MissingObjectError,
)
from cid_store.local import LocalStore
from cid_store.memory import MemoryStore
from cid_store.nodes import put_node
from tests.cid_store.collecting import (
    Collectable,
    gone,
)
from tests.cid_store.test_store import MIB, random_bytes

MAKERS: dict[str, Callable[[Path], Collectable]] = {
    "memory": lambda _path: MemoryStore(),
    "local": LocalStore,
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Collectable]:
    with MAKERS[request.param](tmp_path / "store") as opened:
        yield opened


def test_what_roots_lead_to_stays_and_the_rest_goes(store: Collectable) -> None:
    leaf, other, lone = (store.put(b"leaf %d" % at) for at in range(3))
    middle = put_node(store, {"leaf": leaf, "list": [[other]]})
    top = put_node(store, [middle])
    lone_top = put_node(store, [lone, middle])
    no_node = store.put(b"\xcc\x01", Codec.NODE)  # bytes that are no node link to nothing
    store.set_root("top", top)
    store.set_root("odd", no_node)
    store.gc(grace_s=0)
    assert gone(store, [leaf, other, middle, top, no_node]) == [False] * 5
    assert gone(store, [lone, lone_top]) == [True, True]
    with pytest.raises(MissingObjectError, match="put it"):
        store.get(lone)
    assert store.get(store.put(b"leaf 2")) == b"leaf 2"
    store.set_root("top", None)
    store.gc(grace_s=0)
    assert gone(store, [leaf, other, middle, top, no_node]) == [True] * 4 + [False]
    assert dict(store.roots()) == {"odd": no_node}


def test_what_the_caller_names_stays(store: Collectable) -> None:
    leaf = store.put(b"leaf")
    batch = put_node(store, [leaf])
    absent = Cid.of(b"absent")
    store.gc(live=lambda: [batch, absent], grace_s=0)
    assert gone(store, [leaf, batch]) == [False, False]
    store.gc(grace_s=0)
    assert gone(store, [leaf, batch]) == [True, True]


def test_what_was_put_lately_stays_with_all_it_links_to(store: Collectable) -> None:
    leaf = store.put(b"leaf")
    top = put_node(store, [leaf])
    store.gc()
    assert gone(store, [leaf, top]) == [False, False]


def test_a_stream_is_kept_or_dropped_with_its_chunks(store: Collectable) -> None:
    shared, own = random_bytes(2 * MIB), random_bytes(2 * MIB + 1)
    kept = store.put_stream(io.BytesIO(shared + b"kept"))
    lost = store.put_stream(io.BytesIO(shared + own))
    store.set_root("kept", kept)
    store.gc(grace_s=0)
    assert store.get(kept) == shared + b"kept"
    assert b"".join(store.get_stream(kept)) == shared + b"kept"
    assert not store.has(lost)
    store.set_root("kept", None)
    store.gc(grace_s=0)
    assert not store.has(kept)


@settings(max_examples=25, deadline=None)
@given(
    edges=st.lists(st.lists(st.integers(0, 11), max_size=3), min_size=1, max_size=12),
    bound=st.sets(st.integers(0, 11), max_size=3),
    again=st.booleans(),
)
@pytest.mark.parametrize("maker", MAKERS)
def test_exactly_what_can_be_reached_is_left(
    maker: str,
    edges: list[list[int]],
    bound: set[int],
    again: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Any graph of nodes that link to earlier ones, any roots."""
    with MAKERS[maker](tmp_path_factory.mktemp("gc") / "store") as store:
        cids: list[Cid] = []
        links: list[list[int]] = []
        for at, targets in enumerate(edges):
            links.append([target for target in targets if target < at])
            cids.append(put_node(store, [at, *(cids[target] for target in links[at])]))
        for at in bound:
            if at < len(cids):
                store.set_root(f"{at}", cids[at])
        reached: set[int] = set()
        waiting = [at for at in bound if at < len(cids)]
        while waiting:
            at = waiting.pop()
            reached.add(at)
            waiting += links[at]
        for _ in range(1 + again):
            store.gc(grace_s=0)
            assert gone(store, cids) == [at not in reached for at in range(len(cids))]
