"""One examination for every store: what the protocol promises, nothing else."""

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cid_store.cid import Cid, Codec
from cid_store.encoding import encode
from cid_store.errors import (
    MalformedNodeError,
    MissingObjectError,
    UsageError,
)
from cid_store.local import LocalStore
from cid_store.memory import MemoryStore
from cid_store.nodes import get_node, put_node
from cid_store.remote import CachedStore, RemoteStore
from cid_store.store import Buffer, Store

MAKERS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _path: MemoryStore(),
    "local": LocalStore,
    "remote": lambda path: RemoteStore(path.as_uri()),
    "cached": lambda path: CachedStore(RemoteStore(path.as_uri()), MemoryStore()),
}
SIZES = [0, 1, 63, 64, 65, 4095, 4096, 4097, 70_000, 3 << 20]

MIB = 1 << 20
ABSENT = Cid.of(b"never put")


def random_bytes(size: int) -> bytes:
    """The same bytes at every run, no two stretches of them alike."""
    return np.random.Generator(np.random.PCG64(size)).bytes(size)


def broken_batch(store: Store, bindings: dict[str, bytes]) -> None:
    """A batch that ends with an error after it put and bound everything."""
    with store.batch():
        for name, data in bindings.items():
            store.set_root(name, store.put(data))
        raise KeyError


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with MAKERS[request.param](tmp_path / "store") as opened:
        yield opened


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_got(store: Store, size: int) -> None:
    data = bytes(at % 251 for at in range(size))
    cid = store.put(data)
    assert cid == Cid.of(data)
    assert store.has(cid)
    assert store.get(cid) == data
    view = store.view(cid)
    assert view == data
    assert view.readonly
    assert (view.format, view.ndim, view.nbytes) == ("B", 1, size)


@pytest.mark.parametrize("codec", Codec)
def test_the_codec_is_part_of_the_name(store: Store, codec: Codec) -> None:
    cid = store.put(b"\x80", codec)
    assert cid == Cid.of(b"\x80", codec)
    other = Codec.NODE if codec is Codec.RAW else Codec.RAW
    assert not store.has(Cid.of(b"\x80", other))


@pytest.mark.parametrize(
    "data",
    [
        bytearray(b"abcdef"),
        memoryview(b"abcdef"),
        memoryview(bytearray(b"abcdef")),
        memoryview(b"xxabcdefxx")[2:8],
        memoryview(b"a-b-c-d-e-f-")[::2],
        memoryview(b"abcdef").cast("B", (2, 3)),
        memoryview(b"abcdef").cast("H"),
    ],
)
def test_any_buffer_may_be_put(store: Store, data: Buffer) -> None:
    cid = store.put(data)
    assert cid == Cid.of(b"abcdef")
    assert store.get(cid) == b"abcdef"


def test_a_buffer_that_changes_later_changes_nothing(store: Store) -> None:
    data = bytearray(b"before")
    with store.batch():
        cid = store.put(data)
        data[:] = b"after!"
    assert store.get(cid) == b"before"


def test_many_come_back_in_their_order(store: Store) -> None:
    blobs = [b"%d" % (at % 700) for at in range(1500)]
    names = store.put_many(iter(blobs))
    assert names == [Cid.of(blob) for blob in blobs]
    assert [store.get(name) for name in names] == blobs
    assert store.put_many([]) == []


def test_many_are_got_in_the_order_they_are_asked_for(store: Store) -> None:
    blobs = [b"%d" % at * (at % 90) for at in range(700)]
    blobs += [bytes([at]) * (5 << 20) for at in (1, 2)]
    names = store.put_many(blobs)
    some = [*range(701, 400, -1), 5, 5, *range(0, 400, 3)]
    assert store.get_many(names[at] for at in some) == [blobs[at] for at in some]
    assert store.get_many([]) == []
    with store.batch():
        late = store.put(b"late")
        assert store.get_many([names[9], late]) == [blobs[9], b"late"]
    with pytest.raises(MissingObjectError, match=str(ABSENT)):
        store.get_many([names[0], ABSENT])


class Trickle(io.RawIOBase):
    """A source that gives what it has, never what was asked for: a pipe."""

    def __init__(self, data: bytes, most: int) -> None:
        self._left = memoryview(data)
        self._most = most

    def read(self, size: int = -1) -> bytes:
        part = self._left[: min(size, self._most)]
        self._left = self._left[len(part) :]
        return bytes(part)


class Broken(Trickle):
    """A source that fails where it should end."""

    def read(self, size: int = -1) -> bytes:
        part = super().read(size)
        if not part:
            raise ConnectionError
        return part


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 20 * MIB + 77])
def test_a_stream_is_the_object_its_bytes_are(store: Store, size: int) -> None:
    data = random_bytes(size)
    cid = store.put_stream(Trickle(data, 700_001))
    assert cid == Cid.of(data)
    assert store.has(cid)
    assert store.get(cid) == data
    view = store.view(cid)
    assert (view, view.readonly, view.format) == (data, True, "B")
    parts = list(store.get_stream(cid))
    assert b"".join(parts) == data
    assert all(0 < len(part) <= MIB for part in parts)
    assert store.size(cid) == size
    assert store.get_many([cid]) == [data]
    assert store.put(data) == store.put_stream(io.BytesIO(data)) == cid


