"""A remote store in a folder: its layout, its conditional writes, and damage that is found."""

import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid, Codec
from cid_store.encoding import decode, encode
from cid_store.errors import (
    CorruptObjectError,
    DamageError,
    InputError,
    MissingObjectError,
    UnavailableError,
    UsageError,
)
from cid_store.remote import RemoteStore, layout
from cid_store.remote.service import Service, Version
from cid_store.remote.workers import Workers
from tests.cid_store.test_store import ABSENT, random_bytes

MIB = 1 << 20
LARGE = random_bytes(3 * MIB + 5)


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_the_keys_are_those_of_the_page(remote: RemoteStore, folder: Path) -> None:
    small = remote.put(b"hello")
    assert files(folder) == [f"objects/ea/{small}", "redoxa-store"]
    assert (folder / "objects" / "ea" / str(small)).read_bytes() == b"hello"
    remote.set_root("a/b", small)
    remote.set_root("long" * 30, small)
    digest = Cid.of(b"long" * 30).digest.hex()
    assert files(folder)[2:] == [f"roots/h-{digest}", "roots/n-612f62"]
    seal = Cid.of(encode({"cid": small, "name": "a/b"})).digest
    record = decode((folder / "roots" / "n-612f62").read_bytes())
    assert record == {"cid": small, "name": "a/b", "seal": seal}
    marker = (folder / "redoxa-store").read_bytes()
    assert decode(marker) == {"format": "redoxa remote store", "version": 1}
    large = remote.put(LARGE)
    chunks = [Cid.of(LARGE[at : at + MIB]) for at in range(0, len(LARGE), MIB)]
    assert all((folder / layout.object_key(chunk)).is_file() for chunk in chunks)
    assert not (folder / layout.object_key(large)).exists()
    assert (folder / layout.list_key(large)).stat().st_size == layout.list_size(len(LARGE))


def test_the_worked_example_is_what_is_written(remote: RemoteStore, folder: Path) -> None:
    remote.set_root("greeting", remote.put(b"hello"))
    page = (Path(__file__).parents[2] / "docs" / "formats" / "remote.md").read_text("utf-8")
    shown = dict(re.findall(r"^\| `([\w/-]+)` \| `([0-9a-f]+)` \|$", page, re.MULTILINE))
    assert shown == {name: (folder / name).read_bytes().hex() for name in files(folder)}


def test_a_second_process_finds_what_the_first_put(remote: RemoteStore) -> None:
    cid = remote.put_stream(io.BytesIO(LARGE))
    remote.set_root("here", cid)
    with RemoteStore(remote.url) as other:
        assert dict(other.roots()) == {"here": cid}
        assert other.get(cid) == LARGE
        assert other.read(cid, MIB - 1, 3) == LARGE[MIB - 1 : MIB + 2]


def test_a_root_is_swapped_only_for_what_was_seen(remote: RemoteStore) -> None:
    one, two = remote.put(b"one"), remote.put(b"two")
    assert remote.swap_root("a", None, one)
    assert not remote.swap_root("a", None, two)
    assert not remote.swap_root("a", two, None)
    assert remote.root("a") == one
    assert remote.swap_root("a", one, two)
    assert remote.swap_root("a", two, two)
    assert remote.swap_root("a", two, None)
    assert remote.root("a") is None
    assert remote.swap_root("a", None, one)
    assert remote.root("a") == one
    with pytest.raises(MissingObjectError, match="put it first"):
        remote.swap_root("a", one, ABSENT)


def test_a_value_is_created_once(folder: Path) -> None:
    service = Service(folder.as_uri(), Workers(1))
    assert service.get("a/b", 9) is None
    assert list(service.keys("a")) == []
    assert service.create("a/b", b"first")
    assert not service.create("a/b", b"second")
    assert service.get("a/b", 9) == b"first"
    assert not service.swap("a/b", b"third", None)
    assert service.swap("a/b", b"fourth", Version("unknown", None))  # a folder knows no conditions
    assert service.get("a/b", 9) == b"fourth"
    with pytest.raises(CorruptObjectError, match="has 6 bytes, more than a store puts there"):
        service.get("a/b", 5)


