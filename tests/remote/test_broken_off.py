"""A transfer that broke off: what arrived stays, and the next one moves only the rest."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid
from cid_store.errors import UnavailableError
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from cid_store.remote import CachedStore, RemoteStore, layout, pull, push
from cid_store.remote.service import Service
from cid_store.remote.transfer import Parts
from tests.cid_store.test_store import random_bytes
from tests.remote.conftest import Server, honest

LARGE = random_bytes(40 * CHUNK_BYTES + 9)
CHUNKS = [Cid.of(LARGE[at : at + CHUNK_BYTES]) for at in range(0, len(LARGE), CHUNK_BYTES)]


@pytest.fixture
def created(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys whose values were sent."""
    keys: list[str] = []
    create = Service.create

    def spy(service: Service, key: str, data: bytes) -> bool:
        keys.append(key)
        return create(service, key, data)

    monkeypatch.setattr(Service, "create", spy)
    return keys


def broken(parts: int) -> Iterator[bytes]:
    for at in range(parts):
        yield LARGE[at * CHUNK_BYTES :][:CHUNK_BYTES]
    raise UnavailableError("the cable is out")


def test_a_push_sends_only_the_chunks_that_did_not_arrive(
    remote: RemoteStore, created: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match="the cable is out"):
        remote.put_stream(Parts(broken(30)))
    with RemoteStore(remote.url) as again, LocalStore(tmp_path / "mine") as mine:
        cid = mine.put_stream(Parts(iter([LARGE])))
        assert not again.has(cid)
        sent = set(created)
        created.clear()
        assert push(mine, again, [cid]).moved == 1
        assert not sent & set(created)
        arrived = {layout.object_key(chunk) for chunk in CHUNKS[:30]}
        assert set(created) == {layout.object_key(chunk) for chunk in CHUNKS} - (sent & arrived) | {
            layout.list_key(cid)
        }
        assert again.get(cid) == LARGE


def test_what_is_there_in_another_length_is_sent_again(remote: RemoteStore, folder: Path) -> None:
    cid = remote.put(LARGE)
    chunk = folder / layout.object_key(CHUNKS[3])
    chunk.write_bytes(chunk.read_bytes()[:-1])
    (folder / layout.list_key(cid)).unlink()
    with RemoteStore(remote.url) as again:
        assert again.put_stream(Parts(iter([LARGE]))) == cid
        assert again.get(cid) == LARGE


@pytest.fixture
def web(server: Server, remote: RemoteStore) -> Iterator[RemoteStore]:
    remote.put(LARGE)
    with RemoteStore(server.url, timeout_s=20, retries=0) as store:
        yield store


def break_off(server: Server) -> None:
    """Let one of the last chunks not come, and ask for nothing yet."""
    lost = layout.object_key(CHUNKS[37])
    server.harm = lambda key, data: honest(key, data) if key != lost else (500, b"", 0)


@pytest.mark.parametrize("through_a_cache", [False, True])
def test_a_pull_fetches_only_the_chunks_that_are_not_here(
    server: Server, web: RemoteStore, tmp_path: Path, *, through_a_cache: bool
) -> None:
    cid = Cid.of(LARGE)
    with LocalStore(tmp_path / "mine") as mine:

        def fetch() -> None:
            if through_a_cache:
                assert CachedStore(web, mine).get(cid) == LARGE
            else:
                assert pull(web, mine, [cid]).moved == 1

        break_off(server)
        with pytest.raises(UnavailableError):
            fetch()
        assert not mine.has(cid)
        kept = [chunk for chunk in CHUNKS if mine.has(chunk)]
        assert len(kept) >= 16
        damage(tmp_path / "mine", LARGE[:64])
        server.harm = honest
        server.asked.clear()
        fetch()
        asked = set(server.asked)
        assert layout.object_key(CHUNKS[0]) in asked, "it was damaged here"
        assert not asked & {layout.object_key(chunk) for chunk in kept[1:]}
        assert mine.get(cid) == LARGE
        assert mine.verify().ok


def damage(store: Path, begins: bytes) -> None:
    """Change one byte of the object that begins so."""
    for pack in (store / "packs").iterdir():
        data = pack.read_bytes()
        if (at := data.find(begins)) >= 0:
            with pack.open("r+b") as file:
                file.seek(at + 9)
                file.write(bytes([data[at + 9] ^ 1]))


@pytest.mark.long
def test_killed_at_any_moment_the_next_one_finishes(tmp_path: Path) -> None:
    url = (tmp_path / "there").as_uri()
    with LocalStore(tmp_path / "mine" / "store") as mine:
        blobs = mine.put_many(b"%d" % at for at in range(500))
        large = mine.put_stream(Parts(iter([LARGE])))
        mine.set_root("top", put_node(mine, [*blobs, large]))
        top = mine.root("top")
    for verb, home in (("push", "mine"), ("pull", "yours")):
        words = [sys.executable, "-m", "redoxa", "store", verb, url, "top"]
        words += ["--quiet", "--home", str(tmp_path / home)]
        rounds = 6 if os.environ.get("REDOXA_LONG") == "bounded" else 40
        for at in range(rounds):
            with subprocess.Popen(words) as process:
                try:
                    process.wait(0.2 + 0.8 * at / rounds)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
        subprocess.run(words, check=True, timeout=60)
    with LocalStore(tmp_path / "yours" / "store") as yours, RemoteStore(url) as there:
        assert yours.root("top") == there.root("top") == top
        assert yours.get(large) == LARGE
        assert yours.get_many(blobs) == [b"%d" % at for at in range(500)]
        assert yours.verify().ok
        assert there.lacks({cid: yours.size(cid) for cid in (*blobs, large)}, check=True) == []