@pytest.mark.parametrize("streamed", [True, False])
def test_a_part_is_read_where_it_is(store: Store, streamed: bool) -> None:
    data = random_bytes(3 * MIB + 5)
    cid = store.put_stream(io.BytesIO(data)) if streamed else store.put(data)
    ends = (0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 4, 3 * MIB + 5, 9 * MIB)
    for start in ends:
        for length in (0, 1, 2, MIB, 2 * MIB + 3, 8 * MIB):
            assert store.read(cid, start, length) == data[start : start + length]
    for start, length in ((-1, 1), (0, -1)):
        with pytest.raises(UsageError, match="are counted from 0"):
            store.read(cid, start, length)
    for read in (lambda: store.read(ABSENT, 0, 1), lambda: store.get_stream(ABSENT)):
        with pytest.raises(MissingObjectError, match=str(ABSENT)):
            read()


def test_a_stream_has_the_codec_it_is_given_and_may_be_bound(store: Store) -> None:
    data = encode([b"x" * 100] * 30_000)
    with store.batch():
        cid = store.put_stream(io.BytesIO(data), Codec.NODE)
        store.set_root("a", cid)
        assert b"".join(store.get_stream(cid)) == data
        small = store.put_stream(io.BytesIO(b"small"))
        assert b"".join(store.get_stream(small)) == store.read(small, 0, 9) == b"small"
    assert cid == Cid.of(data, Codec.NODE)
    assert get_node(store, cid) == [b"x" * 100] * 30_000
    assert store.root("a") == cid


def test_a_stream_that_breaks_keeps_no_object(store: Store) -> None:
    data = random_bytes(18 * MIB)
    with pytest.raises(ConnectionError):
        store.put_stream(Broken(data, MIB))
    assert not store.has(Cid.of(data))


def test_what_was_never_put_is_missing(store: Store) -> None:
    assert not store.has(ABSENT)
    for read in (store.get, store.view, store.size):
        with pytest.raises(MissingObjectError, match=str(ABSENT)):
            read(ABSENT)


def test_roots_are_bound_changed_and_unbound(store: Store) -> None:
    one, two = store.put(b"one"), store.put(b"two")
    assert store.root("a") is None
    store.set_root("a", one)
    assert store.root("a") == one
    store.set_root("a", two)
    store.set_root("a", two)
    assert store.root("a") == two
    store.set_root("a", None)
    store.set_root("never bound", None)
    assert store.root("a") is None
    assert list(store.roots()) == []


def test_roots_are_listed_by_prefix_in_order(store: Store) -> None:
    cid = store.put(b"x")
    names = ["run/b", "run/a", "run", "rum", "run0", "", "\0", "run/é", "run/\U0001f37a", "%", "_"]
    for name in names:
        store.set_root(name, cid)
    assert [name for name, _ in store.roots()] == sorted(names)
    assert [name for name, _ in store.roots("run/")] == sorted(names[:2] + names[7:9])
    assert [name for name, _ in store.roots("%")] == ["%"]
    assert [name for name, _ in store.roots("none")] == []


def test_a_root_never_dangles(store: Store) -> None:
    with pytest.raises(MissingObjectError, match="put it first"):
        store.set_root("a", ABSENT)
    assert store.root("a") is None


def test_a_root_name_is_unicode(store: Store) -> None:
    with pytest.raises(MalformedNodeError, match="is not Unicode"):
        store.set_root("\ud800", None)


def test_a_batch_reads_its_own_writes_and_keeps_them(store: Store) -> None:
    with store.batch():
        cid = store.put(b"inside")
        store.set_root("a", cid)
        assert store.has(cid)
        assert store.get(cid) == store.view(cid) == b"inside"
        assert store.root("a") == cid
        assert list(store.roots()) == [("a", cid)]
    assert store.get(cid) == b"inside"
    assert store.root("a") == cid


def test_a_failed_batch_binds_nothing(store: Store) -> None:
    old = store.put(b"old")
    store.set_root("a", old)
    with pytest.raises(KeyError):
        broken_batch(store, {"a": b"new", "b": b"old"})
    assert list(store.roots()) == [("a", old)]
    store.put(b"the store goes on")


def test_batches_nest(store: Store) -> None:
    with store.batch():
        outer = store.put(b"outer")
        with store.batch():
            inner = store.put(b"inner")
            store.set_root("inner", inner)
        with pytest.raises(KeyError):
            broken_batch(store, {"lost": b"lost"})
        assert store.root("inner") == inner
        assert store.root("lost") is None
    assert store.get(outer) == b"outer"
    assert list(store.roots()) == [("inner", inner)]