@given(name=st.text(max_size=120), prefix=st.text(max_size=3))
def test_a_key_never_hides_a_name_from_its_prefix(name: str, prefix: str) -> None:
    key = layout.root_key(name)
    assert len(key.rpartition("/")[2]) <= 255
    if name.startswith(prefix):
        assert layout.may_begin_with(key, prefix)
    record = layout.root_record(name, ABSENT)
    assert layout.parse_root(key, record, "there") == (name, ABSENT)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def grow(file: Path) -> None:
    os.truncate(file, 80 << 20)  # a hole: it takes no room


def swap(file: Path) -> None:
    file.write_bytes(b"the bytes of another object")


@pytest.mark.parametrize("harm", [flip, cut, grow, swap, Path.unlink])
@pytest.mark.parametrize("part", ["object", "list", "chunk"])
def test_harm_is_found_by_every_read_and_repaired_by_a_put(
    remote: RemoteStore, folder: Path, harm: Callable[[Path], None], part: str
) -> None:
    data = b"hello" * 100 if part == "object" else LARGE
    cid = remote.put(data)
    name = Cid.of(LARGE[MIB : 2 * MIB]) if part == "chunk" else cid
    key = layout.list_key(name) if part == "list" else layout.object_key(name)
    harm(folder / key)
    reads: list[Callable[[], object]] = [
        lambda: remote.get(cid),
        lambda: remote.get_many([cid]),
        lambda: remote.view(cid),
        lambda: list(remote.get_stream(cid)),
        lambda: remote.read(cid, MIB, 5) if part == "chunk" else remote.read(cid, 1, 5),
    ]
    for read in reads:
        with pytest.raises(DamageError, match=str(name)):
            read()
    assert remote.lacks({cid: len(data)}, check=True) == [cid]
    assert remote.put(data) == cid
    for read in reads:
        read()
    assert remote.get(cid) == data
    assert remote.lacks({cid: len(data)}, check=True) == []


def test_many_large_objects_are_checked_together(remote: RemoteStore, folder: Path) -> None:
    blobs = [bytes([at]) * (MIB + 1) for at in range(40)]  # more than requests go out at once
    sizes = dict.fromkeys(remote.put_many(blobs), MIB + 1)
    assert remote.lacks(sizes, check=True) == []
    flip(folder / layout.object_key(Cid.of(blobs[7][:MIB])))
    assert remote.lacks(sizes, check=True) == [Cid.of(blobs[7])]
    assert remote.lacks(sizes) == []


def test_a_part_beside_the_damage_is_still_read(remote: RemoteStore, folder: Path) -> None:
    cid = remote.put(LARGE)
    flip(folder / layout.object_key(Cid.of(LARGE[MIB : 2 * MIB])))
    assert remote.read(cid, 2 * MIB, 9) == LARGE[2 * MIB : 2 * MIB + 9]
    stream = remote.get_stream(cid)
    assert next(stream) == LARGE[:MIB]
    with pytest.raises(CorruptObjectError, match="hash to"):
        next(stream)


def test_a_forged_list_is_found_by_whoever_reads_all_of_it(
    remote: RemoteStore, folder: Path
) -> None:
    cid, other = remote.put(LARGE), remote.put(LARGE[::-1])
    forged = remote_list(folder, other)
    seal = Cid.of(cid.to_bytes() + forged[32:]).digest
    (folder / layout.list_key(cid)).write_bytes(seal + forged[32:])
    with pytest.raises(CorruptObjectError, match="does not make it up"):
        remote.get(cid)
    with pytest.raises(CorruptObjectError, match="does not make it up"):
        list(remote.get_stream(cid))
    remote.put(LARGE)
    assert remote.get(cid) == LARGE


def remote_list(folder: Path, cid: Cid) -> bytes:
    return (folder / layout.list_key(cid)).read_bytes()


