"""A store written by version 1 is read by today's code, and by a reader written from the page."""

import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgpack
from blake3 import blake3

from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.local import LocalStore

OLD = Path(__file__).parent / "vectors" / "store-v1"
HELLO = Cid.of(b"hello")
NOTE = Cid.parse("bagaqihra2ir5ljdqzptzeqluafypozw3pen6f7us7gmwhujgb6ahfgs6fhca")


def records(pack: bytes, number: int) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Kind, codec, digest and payload of each whole record, as docs/formats/store.md says."""
    magic, version, own, _, crc = struct.unpack("<7sBI16s32xI", pack[:64])
    assert (magic, version, own, crc) == (b"RDXPACK", 1, number, zlib.crc32(pack[:60]))
    at = 64
    while at + 64 <= len(pack):
        header = pack[at : at + 64]
        magic, kind, zero, codec, length, digest, own, place, group, crc = struct.unpack(
            "<4sBBHQ32sIIII", header
        )
        payload = pack[at + 64 : at + 64 + length]
        sound = (magic, zero, own, place * 64, crc) == (
            b"RDXo",
            0,
            number,
            at,
            zlib.crc32(header[:60]),
        )
        if sound and group <= place and blake3(payload).digest() == digest:
            yield kind, codec, digest, payload
            at += 64 + -(-length // 64) * 64
        else:
            at += 64


def read_store(folder: Path) -> tuple[dict[tuple[int, bytes], bytes], dict[str, bytes]]:
    """Every object by codec and digest, and every root with its CID in binary form."""
    objects: dict[tuple[int, bytes], bytes] = {}
    roots: dict[str, bytes] = {}
    for path in sorted((folder / "packs").glob("*.pack"), key=lambda path: int(path.stem)):
        for kind, codec, digest, payload in records(path.read_bytes(), int(path.stem)):
            if kind == 1:
                objects[codec, digest] = payload
                continue
            for name, cid in msgpack.unpackb(payload).items():
                if cid is None:
                    roots.pop(name, None)
                else:
                    roots[name] = cid.data
    return objects, roots


def test_a_stranger_reads_the_old_store() -> None:
    objects, roots = read_store(OLD)
    assert objects[0x55, HELLO.digest] == b"hello"
    assert objects[0x55, blake3(b"").digest()] == b""
    assert objects[0x201, NOTE.digest][:1] == b"\x82"
    assert roots == {"empty": Cid.of(b"").to_bytes(), "note": NOTE.to_bytes()}
    assert len(objects) == 3


def test_a_stranger_reads_a_new_store(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store") as store:
        cids = store.put_many(b"%d" % at * at for at in range(200))
        for at in range(20):
            store.set_root(f"root {at}", cids[at])
        for at in range(5):
            store.set_root(f"root {at}", None)
        objects, roots = read_store(tmp_path / "store")
        assert objects == {(0x55, cid.digest): store.get(cid) for cid in cids}
        assert roots == {name: cid.to_bytes() for name, cid in store.roots()}


def test_we_read_the_old_store(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "store")
    for read_only in (True, False):
        with LocalStore(tmp_path / "store", read_only=read_only) as store:
            assert store.get(HELLO) == b"hello"
            assert decode(store.get(NOTE)) == {"says": HELLO, "times": [1, 2, 3]}
            assert dict(store.roots()) == {"note": NOTE, "empty": Cid.of(b"", Codec.RAW)}
            assert store.verify().ok


def test_the_bytes_we_write_are_still_the_old_ones(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "store")
    pack = tmp_path / "store" / "packs" / "00000001.pack"
    before = pack.read_bytes()
    with LocalStore(tmp_path / "store") as store:
        store.put_many([b"hello", b""])
        assert pack.read_bytes()[: len(before)] == before
        store.put(b"more")
    after = pack.read_bytes()
    assert after[: len(before)] == before
    assert after[len(before) + 64 :].startswith(b"more")
