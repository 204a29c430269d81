"""An index that is damaged, foreign or lies: it is made anew, and nothing is lost."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.local import LocalStore
from tests.cid_store.conftest import (
    BLOBS,
    CIDS,
    check_whole,
    check_whole_with,
    remove_index,
)


def garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 64)


def half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def scrambled_pages(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:] = bytes(reversed(data[4096:]))
    file.write_bytes(data)


def byte_in_the_schema(file: Path) -> None:
    """SQLite's complaint about this is not UTF-8."""
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE roots", b"CREATE TABLE \x80oots"))


def foreign_database(file: Path) -> None:
    import sqlite3  # noqa: PLC0415 - this case alone

    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE objects (digest)")
    connection.close()


INDEX_DAMAGE: list[Callable[[Path], None]] = [
    Path.unlink,
    garbage,
    half,
    empty,
    scrambled_pages,
    byte_in_the_schema,
    foreign_database,
]


@pytest.mark.parametrize("damage", INDEX_DAMAGE)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_damaged_index_is_rebuilt(
    path: Path, damage: Callable[[Path], None], read_only: bool
) -> None:
    damage(path / "index.sqlite")
    with LocalStore(path, read_only=read_only) as store:
        check_whole(store)


def test_an_index_damaged_while_open_is_rebuilt(path: Path) -> None:
    with LocalStore(path) as store:
        for file in path.glob("index.sqlite*"):
            file.unlink()
        more = store.put(b"more")
        assert store.get(more) == b"more"
        check_whole_with(store, 1)
    with LocalStore(path) as store:
        assert store.get(more) == b"more"
        check_whole_with(store, 1)


def test_two_open_stores_survive_a_rebuild_by_one(path: Path) -> None:
    with LocalStore(path) as one, LocalStore(path) as other:
        before = other.put(b"before")
        one._keeper.rebuild_index()
        after = one.put(b"after")
        # The other still has the old index open; it notices.
        assert other.get(after) == b"after"
        last = other.put(b"last")
        assert one.get(last) == b"last"
        other.close()
        assert [one.get(cid) for cid in (before, after, last)] == [b"before", b"after", b"last"]
    with LocalStore(path) as store:
        check_whole_with(store, 3)


def test_the_index_of_another_store_is_not_believed(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with LocalStore(other) as store:
        store.put_many(b"foreign %d" % at for at in range(80))
    shutil.copy(other / "index.sqlite", path / "index.sqlite")
    with LocalStore(path) as store:
        check_whole(store)


@pytest.mark.parametrize(
    "lie",
    [
        "UPDATE objects SET offset = offset + 64",
        "UPDATE objects SET length = 9223372036854775807",
        "UPDATE objects SET length = length + 1",
        "UPDATE objects SET pack = 77",
        "UPDATE objects SET offset = 4611686018427387904",
        "UPDATE objects SET offset = -64",
        "UPDATE objects SET offset = 'text'",
        "UPDATE objects SET offset = x'00'",
        "UPDATE objects SET length = 1.5",
        "UPDATE roots SET cid = x'0155'",
        "UPDATE OR REPLACE roots SET name = x'ff'",
        "UPDATE packs SET end = 64",
        "UPDATE packs SET end = 9223372036854775807",
        "UPDATE packs SET identity = 5",
        "DELETE FROM packs",
        "DROP TABLE roots",
        "DROP TABLE objects",
    ],
)
def test_an_index_that_lies_loses_nothing(path: Path, lie: str) -> None:
    import sqlite3  # noqa: PLC0415 - this case alone

    with sqlite3.connect(path / "index.sqlite") as connection:
        connection.execute(lie)
    connection.close()
    with LocalStore(path) as store:
        for cid, blob in zip(CIDS, BLOBS, strict=True):
            assert store.get(cid) == blob
            assert store.view(cid) == blob
        new = store.put(b"new")
        store.verify()
        assert store.get(new) == b"new"
    remove_index(path)
    with LocalStore(path) as store:
        check_whole_with(store, 1)


@pytest.mark.parametrize("lie", ["DELETE FROM objects", "DELETE FROM roots"])
def test_verify_mends_an_index_that_forgot(path: Path, lie: str) -> None:
    import sqlite3  # noqa: PLC0415 - this case alone

    with sqlite3.connect(path / "index.sqlite") as connection:
        connection.execute(lie)
    connection.close()
    with LocalStore(path) as store:
        report = store.verify()
        assert "the index disagreed with the packs and was rebuilt from them" in report.notes
        check_whole(store)
