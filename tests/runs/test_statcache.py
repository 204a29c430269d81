"""A remembered digest is given only where the file cannot have changed since."""

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.clock import ManualClock, SystemClock
from ring2_orchestrator.runs import statcache
from ring2_orchestrator.runs.statcache import (
    COARSE_RACY_NS,
    RACY_NS,
    Aspect,
    Stamp,
    StatCache,
    UnstableFileError,
    hash_file,
    is_settled,
    stamp_of,
)

LATER_NS = 10_000_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    return path


def much_later() -> ManualClock:
    """A clock by which every file of this test changed long ago."""
    return ManualClock(SystemClock().now_ns() + LATER_NS)


def digest(data: bytes) -> bytes:
    return blake3(data).digest()


def key(path: Path) -> bytes:
    return Aspect.CONTENT + os.fsencode(path)


def test_what_settled_is_remembered_across_processes(tmp_path: Path, file: Path) -> None:
    first = StatCache(tmp_path / "stat.db", clock=much_later())
    assert first.content(os.fsencode(file)) == digest(b"one")
    first.save()
    second = StatCache(tmp_path / "stat.db", clock=much_later())
    stamp = stamp_of(file.stat())
    assert second.find(Aspect.CONTENT, os.fsencode(file), stamp) is None, "not loaded yet"
    second.load([key(file)])
    assert second.find(Aspect.CONTENT, os.fsencode(file), stamp) == digest(b"one")
    assert second.find(Aspect.NAMES, os.fsencode(file), stamp) is None


def test_only_the_owner_may_see_what_was_read(tmp_path: Path, file: Path) -> None:
    path = tmp_path / "stat.db"
    for left_by_an_older_version in (False, True):
        if left_by_an_older_version:
            path.chmod(0o644)
        cache = StatCache(path, clock=much_later())
        cache.remember(Aspect.CONTENT, os.fsencode(file), stamp_of(file.lstat()), bytes(32))
        cache.save()
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_change_within_one_tick_at_the_same_size_is_seen(tmp_path: Path, file: Path) -> None:
    """The racy case: times and size stay, and only the content differs."""
    status = file.stat()
    clock = ManualClock(max(status.st_mtime_ns, status.st_ctime_ns) + RACY_NS)
    cache = StatCache(tmp_path / "stat.db", clock=clock)
    assert cache.content(os.fsencode(file), status) == digest(b"one")
    with file.open("r+b") as again:
        again.write(b"two")
    # The stamp that a file system with a slow clock would show for the new content.
    assert cache.content(os.fsencode(file), status) == digest(b"two")
    cache.save()
    assert not (tmp_path / "stat.db").exists(), "nothing that may be wrong is kept"


@pytest.mark.parametrize("part", Stamp._fields)
def test_any_difference_of_the_stamp_is_another_content(part: str, file: Path) -> None:
    cache = StatCache(None, clock=much_later())
    stamp = stamp_of(file.stat())
    cache.remember(Aspect.CONTENT, b"/p", stamp, digest(b"one"))
    assert cache.find(Aspect.CONTENT, b"/p", stamp) == digest(b"one")
    other = stamp._replace(**{part: getattr(stamp, part) + 1})
    assert cache.find(Aspect.CONTENT, b"/p", other) is None


def test_an_edit_that_puts_the_time_back_is_seen(file: Path) -> None:
    cache = StatCache(None, clock=much_later())
    before = file.stat()
    assert cache.content(os.fsencode(file)) == digest(b"one")
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert cache.content(os.fsencode(file)) == digest(b"two")


@given(
    mtime_ns=st.integers(0, 2**62), ctime_ns=st.integers(0, 2**62), age_ns=st.integers(-5, 2**33)
)
def test_settled_means_older_than_the_clock_is_coarse(
    mtime_ns: int, ctime_ns: int, age_ns: int
) -> None:
    stamp = Stamp(1, 1, 1, mtime_ns, ctime_ns)
    settled = is_settled(stamp, max(mtime_ns, ctime_ns) + age_ns)
    whole = mtime_ns % 10**9 == 0 and ctime_ns % 10**9 == 0
    assert settled == (age_ns > (COARSE_RACY_NS if whole else RACY_NS))


