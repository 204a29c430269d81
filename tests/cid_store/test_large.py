"""Large objects: read by one thread while another hashes, whatever the system has to offer."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cid_store import disk, pages, reading
from cid_store.cid import Cid
from cid_store.errors import CorruptObjectError, UnavailableError
from cid_store.local import LocalStore
from tests.cid_store.conftest import pack_of

SIZE = (1 << 20) + 12_345  # read in one go below 1 MiB
BLOB = os.urandom(SIZE)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PARALLEL_BYTES", 1 << 20)
    monkeypatch.setattr(reading, "_STEP_BYTES", 100_000)


@pytest.mark.parametrize("large_pages", [True, False])
def test_a_large_object_is_got_as_it_was_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large_pages: bool
) -> None:
    if not large_pages:
        monkeypatch.setattr(pages, "_madvise", lambda: None)
    with LocalStore(tmp_path / "store") as store:
        whole, cut = store.put(BLOB), store.put_stream(io.BytesIO(BLOB[::-1]))
        assert store.get(whole) == BLOB
        assert store.get(cut) == BLOB[::-1]


@pytest.mark.parametrize("size", [0, 1, 4096, 8191, 8192, 8193, 5 << 20])
def test_advice_about_memory_changes_none_of_it(size: int) -> None:
    data = os.urandom(size)
    value = io.BytesIO(data)
    with value.getbuffer() as room:
        pages.prefer_large_pages(room)
    assert value.getvalue() == data


def test_a_flipped_bit_is_found_in_any_step(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store") as store:
        cid = store.put(BLOB)
        for at in (0, 555_555, SIZE - 1):
            with pack_of(store.path).open("r+b") as file:
                file.seek(128 + at)
                file.write(bytes([BLOB[at] ^ 1]))
            with pytest.raises(CorruptObjectError):
                store.get(cid)
            with pack_of(store.path).open("r+b") as file:
                file.seek(128 + at)
                file.write(BLOB[at : at + 1])
        assert store.get(cid) == BLOB


def test_a_read_that_fails_half_way_ends_the_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = disk.read_into, 0

    def failing(fd: int, room: memoryview, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, room, offset)

    with LocalStore(tmp_path / "store") as store:
        cid = store.put(BLOB)
        monkeypatch.setattr(disk, "read_into", failing)
        with pytest.raises(UnavailableError, match="Input/output error"):
            store.get(cid)
        assert store.get(cid) == BLOB


def test_a_large_object_is_got_while_the_interpreter_ends(tmp_path: Path) -> None:
    blob = bytes(9 << 20)
    with LocalStore(tmp_path / "store") as store:
        cid = store.put(blob)
    assert cid == Cid.of(blob)
    code = (
        "import atexit, sys\n"
        "from cid_store.cid import Cid\n"
        "from cid_store.local import LocalStore\n"
        "store = LocalStore(sys.argv[1])\n"
        "atexit.register(lambda: print(len(store.get(Cid.parse(sys.argv[2])))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "store"), str(cid)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (f"{len(blob)}\n", "")