def test_a_batch_may_be_larger_than_memory_should_hold(store: Store) -> None:
    blobs = [bytes([at]) * (3 << 20) for at in range(14)]
    with store.batch():
        names = [store.put(blob) for blob in blobs]
        assert all(store.has(name) for name in names)
    assert [store.get(name) for name in names] == blobs


def test_a_batch_belongs_to_its_thread(store: Store) -> None:
    with store.batch():
        mine = store.put(b"mine")
        with ThreadPoolExecutor(1) as pool:
            theirs = pool.submit(store.put, b"theirs").result()
            assert not pool.submit(store.has, mine).result()
    assert store.get(theirs) == b"theirs"
    assert store.get(mine) == b"mine"


def test_threads_share_a_store(store: Store) -> None:
    start = threading.Barrier(4)

    def work(worker: int) -> None:
        start.wait(10)
        for at in range(12):
            cid = store.put(b"%d" % (at * 4 + worker % 2))
            assert store.get(cid) == b"%d" % (at * 4 + worker % 2)
            store.set_root(f"{worker}/{at}", cid)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(list(store.roots())) == 48


def test_nodes_go_in_and_come_back(store: Store) -> None:
    leaf = put_node(store, {"value": 1})
    top = put_node(store, [leaf, b"bytes", None])
    assert get_node(store, top) == [leaf, b"bytes", None]
    with pytest.raises(MalformedNodeError, match="names raw bytes"):
        get_node(store, store.put(b"\xc0"))
    with pytest.raises(MalformedNodeError, match="is not canonical"):
        get_node(store, store.put(b"\xcc\x01", Codec.NODE))


def test_a_closed_store_says_so(store: Store) -> None:
    cid = store.put(b"x")
    view = store.view(cid)
    store.close()
    store.close()
    for use in (
        lambda: store.put(b"y"),
        lambda: store.get(cid),
        lambda: store.view(cid),
        lambda: store.has(cid),
        lambda: store.root("a"),
        lambda: list(store.roots()),
        lambda: store.set_root("a", cid),
        lambda: store.batch().__enter__(),
    ):
        with pytest.raises(UsageError, match="is closed; open it again"):
            use()
    assert view == b"x"


def test_closing_inside_a_batch_is_an_error_and_keeps_nothing(store: Store) -> None:
    with contextlib.ExitStack() as batch:
        batch.enter_context(store.batch())
        store.put(b"x")
        store.close()
        with pytest.raises(UsageError, match="is closed"):
            batch.close()


class Model(RuleBasedStateMachine):
    """Any history of puts, roots and batches gives what plain dictionaries give."""

    make: Callable[[Path], Store]

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.store: Store = self.make(Path(self.folder.name) / "store")
        self.objects: dict[Cid, bytes] = {}
        self.bound: dict[str, Cid] = {}

    @rule(data=st.binary(max_size=200), codec=st.sampled_from(Codec))
    def put(self, data: bytes, codec: Codec) -> None:
        cid = self.store.put(data, codec)
        self.objects[cid] = data

    @rule(head=st.binary(max_size=2), size=st.sampled_from([0, MIB, 2 * MIB + 1]))
    def stream(self, head: bytes, size: int) -> None:
        data = head + bytes(size)
        self.objects[self.store.put_stream(io.BytesIO(data))] = data

    @rule(blobs=st.lists(st.binary(max_size=20)), name=st.text(max_size=2), fail=st.booleans())
    def batch(self, blobs: list[bytes], name: str, fail: bool) -> None:
        if fail:
            with pytest.raises(KeyError):
                broken_batch(self.store, dict.fromkeys([name], b"".join(blobs)))
            return
        with self.store.batch():
            names = [self.store.put(blob) for blob in blobs]
            self.store.set_root(name, names[-1] if names else None)
        self.objects.update(zip(names, blobs, strict=True))
        self.bound.pop(name, None)
        if names:
            self.bound[name] = names[-1]

    @rule()
    def reopen(self) -> None:
        if not isinstance(self.store, MemoryStore):
            self.store.close()
            self.store = self.make(Path(self.folder.name) / "store")

    @invariant()
    def agrees(self) -> None:
        assert dict(self.store.roots()) == self.bound
        for cid, data in self.objects.items():
            assert self.store.get(cid) == data
        assert self.store.get_many(self.objects) == list(self.objects.values())

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


class MemoryModel(Model):
    make = staticmethod(MAKERS["memory"])


class LocalModel(Model):
    make = staticmethod(MAKERS["local"])


class RemoteModel(Model):
    make = staticmethod(MAKERS["remote"])


for model in (MemoryModel, LocalModel, RemoteModel):
    model.TestCase.settings = settings(max_examples=12, stateful_step_count=8, deadline=None)
TestMemoryModel = MemoryModel.TestCase
TestLocalModel = pytest.mark.slow(LocalModel.TestCase)
TestRemoteModel = pytest.mark.slow(RemoteModel.TestCase)