def test_whole_seconds_are_given_more_time() -> None:
    second = 1_700_000_000_000_000_000
    assert not is_settled(Stamp(1, 1, 1, second, second), second + RACY_NS + 1)
    assert is_settled(Stamp(1, 1, 1, second, second), second + COARSE_RACY_NS + 1)


def test_a_time_in_the_future_is_never_trusted(file: Path) -> None:
    cache = StatCache(None, clock=SystemClock())
    future = SystemClock().now_ns() + 1000 * LATER_NS
    os.utime(file, ns=(future, future))
    cache.content(os.fsencode(file))
    assert cache.find(Aspect.CONTENT, os.fsencode(file), stamp_of(file.stat())) is None


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)


def other_table(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("spoil", [garbage, other_table, cut_off, Path.unlink])
def test_a_spoilt_cache_costs_time_alone(
    tmp_path: Path, file: Path, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "stat.db"
    first = StatCache(path, clock=much_later())
    for number in range(200):
        first.remember(Aspect.CONTENT, b"/%d" % number, stamp_of(file.stat()), digest(b"x"))
    first.save()
    if spoil is other_table:
        path.unlink()
    spoil(path)
    for _ in range(2):
        cache = StatCache(path, clock=much_later())
        cache.load([key(file)])
        assert cache.content(os.fsencode(file)) == digest(b"one")
        cache.save()
    last = StatCache(path, clock=much_later())
    last.load([key(file)])
    assert last.find(Aspect.CONTENT, os.fsencode(file), stamp_of(file.stat())) == digest(b"one")


def test_more_keys_than_one_query_takes(tmp_path: Path, file: Path) -> None:
    stamp = stamp_of(file.stat())
    first = StatCache(tmp_path / "stat.db", clock=much_later())
    for number in range(1203):
        first.remember(Aspect.CONTENT, b"/%d" % number, stamp, digest(b"%d" % number))
    first.save()
    second = StatCache(tmp_path / "stat.db", clock=much_later())
    second.load([Aspect.CONTENT + b"/%d" % number for number in range(1203)])
    found = [second.find(Aspect.CONTENT, b"/%d" % number, stamp) for number in range(1203)]
    assert found == [digest(b"%d" % number) for number in range(1203)]


def test_a_file_that_never_stands_still_has_no_digest(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = statcache._hash_descriptor
    times = iter(range(1, 100))

    def meddle(descriptor: int, size_bytes: int) -> bytes:
        seconds = next(times)
        os.utime(file, (seconds, seconds))
        return real(descriptor, size_bytes)

    monkeypatch.setattr(statcache, "_hash_descriptor", meddle)
    with pytest.raises(UnstableFileError):
        hash_file(os.fsencode(file))
    assert next(times) == 4, "three attempts"


@pytest.mark.parametrize("size", [0, 1, 65536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_a_digest_is_of_all_bytes(file: Path, size: int) -> None:
    data = bytes(at * 7 % 251 for at in range(1000)) * (size // 1000 + 1)
    file.write_bytes(data[:size])
    assert hash_file(os.fsencode(file))[1] == digest(data[:size])


def test_a_file_that_the_system_makes_as_it_is_read_has_a_digest() -> None:
    path = b"/proc/self/limits"  # it says that it holds nothing
    assert hash_file(path)[1] == digest(Path(os.fsdecode(path)).read_bytes())


def test_a_digest_is_given_for_the_stamp_that_was_asked_about(file: Path) -> None:
    cache = StatCache(None, clock=SystemClock())
    seen = stamp_of(file.lstat())
    assert cache.content_of(os.fsencode(file), seen) == digest(file.read_bytes())
    other = file.with_name("other")
    other.write_bytes(b"written meanwhile")
    other.replace(file)
    assert cache.content_of(os.fsencode(file), seen) is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = threading.Event()

    def look() -> None:
        with pytest.raises(UnstableFileError):
            hash_file(os.fsencode(tmp_path / "pipe"))
        done.set()

    threading.Thread(target=look, daemon=True).start()
    assert done.wait(30)


def test_a_link_is_not_followed(tmp_path: Path, file: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(OSError, match="symbolic"):
        hash_file(os.fsencode(tmp_path / "link"))