def test_the_list_of_another_object_is_no_list_of_this_one(
    remote: RemoteStore, folder: Path
) -> None:
    cid, other = remote.put(LARGE), remote.put(LARGE[::-1])
    (folder / layout.list_key(cid)).write_bytes(remote_list(folder, other))
    with pytest.raises(CorruptObjectError, match=r"the list of its chunks at .* is damaged"):
        remote.read(cid, 0, 1)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xc0",
        b"\xff" * 9,
        b"x" * 70_000,
        layout.root_record("other", None),
        encode({"cid": None, "name": "a"}),
        encode({"cid": None, "name": "a", "seal": bytes(32)}),
        encode({"cid": 1, "name": "a", "seal": bytes(32)}),
        encode({"cid": None, "name": 1, "seal": bytes(32)}),
    ],
)
def test_a_damaged_root_is_no_root(remote: RemoteStore, folder: Path, record: bytes) -> None:
    remote.set_root("a", remote.put(b"x"))
    (folder / layout.root_key("a")).write_bytes(record)
    for read in (lambda: remote.root("a"), lambda: list(remote.roots())):
        with pytest.raises(CorruptObjectError, match="n-61"):
            read()
    remote.set_root("a", remote.put(b"y"))
    assert remote.root("a") == Cid.of(b"y")


def test_a_store_of_a_newer_format_and_what_is_no_store_are_refused(folder: Path) -> None:
    folder.mkdir()
    marker = folder / layout.MARKER_KEY
    marker.write_bytes(encode({"format": "redoxa remote store", "version": 2}))
    uses: list[Callable[[RemoteStore], object]] = [
        lambda store: store.put(b"x"),
        lambda store: store.get(ABSENT),
        lambda store: list(store.roots()),
    ]
    for use in uses:
        with (
            RemoteStore(folder.as_uri()) as store,
            pytest.raises(InputError, match=r"has version 2 .* this program knows 1; install"),
        ):
            use(store)
    marker.write_bytes(b"something else")
    with (
        RemoteStore(folder.as_uri()) as store,
        pytest.raises(InputError, match="is not a Redoxa store: its marker"),
    ):
        store.put(b"x")


def test_reading_makes_no_store(remote: RemoteStore, folder: Path) -> None:
    assert not remote.has(ABSENT)
    assert list(remote.roots()) == []
    with pytest.raises(MissingObjectError, match=str(ABSENT)):
        remote.get(ABSENT)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "no address of a store"),
        ("/a/folder", "no address of a store"),
        ("ftp://host/x", "no address of a store"),
        ("https://[broken", "no address of a store"),
        ("https://name:hunter2@host/x", "may hold a secret"),
        ("s3://bucket/x?X-Amz-Signature=hunter2", "may hold a secret"),
        ("az://box/x#hunter2", "may hold a secret"),
        ("s3:///x", "names no place"),
        ("file://x", "names no place"),
    ],
)
def test_an_address_is_a_plain_one(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        RemoteStore(url)
    assert "hunter2" not in str(refused.value)


def test_without_the_client_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("cid_store.remote.service.importlib.import_module", lacks)
    with pytest.raises(UnavailableError, match=r"`pip install 'redoxa\[remote\]'` brings it"):
        RemoteStore("s3://bucket/x")


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        RemoteStore((tmp_path / "file").as_uri()) as store,
        pytest.raises(UnavailableError, match=r"cannot be used \(.*\); see to the folder"),
    ):
        store.put(b"x")


def test_a_stream_of_a_closed_store_ends_with_a_sentence(remote: RemoteStore) -> None:
    data = random_bytes(12 * MIB)
    stream = remote.get_stream(remote.put(data))
    assert next(stream) == data[:MIB]
    remote.close()
    with pytest.raises(UsageError, match="is closed; open it again"):
        list(stream)


def test_a_folder_that_is_taken_away_is_missed(remote: RemoteStore, folder: Path) -> None:
    cid = remote.put(b"x")
    shutil.rmtree(folder)
    with pytest.raises(MissingObjectError, match=str(cid)):
        remote.get(cid)


def test_a_batch_binds_only_what_is_kept(remote: RemoteStore, folder: Path) -> None:
    (folder / "objects").mkdir(parents=True)
    (folder / "objects" / "ea").touch()  # where the folder of `hello` should be
    with pytest.raises(UnavailableError), remote.batch():
        remote.set_root("greeting", remote.put(b"hello"))
    assert list(remote.roots()) == []


def test_the_codec_is_kept_apart(remote: RemoteStore) -> None:
    data = encode([b"x" * 100] * 30_000)
    cid = remote.put(data, Codec.NODE)
    with RemoteStore(remote.url) as other:
        assert not other.has(Cid.of(data))
        assert other.size(cid) == len(data)
        assert other.get(cid) == data
