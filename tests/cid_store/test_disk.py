"""What a store asks of its disk, where the system does less at a time than it is asked for."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cid_store import disk
from cid_store.local import LocalStore


class Sparing:
    """Stands where `os` stands; of each write it takes as much as the next number says."""

    def __init__(self, takes: Sequence[int]) -> None:
        self._takes = iter(takes)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pwritev(self, fd: int, parts: Sequence[bytes], offset: int) -> int:
        return self.pwrite(fd, b"".join(parts), offset)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data[: next(self._takes, len(data))], offset)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.binary(max_size=9), max_size=12),
    takes=st.lists(st.integers(1, 30), max_size=12),
    at_once=st.integers(1, 5),
)
def test_all_parts_are_written_however_little_the_system_takes(
    tmp_path: Path, parts: list[bytes], takes: list[int], at_once: int
) -> None:
    fd = disk.open_file(tmp_path / "file", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk, "os", Sparing(takes))
            patch.setattr(disk, "_IOV_MAX", at_once)
            disk.write_all(fd, parts, 5)
        whole = b"".join(parts)
        assert disk.read_at(fd, 5 + len(whole), 0) == (bytes(5) + whole if whole else b"")
    finally:
        os.close(fd)


def test_a_disk_may_begin_with_what_was_written_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = disk.open_file(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        disk.write_all(fd, [b"some"], 0)
        disk.start_writing(fd, 0, 4)
        monkeypatch.setattr(disk, "_sync_file_range", lambda: None)  # as elsewhere than on Linux
        disk.start_writing(fd, 0, 4)
        disk.sync_data(fd)
        assert disk.read_at(fd, 9, 0) == b"some"
    finally:
        os.close(fd)


def test_a_file_has_a_name_until_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file (deleted)"
    fd = disk.open_file(path, os.O_RDWR | os.O_CREAT)
    path.rename(tmp_path / "file")
    try:
        assert disk.has_name(fd)
        disk.write_all(fd, [b"some"], 3)
        assert disk.length(fd) == 7
        (tmp_path / "file").unlink()
        assert not disk.has_name(fd)
        monkeypatch.setattr(os, "readlink", _no_proc)
        assert not disk.has_name(fd)
    finally:
        os.close(fd)


def _no_proc(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def test_a_put_asks_no_times_of_its_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux since 6.13 the sync after it would take half as long again."""
    asked: list[object] = []
    with LocalStore(tmp_path / "store") as store:
        for number in range(3):  # at first, room is made
            store.put(b"%d" % number)
        monkeypatch.setattr(os, "fstat", asked.append)
        store.put(b"once more")
        monkeypatch.undo()
    assert not asked
