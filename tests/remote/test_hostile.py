"""A web server that lies, breaks off or does not answer: nothing wrong is returned or cached."""

import io
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from obstore.store import HTTPStore

from cid_store.cid import Cid
from cid_store.encoding import encode
from cid_store.errors import (
    CorruptObjectError,
    DamageError,
    InputError,
    MissingObjectError,
    RedoxaError,
    UnavailableError,
)
from cid_store.local import LocalStore
from cid_store.remote import CachedStore, RemoteStore, pull
from tests.cid_store.test_store import ABSENT, random_bytes
from tests.remote.conftest import Harm, Server, honest

MIB = 1 << 20
SMALL = b"small " * 50
LARGE = random_bytes(2 * MIB + 77)
NODE = encode([Cid.of(SMALL), Cid.of(LARGE)])


@pytest.fixture
def filled(remote: RemoteStore) -> RemoteStore:
    """A store with a large object, a small one, and a root over both."""
    remote.put_many([SMALL, LARGE])
    remote.set_root("top", remote.put(NODE, codec=Cid.of(NODE).codec.NODE))
    return remote


@pytest.fixture
def web(server: Server, filled: RemoteStore) -> Iterator[RemoteStore]:
    """The same store as the web server gives it."""
    with RemoteStore(server.url, timeout_s=20, retries=0) as store:
        yield store


def test_a_web_server_is_read(web: RemoteStore, filled: RemoteStore) -> None:
    top = filled.root("top")
    assert top is not None
    assert web.root("top") == top
    assert web.get(top) == NODE
    assert web.get_many([Cid.of(LARGE), Cid.of(SMALL)]) == [LARGE, SMALL]
    assert b"".join(web.get_stream(Cid.of(LARGE))) == LARGE
    assert web.size(Cid.of(LARGE)) == len(LARGE)
    assert web.root("none") is None
    with pytest.raises(MissingObjectError):
        web.get(ABSENT)


def test_of_a_large_object_only_the_chunks_that_are_needed_are_fetched(
    web: RemoteStore, server: Server
) -> None:
    assert web.read(Cid.of(LARGE), MIB + 5, 7) == LARGE[MIB + 5 : MIB + 12]
    chunk = Cid.of(LARGE[MIB : 2 * MIB])
    assert [key for key in server.asked if key.endswith(str(chunk))]
    assert not [key for key in server.asked if key.endswith(str(Cid.of(LARGE[:MIB])))]


def test_a_web_server_is_only_read(web: RemoteStore) -> None:
    for write in (
        lambda: web.put(b"x"),
        lambda: web.put_stream(io.BytesIO(LARGE)),
        lambda: web.set_root("a", Cid.of(SMALL)),
        lambda: web.swap_root("a", None, Cid.of(SMALL)),
    ):
        with pytest.raises(InputError, match="is a web server, and stores there are only read"):
            write()
    with pytest.raises(UnavailableError, match="does not list its roots; name the root you want"):
        web.roots()


def test_a_web_server_gets_no_credentials() -> None:
    # The client would take this address for S3, and sign with what the environment holds.
    with RemoteStore("https://bucket.s3.amazonaws.com/x") as store:
        assert type(store._service._client) is HTTPStore


def test_where_there_is_no_store_it_is_said(server: Server, folder: Path) -> None:
    folder.mkdir()
    with (
        RemoteStore(server.url) as store,
        pytest.raises(InputError, match="there is no Redoxa store at http://127"),
    ):
        store.get(ABSENT)


def flipped(key: str, data: bytes) -> tuple[int, bytes, int]:
    harmed = bytearray(data)
    harmed[len(key) % len(harmed)] ^= 16
    return 200, bytes(harmed), len(data)


