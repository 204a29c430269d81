"""Another implementation, written by others, reads what we write, and we read what it writes."""

import io
import os

import dag_cbor
import ipld_car
import pytest
from multiformats import CID, multihash

from cid_store.car import export_archive, export_objects, import_car, open_archive
from cid_store.cid import Cid
from cid_store.memory import MemoryStore
from cid_store.nodes import put_node

BLOBS = (b"hello", b"", bytes(70_000), os.urandom((2 << 20) + 3))
HASHES = {"sha2-256": None, "sha2-512": None, "blake2b-256": None, "blake3": 32}


def named(codec: str, data: bytes, function: str) -> CID:
    digest = multihash.digest(data, function, size=HASHES[function])
    return CID("base32", 1, codec, digest)


def test_it_reads_what_we_export_and_writes_the_same() -> None:
    store = MemoryStore()
    blobs = store.put_many(BLOBS)
    top = put_node(store, {"blobs": blobs, "deeper": put_node(store, [blobs[0], 1.5])})
    file = io.BytesIO()
    export_objects(store, [top, blobs[1]], file)
    roots, blocks = ipld_car.decode(file.getvalue())
    assert [str(root.encode("base32")) for root in roots] == [str(top), str(blobs[1])]
    assert len(blocks) == len(BLOBS) + 2
    for name, data in blocks:
        ours = Cid.parse(name.encode("base32"))
        assert name.codec.code == ours.codec
        assert store.get(ours) == bytes(data)
        assert multihash.digest(bytes(data), "blake3", size=32) == name.digest
    assert bytes(ipld_car.encode(roots, blocks)) == file.getvalue()


@pytest.mark.parametrize("bound", [0, 1, 5])
def test_what_it_writes_comes_back_byte_for_byte(bound: int) -> None:
    blocks: list[ipld_car.Block] = [
        (named("raw", data, function), data) for data in BLOBS for function in HASHES
    ]
    top = dag_cbor.encode({"links": [name for name, _ in blocks], "n": 1.5})
    blocks.insert(0, (named("dag-cbor", top, "sha2-256"), top))
    whole = bytes(ipld_car.encode([name for name, _ in blocks[:bound]], blocks))
    store = MemoryStore()
    found = import_car(store, io.BytesIO(whole), "theirs")
    # Of theirs only raw blocks under BLAKE3 have a name that is ours, too.
    assert (found.blocks, found.foreign) == (len(blocks), len(blocks) - len(BLOBS))
    assert (found.unverified, found.absent) == (0, ())
    assert all(store.get(Cid.of(data)) == data for data in BLOBS)
    out = io.BytesIO()
    export_archive(store, open_archive(store, found.archive), out)
    assert out.getvalue() == whole
