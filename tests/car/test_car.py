"""CAR files: what we write others read, what others wrote comes back, and damage is refused."""

import contextlib
import hashlib
import io
import struct
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store.car import (
    archives_of,
    export_archive,
    export_objects,
    import_car,
    open_archive,
    varint,
)
from cid_store.car.header import HeaderV2, header_v1
from cid_store.car.multihash import Multihash
from cid_store.car.names import BlockName
from cid_store.car.reader import PART_BYTES, CarReader
from cid_store.car.writer import CarWriter
from cid_store.cid import Cid, Codec
from cid_store.encoding import NodeLike
from cid_store.errors import (
    InputError,
    MalformedCarError,
    MalformedNodeError,
    MissingObjectError,
    UsageError,
)
from cid_store.memory import MemoryStore
from cid_store.nodes import get_node, put_node

HELLO = Cid.of(b"hello")
SHA2_256 = 0x12


def exported(store: MemoryStore, *roots: Cid, version: int = 1) -> bytes:
    out = io.BytesIO()
    done = export_objects(store, roots, out, version=version)
    assert done.size_bytes == len(out.getvalue())
    return out.getvalue()


def taken(data: bytes, *, allow_unverified: bool = False) -> MemoryStore:
    store = MemoryStore()
    import_car(store, io.BytesIO(data), "it", allow_unverified=allow_unverified)
    return store


def refused(data: bytes, store: MemoryStore | None = None) -> str:
    store = store if store is not None else MemoryStore()
    with pytest.raises(MalformedCarError) as raised:
        import_car(store, io.BytesIO(data), "it")
    assert list(store.roots()) == []
    return str(raised.value)


def car(*sections: bytes, roots: Sequence[BlockName] = ()) -> bytes:
    return header_v1(roots) + b"".join(varint.encode(len(part)) + part for part in sections)


def foreign(data: bytes, *, codec: int = 0x71, code: int = SHA2_256, length: int = 32) -> BlockName:
    digest = blake3(data) if code == 0x1E else hashlib.sha256(data)
    multihash = Multihash(code, digest.digest()[:length])
    return BlockName.from_bytes(b"\1" + varint.encode(codec) + multihash.to_bytes())


# What we write


def test_the_example_of_the_page() -> None:
    store = MemoryStore()
    data = exported(store, store.put(b"hello"))
    name = HELLO.to_bytes()
    assert data == (
        b"\x3a\xa2\x65roots\x81\xd8\x2a\x58\x25\0" + name + b"\x67version\1\x29" + name + b"hello"
    )
    assert len(data) == 101


def test_everything_reachable_is_written_once_and_parents_first() -> None:
    store = MemoryStore()
    leaf, other = store.put(b"leaf"), store.put(b"other")
    inner = put_node(store, {"a": [leaf, other], "z": leaf})
    top = put_node(store, [inner, leaf, inner])
    store.put(b"not named")
    sections = CarReader(io.BytesIO(exported(store, top, leaf, top)), "it")
    assert [name.ours for name in sections.roots] == [top, leaf]
    assert [section.name.ours for section in sections.sections()] == [top, inner, leaf, other]


def test_a_link_that_leads_nowhere_is_an_error() -> None:
    store = MemoryStore()
    top = put_node(store, {"gone": HELLO})
    with pytest.raises(MissingObjectError, match=str(HELLO)):
        exported(store, top)


def test_chains_of_nodes_may_be_long() -> None:
    store = MemoryStore()
    cid = store.put(b"end")
    for _ in range(3000):
        cid = put_node(store, cid)
    assert taken(exported(store, cid)).get(cid) == store.get(cid)