def shorter(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 200, data[:-1], len(data) - 1


def broken_off(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 200, data[: len(data) // 2], len(data)


def longer(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 200, data + b"more", len(data) + 4


def swapped(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 200, SMALL[::-1], len(SMALL)


def emptied(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 200, b"", 0


def endless(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 200, data, 1 << 40


def failing(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 500, b"<secret>hunter2</secret>", 24


def forbidden(key: str, data: bytes) -> tuple[int, bytes, int]:
    return 403, b"<secret>hunter2</secret>", 24


def only(part: str, harm: Harm) -> Harm:
    """The harm done to keys of one kind."""
    return lambda key, data: harm(key, data) if key.startswith(part) else honest(key, data)


HARMS = [flipped, shorter, broken_off, longer, swapped, emptied, endless, failing, forbidden]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("part", ["objects", "lists", "roots", "redoxa-store"])
def test_no_lie_is_believed_or_cached(
    server: Server, web: RemoteStore, tmp_path: Path, harm: Harm, part: str
) -> None:
    server.harm = only(part, harm)
    read_all(web, (RedoxaError,))
    with LocalStore(tmp_path / "cache") as local, CachedStore(web, local) as store:
        met = read_all(store, (RedoxaError,))
        assert met or part not in ("objects", "redoxa-store")
        assert all("hunter2" not in str(error) for error in met)
        assert local.verify().ok
        for data in (SMALL, LARGE):
            if local.has(Cid.of(data)):
                assert local.get(Cid.of(data)) == data
        server.harm = honest
        assert read_all(store, ()) == []
        assert local.get(Cid.of(LARGE)) == LARGE


def read_all(store: CachedStore | RemoteStore, expected: tuple[type[Exception], ...]) -> list[str]:
    """Read everything in every way: the right bytes, or an error of those; the errors' words."""
    reads: list[tuple[Callable[[], object], object]] = [
        (lambda: store.root("top"), Cid.of(NODE, Cid.of(NODE).codec.NODE)),
        (lambda: store.get(Cid.of(SMALL)), SMALL),
        (lambda: store.get_many([Cid.of(SMALL), Cid.of(LARGE)]), [SMALL, LARGE]),
        (lambda: store.read(Cid.of(LARGE), MIB, 9), LARGE[MIB : MIB + 9]),
        (lambda: b"".join(store.get_stream(Cid.of(LARGE))), LARGE),
        (lambda: store.view(Cid.of(LARGE)), LARGE),
    ]
    met: list[str] = []
    for read, right in reads:
        try:
            assert read() == right
        except expected as error:
            met.append(str(error))
    return met


@pytest.mark.slow
def test_a_thousand_flipped_bits_are_found(
    server: Server, web: RemoteStore, tmp_path: Path
) -> None:
    random = np.random.Generator(np.random.PCG64(7))
    cid = Cid.of(SMALL)
    with LocalStore(tmp_path / "cache") as local, CachedStore(web, local) as store:
        assert web.root("top")
        for bit in random.integers(0, 8 * len(SMALL), 1000).tolist():
            harmed = bytearray(SMALL)
            harmed[bit // 8] ^= 1 << bit % 8
            server.harm = lambda _key, data, sent=bytes(harmed): (200, sent, len(data))
            with pytest.raises(CorruptObjectError, match=f"{cid} is corrupt at http"):
                store.get(cid)
            assert not local.has(cid)


def test_pulling_from_a_liar_binds_and_keeps_nothing_wrong(
    server: Server, web: RemoteStore, tmp_path: Path
) -> None:
    top = web.root("top")
    assert top is not None
    with LocalStore(tmp_path / "mine") as local:
        server.harm = lambda key, data: (
            flipped(key, data) if len(data) == len(SMALL) else honest(key, data)
        )
        with pytest.raises(DamageError):
            pull(web, local, [top])
        assert not local.has(Cid.of(SMALL))
        server.harm = honest
        assert pull(web, local, [top]).objects == 3
        assert pull(web, local, [top]).moved == 0
        assert local.get_many([Cid.of(SMALL), Cid.of(LARGE)]) == [SMALL, LARGE]


def test_what_is_cached_is_read_without_the_service(
    server: Server, web: RemoteStore, tmp_path: Path
) -> None:
    with LocalStore(tmp_path / "cache") as local, CachedStore(web, local) as store:
        assert store.get_many([Cid.of(SMALL), Cid.of(LARGE)]) == [SMALL, LARGE]
        server.stop()
        assert store.get(Cid.of(SMALL)) == SMALL
        assert b"".join(store.get_stream(Cid.of(LARGE))) == LARGE
        assert store.read(Cid.of(LARGE), MIB, 5) == LARGE[MIB : MIB + 5]
        assert store.size(Cid.of(LARGE)) == len(LARGE)
        assert store.has(Cid.of(SMALL))
        for ask in (lambda: store.root("top"), lambda: store.get(ABSENT)):
            with pytest.raises(UnavailableError, match="cannot be reached; check the address"):
                ask()


def test_damage_in_the_cache_is_made_good_from_the_service(
    web: RemoteStore, tmp_path: Path
) -> None:
    with LocalStore(tmp_path / "cache") as local, CachedStore(web, local) as store:
        store.get(Cid.of(SMALL))
        pack = tmp_path / "cache" / "packs" / "00000001.pack"
        data = pack.read_bytes()
        pack.write_bytes(data.replace(SMALL, SMALL[::-1]))
        with pytest.raises(CorruptObjectError):
            local.get(Cid.of(SMALL))
        assert store.get(Cid.of(SMALL)) == SMALL
        assert local.get(Cid.of(SMALL)) == SMALL


def test_a_cache_that_takes_no_more_stands_in_nobodys_way(web: RemoteStore, tmp_path: Path) -> None:
    LocalStore(tmp_path / "cache").close()
    with (
        LocalStore(tmp_path / "cache", read_only=True) as local,
        CachedStore(web, local) as store,
    ):
        assert read_all(store, ()) == []
        assert not local.has(Cid.of(SMALL))


def test_a_service_that_nobody_runs_and_one_that_never_answers(
    nobody: str, server: Server, filled: RemoteStore
) -> None:
    with (
        RemoteStore(nobody, retries=0) as store,
        pytest.raises(UnavailableError, match="cannot be reached; check the address and the net"),
    ):
        store.get(ABSENT)

    def waiting(key: str, data: bytes) -> tuple[int, bytes, int]:
        server.goes_on.wait(20)
        return honest(key, data)

    server.harm = waiting
    with (
        RemoteStore(server.url, timeout_s=0.2, retries=0) as store,
        pytest.raises(UnavailableError, match=r"did not answer within 0\.2 s; try again later"),
    ):
        store.get(ABSENT)


class Plain(BaseHTTPRequestHandler):
    """As much of S3 as a service without conditional writes has."""

    values: ClassVar[dict[str, bytes]] = {}
    puts: ClassVar[list[tuple[str, bool]]] = []

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        conditional = "If-None-Match" in self.headers or "If-Match" in self.headers
        self.puts.append((self.path, conditional))
        if not conditional:
            self.values[self.path] = data
        self.answer(501 if conditional else 200, b"")

    def do_GET(self) -> None:
        data = self.values.get(self.path)
        self.answer(404 if data is None else 200, data or b"")

    do_HEAD = do_GET  # noqa: N815 - the base class names it

    def answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_where_no_write_is_conditional_the_last_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Plain) as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{service.server_port}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        try:
            with RemoteStore("s3://bucket/x", retries=0) as store:
                one, two = store.put(b"one"), store.put(b"two")
                assert store.swap_root("a", None, one)
                assert not store.swap_root("a", None, two)
                assert store.swap_root("a", one, two)
                assert store.root("a") == two
                assert store.get_many([one, two]) == [b"one", b"two"]
                before = len(Plain.puts)
                assert store.put(b"one") == one
                assert [conditional for _, conditional in Plain.puts[before:]] == [True]
        finally:
            service.shutdown()
            thread.join()
