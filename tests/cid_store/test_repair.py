"""Repairing, sampling, counting: what is there is found, what is lost is named, none made up."""

import io
import json
import shutil
from pathlib import Path

import pytest

from cid_store.cid import Cid, Codec
from cid_store.errors import CorruptObjectError, MissingObjectError
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from ring2_orchestrator.home import Home
from tests.cid_store.conftest import BLOBS, CIDS, begin_pack, check_whole, pack_of, remove_index
from tests.cid_store.test_store import MIB, random_bytes
from tests.cid_store.test_store_command import Shell, shell

__all__ = ["shell"]  # the fixture


def spoil(path: Path, data: bytes, *, header: bool = False) -> None:
    """Damage the one record that holds these bytes, or its header."""
    pack = bytearray(pack_of(path).read_bytes())
    assert pack.count(data) == 1
    pack[pack.index(data) - (64 if header else 0)] ^= 1
    pack_of(path).write_bytes(pack)


def test_a_sound_store_is_repaired_to_what_it_was(path: Path) -> None:
    with LocalStore(path) as store:
        before = store.stat()
        done = store.repair()
        assert (done.lost, done.roots, done.starts, done.found.damage) == ((), (), 0, ())
        assert store.stat()[:4] == before[:4]
        check_whole(store)


@pytest.mark.parametrize("header", [True, False])
def test_what_is_lost_is_named_with_the_roots_that_need_it(path: Path, header: bool) -> None:
    with LocalStore(path) as store:
        leaf = store.put(b"the leaf that is lost")
        middle = put_node(store, [leaf, CIDS[3]])
        store.set_root("memo/top", put_node(store, {"a": [middle]}))
        store.set_root("memo/other", put_node(store, {"b": CIDS[3]}))
        store.put(b"the append after it: what is damaged before it was no crash")
    spoil(path, b"the leaf that is lost", header=header)
    with LocalStore(path) as store:
        done = store.repair(
            live=[middle, CIDS[3], leaf],
            derives=again,
        )
        assert done.lost == (leaf,)
        assert [root[0] for root in done.roots] == ["memo/top"]
        assert done.roots[0].lost == leaf
        assert done.roots[0].again == "make memo/top again"
        assert done.starts == 2
        expected = MissingObjectError if header else CorruptObjectError
        with pytest.raises(expected):
            store.get(leaf)
        check_other(store)
        store.put(b"the leaf that is lost")
        done = store.repair()
        assert (done.lost, done.roots) == ((), ())
        assert store.get(leaf) == b"the leaf that is lost"


def again(name: str, cid: Cid) -> str | None:
    return f"make {name} again" if name.startswith("memo/") else None


def check_other(store: LocalStore) -> None:
    assert [store.get(cid) for cid in CIDS] == BLOBS


def test_a_lost_pack_and_a_lost_node_hide_what_they_named(path: Path) -> None:
    with LocalStore(path) as store:
        begin_pack(store)
        node = put_node(store, [CIDS[5]])
        begin_pack(store)
        store.set_root("top", put_node(store, [node]))
    pack_of(path, 2).rename(path / "elsewhere")
    with LocalStore(path) as store:
        assert not store.verify().ok
        assert store.verify().lost == (node,)
        done = store.repair()
        assert done.lost == (node,)
        assert [(root.name, root.lost, root.again) for root in done.roots] == [("top", node, None)]
        check_other(store)
    (path / "elsewhere").rename(pack_of(path, 2))
    with LocalStore(path) as store:
        assert store.repair().lost == ()  # the pack is back, and is believed again
        assert store.get(node)
        assert store.verify().ok


def test_a_blob_that_lost_a_chunk_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "store"
    data = random_bytes(2 * MIB + 5)
    with LocalStore(path) as store:
        blob = store.put_stream(io.BytesIO(data))
        store.set_root("blob", blob)
    spoil(path, data[MIB : MIB + 64])
    with LocalStore(path) as store:
        done = store.repair()
        assert set(done.lost) == {blob, Cid.of(data[MIB : 2 * MIB])}
        assert [root.name for root in done.roots] == ["blob"]
        store.put_stream(io.BytesIO(data))
        assert store.repair().lost == ()


def test_a_damaged_store_is_repaired_without_an_index(path: Path) -> None:
    spoil(path, BLOBS[20])
    remove_index(path)
    with LocalStore(path) as store:
        done = store.repair()
        assert done.lost == (CIDS[20],)
        assert len(done.found.damage) == 1