def test_the_index_of_version_2_finds_every_block() -> None:
    store = MemoryStore()
    cids = [store.put(b"%d" % at) for at in range(50)]
    data = exported(store, *cids, version=2)
    header = HeaderV2.from_bytes(data[11:51])
    assert data[11] == 0x80
    payload = data[header.data_offset :][: header.data_size]
    assert payload == exported(store, *cids)
    index = data[header.index_offset :]
    assert index[:2] == b"\x81\x08"
    assert struct.unpack_from("<iQiIQ", index, 2) == (1, 0x1E, 1, 40, 50 * 40)
    entries = [index[at : at + 40] for at in range(30, len(index), 40)]
    assert entries == sorted(entries)
    for entry in entries:
        length, at = varint.decode(payload, int.from_bytes(entry[32:], "little"))
        name, end = BlockName.read(payload, at)
        assert name.multihash.digest == entry[:32]
        assert blake3(payload[end : at + length]).digest() == entry[:32]


nodes = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), nodes, st.sampled_from((1, 2)))
def test_export_and_import_give_the_same_objects_and_bytes(
    blobs: list[bytes], value: NodeLike, version: int
) -> None:
    store = MemoryStore()
    cids = [store.put(blob) for blob in blobs]
    top = put_node(store, {"links": cids, "value": value})
    data = exported(store, top, version=version)
    other = MemoryStore()
    found = import_car(other, io.BytesIO(data), "it")
    assert get_node(other, top) == get_node(store, top)
    assert [other.get(cid) for cid in cids] == blobs
    assert (found.foreign, found.absent) == (0, ())
    assert exported(other, top, version=version) == data
    out = io.BytesIO()
    export_archive(other, open_archive(other, found.archive), out, version=version)
    assert out.getvalue() == data


# Blocks of other tools


def test_foreign_blocks_are_kept_under_their_own_names() -> None:
    block = foreign(b"cbor")
    data = car(block.data + b"cbor", HELLO.to_bytes() + b"hello", roots=[block])
    store = MemoryStore()
    found = import_car(store, io.BytesIO(data), "it")
    assert (found.blocks, found.foreign, found.unverified) == (2, 1, 0)
    assert found.bound == (f"car/{block}/{found.archive}",)
    assert archives_of(store, str(block)) == list(found.bound)
    assert get_node(store, found.archive) == {
        "type": "car",
        "v": 1,
        "roots": [block.data],
        "blocks": 2,
        "bytes": 9,
        "parts": [Cid.parse(str(open_archive(store, found.archive).parts[0]))],
    }
    out = io.BytesIO()
    export_archive(store, open_archive(store, found.archive), out)
    assert out.getvalue() == data


def test_bytes_that_are_no_node_do_not_become_one() -> None:
    bad = b"\xd9\x01a"  # a text with a longer header than it needs
    name = BlockName.from_bytes(Cid.of(bad, Codec.NODE).to_bytes())
    data = car(name.data + bad, roots=[name])
    store = MemoryStore()
    assert import_car(store, io.BytesIO(data), "it").foreign == 1
    assert not store.has(Cid.of(bad, Codec.NODE))


def test_more_blocks_than_one_part_holds() -> None:
    names = [foreign(b"%d" % at) for at in range(9000)]
    data = car(*(name.data + b"%d" % at for at, name in enumerate(names)))
    store = MemoryStore()
    found = import_car(store, io.BytesIO(data), "it")
    assert found.bound == (f"car/none/{found.archive}",)
    assert len(open_archive(store, found.archive).parts) == 3
    out = io.BytesIO()
    export_archive(store, open_archive(store, found.archive), out)
    assert out.getvalue() == data


def test_many_roots_are_bound_together_and_too_many_are_refused() -> None:
    store = MemoryStore()
    data = exported(store, *(store.put(b"%d" % at) for at in range(1001)))
    found = import_car(MemoryStore(), io.BytesIO(data), "it")
    assert len(found.roots) == 1001
    assert found.bound == (f"car/many/{found.archive}",)
    roots = [foreign(b"%d" % at) for at in range(105_000)]
    with pytest.raises(UsageError, match="name a node that links to them instead"):
        CarWriter(io.BytesIO(), roots, version=1)


