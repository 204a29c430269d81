"""CAR files, multihashes and blocks that other projects publish for testing."""

import base64
import csv
import io
import json
import os
import struct
from pathlib import Path

import pytest

from cid_store.car import export_archive, import_car, open_archive, varint
from cid_store.car.header import PRAGMA, header_v1
from cid_store.car.multihash import Multihash
from cid_store.car.names import BlockName
from cid_store.car.varint import VarintError
from cid_store.errors import MalformedCarError
from cid_store.memory import MemoryStore

HERE = Path(__file__).parent / "vectors"
REFUSED = ("badheaderlength", "rootless-v42", "zero-len-section")


def shared(*parts: str) -> Path | None:
    folder = os.environ.get("REDOXA_SHARED")
    return Path(folder, "vectors", *parts) if folder else None


def files() -> list[Path]:
    more = shared("car")
    return sorted(HERE.glob("*.car")) + (sorted(more.rglob("*.car")) if more else [])


def payload_of(data: bytes) -> bytes:
    if not data.startswith(PRAGMA):
        return data
    offset, size, _ = struct.unpack_from("<QQQ", data, 27)
    return data[offset : offset + size]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_published_car_comes_back_byte_for_byte_or_is_refused(path: Path) -> None:
    data = path.read_bytes()
    store = MemoryStore()
    if any(word in path.name for word in REFUSED):
        with pytest.raises(MalformedCarError, match=r"at offset [\d,]+"):
            import_car(store, io.BytesIO(data), path.name)
        assert list(store.roots()) == []
        return
    found = import_car(store, io.BytesIO(data), path.name)
    assert found.blocks > 0
    assert found.unverified == 0
    out = io.BytesIO()
    export_archive(store, open_archive(store, found.archive), out)
    assert out.getvalue() == payload_of(data)


@pytest.mark.parametrize("name", ["carv1-basic", "carv2-basic"])
def test_names_and_places_are_those_its_description_gives(name: str) -> None:
    folder = shared("car")
    if folder is None:
        pytest.skip("REDOXA_SHARED names no folder with the descriptions of the basic CARs")
    described = json.loads((folder / f"{name}.json").read_text())["blocks"]
    store = MemoryStore()
    with (HERE / f"{name}.car").open("rb") as file:
        found = import_car(store, file, name)
    blocks = list(open_archive(store, found.archive).blocks(store))
    assert [str(block) for block, _ in blocks] == [block["cid"]["/"] for block in described]
    sizes = [len(store.get(cid)) for _, cid in blocks]
    assert sizes == [block["blockLength"] for block in described]


def test_the_index_is_the_one_another_writer_made() -> None:
    data = (HERE / "sample-unixfs-v2.car").read_bytes()
    store = MemoryStore()
    found = import_car(store, io.BytesIO(data), "it")
    out = io.BytesIO()
    export_archive(store, open_archive(store, found.archive), out, version=2)
    # They leave the bit unset that says the index names every block, and it does.
    assert out.getvalue() == data[:11] + b"\x80" + data[12:]


def multihash_of(case: dict[str, object]) -> bytes:
    code = case.get("code", case.get("encoding"))
    number = code["code"] if isinstance(code, dict) else code
    size = case["size"]
    assert isinstance(number, int)
    assert isinstance(size, int)
    return varint.encode(number) + varint.encode(size) + bytes.fromhex(str(case["hex"]))


@pytest.mark.parametrize("case", json.loads((HERE / "valid-multihash.json").read_text()), ids=str)
def test_a_valid_multihash_is_read(case: dict[str, object]) -> None:
    data = multihash_of(case)
    multihash, end = Multihash.read(data)
    assert (end, multihash.to_bytes()) == (len(data), data)


@pytest.mark.parametrize("case", json.loads((HERE / "invalid-multihash.json").read_text()), ids=str)
def test_an_invalid_multihash_is_refused(case: dict[str, object]) -> None:
    # As the project's own test does it: `hex` is the whole multihash, the other fields say why.
    with pytest.raises(VarintError):
        BlockName.from_bytes(b"\1\x55" + bytes.fromhex(str(case["hex"])))


def test_every_published_digest_is_the_one_we_compute() -> None:
    path = shared("multihash", "test_cases.csv")
    if path is None:
        pytest.skip("REDOXA_SHARED names no folder with the multihash test cases")
    with path.open(newline="") as file:
        cases = list(csv.DictReader(file))
    for case in cases:
        data = bytes.fromhex(case["multihash"])
        multihash, end = Multihash.read(data)
        assert (end, multihash.to_bytes()) == (len(data), data), case
        enough = len(multihash.digest) >= 20
        assert multihash.names([case["input"].encode()]) is (True if enough else None), case
        assert multihash.names([b"something else"]) is False
    assert len(cases) == 140


def test_blocks_of_other_codecs_pass_through_under_their_names() -> None:
    folder = shared("ipld-codec", "fixtures")
    if folder is None:
        pytest.skip("REDOXA_SHARED names no folder with the IPLD codec fixtures")
    blocks = {path.stem: path.read_bytes() for path in folder.glob("*/*") if path.is_file()}
    names = {text: _parsed(text) for text in blocks}
    sections = [names[text].data + data for text, data in sorted(blocks.items())]
    body = b"".join(varint.encode(len(section)) + section for section in sections)
    data = header_v1(list(names.values())) + body
    store = MemoryStore()
    found = import_car(store, io.BytesIO(data), "it")
    assert (found.blocks, found.foreign, found.unverified) == (157, 157, 0)
    assert {str(root) for root in found.roots} == blocks.keys()
    out = io.BytesIO()
    export_archive(store, open_archive(store, found.archive), out)
    assert out.getvalue() == data
    for section in sections:
        damaged = section[:-1] + bytes([section[-1] ^ 1])
        whole = header_v1([]) + varint.encode(len(damaged)) + damaged
        with pytest.raises(MalformedCarError, match="do not hash to its name"):
            import_car(MemoryStore(), io.BytesIO(whole), "it")


def _parsed(text: str) -> BlockName:
    return BlockName.from_bytes(base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8)))