def test_a_sample_reads_its_share_and_every_header(path: Path) -> None:
    with LocalStore(path) as store:
        blobs = [b"%d" % at for at in range(2000)]
        store.put_many(blobs)
        seen: list[float] = []
        report = store.verify(seen.append, sample=0.25)
        assert report.ok
        assert report.objects + report.unread == store.stat().objects
        assert 300 < report.objects < 700  # 510 expected; the odds against are astronomical
        assert len(seen) == report.objects
        assert store.verify(sample=0.25).objects + store.verify(sample=1e-6).unread > 2000
    spoil(path, BLOBS[39], header=True)
    with LocalStore(path) as store:
        assert not store.verify(sample=1e-6).ok


def test_a_sample_finds_in_time_what_is_damaged(path: Path) -> None:
    spoil(path, BLOBS[20])
    with LocalStore(path) as store:
        found = [store.verify(sample=0.5).ok for _ in range(60)]
        assert not all(found)
        assert any(found)


def test_the_census_counts_by_codec_and_by_pack(tmp_path: Path) -> None:
    with LocalStore(tmp_path / "store") as store:
        assert store.census().packs == ()
        store.put_many([b"12345", b""])
        put_node(store, ["node"])
        begin_pack(store)
        store.put_stream(io.BytesIO(bytes(2 * MIB)))
        store.set_root("a", Cid.of(b""))
        census = store.census()
        # Two equal chunks and their list: 48 bytes and a digest of 32 for each.
        assert census.codecs == {Codec.RAW: (4, 5 + MIB + 48 + 64), Codec.NODE: (1, 6)}
        assert census.in_chunks == 1
        assert [pack[:2] for pack in census.packs] == [(1, 3), (2, 2)]
        assert census.packs[0].used == (64 + 64) + 64 + (64 + 64)
        assert census.packs[0].dead == 0
        assert census.packs[1].dead == 64 + 64  # the record of the root


# The commands


def test_stat_tells_codecs_and_packs(shell: Shell) -> None:
    with LocalStore(shell.home / "store") as store:
        store.put(b"12345")
        put_node(store, ["node"])
    stat = json.loads(shell("stat", "--json")[1])
    assert stat["codecs"] == {
        "raw": {"objects": 1, "bytes": 5},
        "node": {"objects": 1, "bytes": 6},
    }
    assert stat["pack_fill"] == [{"number": 1, "objects": 2, "used": 256, "dead": 0}]
    assert (stat["dead_bytes"], stat["in_chunks"]) == (0, 0)
    lines = shell("stat")[1].decode().splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["2", "1", "1"]


def test_verify_takes_a_share(shell: Shell) -> None:
    with LocalStore(shell.home / "store") as store:
        store.put_many(b"%d" % at for at in range(300))
    for share in ("50%", "0.5"):
        code, out, _ = shell("verify", "--sample", share)
        assert code == 0
        assert "objects were not read" in out.decode()
    for share in ("0", "101%", "2", "half", "-1"):
        code, _, message = shell("verify", f"--sample={share}")
        assert code == 2
        assert f"{share!r} is no share; write 5% or 0.05" in message


def test_repair_says_what_is_lost_and_how_to_get_it(shell: Shell) -> None:
    with Home(shell.home) as home:
        leaf = home.store.put(b"the printed output")
        home.store.set_root("memo/abc/1", put_node(home.store, [leaf]))
        home.store.set_root("mine", leaf)
        home.ledger.append([{"saw": leaf}], kind="run", subject="test")
    code, out, message = shell("repair")
    assert (code, message) == (0, "")
    assert out.startswith(b"the index is made anew: 3 objects and 2 roots are there; 0 objects")
    spoil(shell.home / "store", b"the printed output")
    code, out, message = shell("repair")
    assert code == 4
    assert b"1 objects are lost, 2 roots need them" in out
    assert f"root 'memo/abc/1' has lost {leaf}; run the command again" in message
    assert f"root 'mine' has lost {leaf}; put the same bytes again" in message
    assert "1 batches of the ledger have lost something of what they name" in message
    found = json.loads(shell("repair", "--json")[1])
    assert found["lost"] == [str(leaf)]
    assert [root["how"] for root in found["lost_roots"]] == ["run the command again", None]
    shutil.rmtree(shell.home / "ledger")
    assert json.loads(shell("repair", "--json")[1])["lost_batches"] == 0