@pytest.mark.parametrize(("code", "length"), [(0x22, 32), (SHA2_256, 19)])
def test_what_cannot_be_checked_is_kept_only_when_allowed(code: int, length: int) -> None:
    name = foreign(b"data", code=code, length=length)
    data = car(name.data + b"data")
    assert "cannot be checked here" in refused(data)
    found = import_car(MemoryStore(), io.BytesIO(data), "it", allow_unverified=True)
    assert found.unverified == 1


def test_a_root_that_is_not_in_the_file_is_said() -> None:
    name = foreign(b"elsewhere")
    found = import_car(MemoryStore(), io.BytesIO(car(roots=[name])), "it")
    assert (found.absent, found.blocks) == ((name,), 0)


@pytest.mark.parametrize("value", [None, {"type": "car", "v": 1}, {"type": "tree"}])
def test_another_node_is_no_archive(value: NodeLike) -> None:
    store = MemoryStore()
    with pytest.raises(MalformedNodeError, match="not the list of an imported CAR"):
        open_archive(store, put_node(store, value))


# Damage


def sample() -> bytes:
    store = MemoryStore()
    top = put_node(store, {"a": store.put(b"first" * 9), "b": store.put(b"second")})
    return exported(store, top)


def test_a_file_cut_anywhere_but_between_blocks_is_refused() -> None:
    data = sample()
    ends = {0}
    reader = CarReader(io.BytesIO(data), "it")
    between = {section.offset for section in reader.sections()}
    for length in range(len(data)):
        if length in between:
            continue
        assert "offset" in refused(data[:length]), length
        ends.add(length)
    assert len(ends) > 200


def test_every_flipped_bit_of_a_block_or_its_digest_is_refused() -> None:
    data = bytearray(sample())
    for section in CarReader(io.BytesIO(data), "it").sections():
        length, start = varint.decode(data, section.offset)
        codec_end = start + len(section.name.data) - 32
        for at in range(codec_end, start + length):
            for bit in range(8):
                data[at] ^= 1 << bit
                assert f"(at offset {section.offset:,})" in refused(bytes(data))
                data[at] ^= 1 << bit


def test_nothing_of_a_damaged_block_is_kept() -> None:
    store = MemoryStore()
    message = refused(car(HELLO.to_bytes() + b"hallo"), store)
    assert f"the bytes of block {HELLO} do not hash to its name (at offset 18)" in message
    assert not store.has(HELLO)
    assert not store.has(Cid.of(b"hallo"))


