"""Stores of versions 1 and 3 are read by today's code, and by a reader written from the page."""

import io
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgpack
from blake3 import blake3

from cid_store.cid import Cid, Codec
from cid_store.encoding import decode, encode
from cid_store.local import LocalStore
from cid_store.tiers import Tier
from tests.cid_store.rebuilder import opened, put_recipe

OLD = Path(__file__).parent / "vectors" / "store-v1"
TIERS = Path(__file__).parent / "vectors" / "store-v3"
HELLO = Cid.of(b"hello")
NOTE = Cid.parse("bagaqihra2ir5ljdqzptzeqluafypozw3pen6f7us7gmwhujgb6ahfgs6fhca")


def records(pack: bytes, number: int) -> Iterator[tuple[int, int, bytes, bytes]]:
    """Kind, codec, digest and payload of each whole record, as docs/formats/store.md says."""
    magic, version, own, _, crc = struct.unpack("<7sBI16s32xI", pack[:64])
    assert (magic, own, crc) == (b"RDXPACK", number, zlib.crc32(pack[:60]))
    assert version in (1, 2, 3)
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
        name = {0x55: b"\x01\x55", 0x201: b"\x01\x81\x04"}.get(codec, b"") + b"\x1e\x20" + digest
        whole = (
            payload[:32] == blake3(name + payload[32:]).digest()
            if kind >= 3
            else blake3(payload).digest() == digest
        )
        if sound and group <= place and whole:
            yield kind, codec, digest, payload
            at += 64 + -(-length // 64) * 64
        else:
            at += 64


def joined(objects: dict[tuple[int, bytes], bytes], digest: bytes, payload: bytes) -> bytes:
    """The object that a list of chunks stands for."""
    size, length, zeros = struct.unpack("<QII", payload[32:48])
    chunks = [objects[0x55, payload[at : at + 32]] for at in range(48, len(payload), 32)]
    blob = b"".join(chunks)
    assert (len(blob), zeros) == (size, 0)
    assert all(len(chunk) == length for chunk in chunks[:-1])
    assert blake3(blob).digest() == digest
    return blob


def rebuilt(objects: dict[tuple[int, bytes], bytes], digest: bytes, payload: bytes) -> bytes:
    """The object that was demoted, as the recipes of the test say; and what its record says."""
    record = msgpack.unpackb(payload[32:])
    assert sorted(record) == ["cost_us", "links", "recipe", "size"]
    assert all(link.code == 42 for link in [record["recipe"], *record["links"]])
    assert record["recipe"].data[:5] == b"\x01\x81\x04\x1e\x20"
    recipe = msgpack.unpackb(objects[0x201, record["recipe"].data[-32:]])
    assert (recipe["type"], recipe["v"], recipe["how"]) == ("recipe", 1, "joined")
    assert all(cid.data[:4] == b"\x01\x55\x1e\x20" for cid in recipe["needs"])
    needs = [objects[0x55, cid.data[-32:]] for cid in recipe["needs"]]
    blob = b"".join(needs) * recipe["times"]
    assert (len(blob), blake3(blob).digest()) == (record["size"], digest)
    return blob


def read_store(folder: Path) -> tuple[dict[tuple[int, bytes], bytes], dict[str, bytes]]:
    """Every object by codec and digest, and every root with its CID in binary form."""
    objects: dict[tuple[int, bytes], bytes] = {}
    roots: dict[str, bytes] = {}
    for path in sorted((folder / "packs").glob("*.pack"), key=lambda path: int(path.stem)):
        for kind, codec, digest, payload in records(path.read_bytes(), int(path.stem)):
            if kind == 1:
                objects[codec, digest] = payload
                continue
            if kind == 3:
                objects[codec, digest] = joined(objects, digest, payload)
                continue
            if kind > 3:
                objects[codec, digest] = rebuilt(objects, digest, payload)
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
        blob = store.put_stream(io.BytesIO(bytes(5 << 20) + b"the rest"))
        cids += [blob, Cid.of(bytes(1 << 20)), Cid.of(b"the rest")]
        objects, roots = read_store(tmp_path / "store")
        assert objects == {(0x55, cid.digest): store.get(cid) for cid in cids}
        assert roots == {name: cid.to_bytes() for name, cid in store.roots()}


def test_a_stranger_reads_what_was_demoted(tmp_path: Path) -> None:
    objects, roots = read_store(TIERS)
    assert objects[0x55, Cid.of(b"hello" * 1000).digest] == b"hello" * 1000
    assert objects[0x201, NOTE.digest] == encode({"says": HELLO, "times": [1, 2, 3]})
    assert roots == {"many": Cid.of(b"hello" * 1000).to_bytes(), "note": NOTE.to_bytes()}
    with opened(tmp_path / "store") as store:
        cids = store.put_many([b"one", b"two", b"onetwo" * 9])
        recipe = put_recipe(store, *cids[:2], times=9)
        store.demote(cids[2], recipe, Tier.UMBRA)
        objects, _ = read_store(tmp_path / "store")
        assert objects == {(cid.codec, cid.digest): store.get(cid) for cid in [*cids, recipe]}


def test_we_read_what_was_demoted(tmp_path: Path) -> None:
    shutil.copytree(TIERS, tmp_path / "store")
    many = Cid.of(b"hello" * 1000)
    for read_only in (True, False):
        with opened(tmp_path / "store", read_only=read_only) as store:
            assert store.get(many) == b"hello" * 1000
            assert decode(store.get(NOTE)) == {"says": HELLO, "times": [1, 2, 3]}
            assert (store.tier(many), store.tier(NOTE)) == (Tier.PENUMBRA, Tier.UMBRA)
            assert store.books().penumbra == (1, 5000, 192, 0.0015)
            assert store.books().umbra == (1, 55, 256, 0.0015)
            assert store.verify(rebuild=True).ok


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