SHORT = car()
V2 = bytes.fromhex("0aa16776657273696f6e02")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the length of its header is none"),
        (b"\0", "its header of no bytes"),
        (b"\x91\x00" + SHORT[1:], "cut short|shortest form"),
        (b"\xff" * 12, "more than 9 bytes"),
        (b"\x81\x80\x80\x02" + bytes(4_200_000), "over the limit of 4,194,304"),
        (b"\x03\x80\x00\x00", "not the DAG-CBOR"),
        (b"\x11\xa2\x67version\1\x65roots\x80", "not in order"),
        (b"\x0a\xa1\x67version\1", "names no roots"),
        (b"\x0a\xa1\x67version\x03", "version 3"),
        (b"\x08\xa1\x65roots\x80", "names no version"),
        (b"\x0c\xa1\x65roots\x9a\xff\xff\xff\xff", "more entries than it has bytes"),
        (SHORT + b"\0", "of no bytes"),
        (SHORT + b"\x80\x80\x80\x80\x80\x80\x80\x80\x01", "cut short after 0"),
        (SHORT + b"\x24" + HELLO.to_bytes()[:20], "cut short after 20"),
        (SHORT + b"\x81\x00\x55", "shortest form"),
        (SHORT + b"\x04\x02\x55\x00\x00", "version 2 is none that exists"),
        (SHORT + b"\x05\x01\x55\x12\x21\x00", "no digest of 33 bytes"),
        (SHORT + b"\x06\x01\x55\x00\x80\x10\x00", "over 1,024"),
        (V2, "its header is cut short"),
        (V2 + HeaderV2(0, 51, 19, 0).to_bytes() + SHORT, "does not lie in its"),
        (V2 + HeaderV2(0, 11, 18, 0).to_bytes() + SHORT, "does not lie in its"),
        (V2 + HeaderV2(0, 51, 2**64 - 1, 0).to_bytes() + SHORT, "does not lie in its"),
        (V2 + HeaderV2(0, 51, 0, 0).to_bytes() + SHORT, "does not lie in its"),
        (V2 + HeaderV2(0, 51, 18, 52).to_bytes() + SHORT + b"\0", "index lies in its payload"),
        (
            V2 + HeaderV2(0, 51, 11, 0).to_bytes() + V2,
            "its payload says version 2; that of a CARv2 must be version 1",
        ),
    ],
)
def test_what_is_not_in_its_one_form_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(MalformedCarError, match=says):
        taken(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, headed: bool) -> None:
    with contextlib.suppress(InputError):
        taken(SHORT + data if headed else data, allow_unverified=True)


def test_import_and_export_hold_no_more_than_a_part_of_a_block() -> None:
    largest = 0

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal largest
            assert size is not None
            assert size >= 0
            largest = max(largest, size)
            return super().read(size)

        def write(self, data: Any) -> int:
            nonlocal largest
            largest = max(largest, len(data))
            return super().write(data)

    blobs = [random_bytes(at, 3 * PART_BYTES + at) for at in range(3)]
    names = [foreign(blob) for blob in blobs]
    store = MemoryStore()
    data = car(*(name.data + blob for name, blob in zip(names, blobs, strict=True)))
    found = import_car(store, Watched(data), "it")
    ours = [held for _, held in open_archive(store, found.archive).blocks(store)]
    assert [store.get(cid) for cid in ours] == blobs
    out = Watched()
    export_archive(store, open_archive(store, found.archive), out)
    assert out.getvalue() == data
    again = MemoryStore()
    assert import_car(again, Watched(exported(store, *ours)), "it").foreign == 0
    assert [again.get(cid) for cid in ours] == blobs
    assert largest <= PART_BYTES


def test_a_large_block_that_is_damaged_is_not_put() -> None:
    blob = random_bytes(0, 2 * PART_BYTES)
    store = MemoryStore()
    damaged = blob[:-1] + bytes([blob[-1] ^ 1])
    assert "do not hash to its name" in refused(car(foreign(blob).data + damaged), store)
    assert not store.has(Cid.of(damaged))


def test_a_large_block_that_changes_while_it_is_read_is_not_listed() -> None:
    blob = random_bytes(0, 2 * PART_BYTES)
    data = car(foreign(blob).data + blob)

    class Changing(io.BytesIO):
        seen: ClassVar[set[int]] = set()

        def read(self, size: int | None = -1) -> bytes:
            at = self.tell()
            found = super().read(size)
            if at not in self.seen or len(found) < PART_BYTES:
                self.seen.add(at)
                return found
            return bytes(len(found))

    store = MemoryStore()
    with pytest.raises(MalformedCarError, match="a block changed while it was read"):
        import_car(store, Changing(data), "it")
    assert list(store.roots()) == []


def random_bytes(seed: int, size: int) -> bytes:
    return blake3(b"%d" % seed).digest(size)


def test_the_sentence_for_an_unknown_hash_names_the_option() -> None:
    name = b"\x01\x55\x99\x33\x04abcd"
    with pytest.raises(MalformedCarError, match="`redoxa store import --unverified` keeps it"):
        taken(SHORT + bytes([len(name) + 1]) + name + b"x")
