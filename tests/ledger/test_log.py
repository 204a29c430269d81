"""What a ledger promises when nobody harms it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cid_store.cid import Cid, Codec
from cid_store.encoding import encode
from cid_store.errors import UsageError
from cid_store.memory import MemoryStore
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.ledger import Checkpoint, Ledger, NoSuchEntryError, Receipt, merkle
from ring2_orchestrator.ledger.tiles import index_path, split_bundle

Reopen = Callable[[], Ledger]
Fill = Callable[[Ledger, int], None]
Unhurried = Callable[[], AbstractContextManager[None]]
START_NS = 1_700_000_000_000_000_000


def test_a_new_ledger_is_empty_and_proves_it(ledger: Ledger) -> None:
    assert len(ledger) == 0
    assert list(ledger.batches()) == []
    head = ledger.verify()
    assert head == Checkpoint.parse(ledger.checkpoint())
    assert (head.size, head.root_hash) == (0, merkle.EMPTY_ROOT)


def test_a_batch_comes_back_as_it_was(ledger: Ledger, store: MemoryStore) -> None:
    inner = store.put(b"a trace")
    entries = [{"trace": inner, "wall_s": 1.5, "doubts": ["network"]}, None, b"\x00", [1, 2]]
    receipt = ledger.append(entries, kind="run", subject="weak key")
    batch = ledger.read(0)
    assert list(batch.entries) == entries
    assert (batch.seq, batch.kind, batch.subject) == (0, "run", "weak key")
    assert batch.time_ns == START_NS
    assert (receipt.seq, receipt.size) == (0, 1)
    assert receipt.root_hash == receipt.leaf_hash == ledger.verify().root_hash


def test_the_batch_node_is_what_the_format_page_says(ledger: Ledger, store: MemoryStore) -> None:
    ledger.append([7], kind="run", subject="s")
    node = {"v": 1, "kind": "run", "subject": "s", "time_ns": START_NS, "entries": [7]}
    batch = Cid.of(encode(node), Codec.NODE)
    assert store.has(batch)
    leaf = encode({"v": 1, "batch": batch, "kind": "run", "subject": "s", "time_ns": START_NS})
    on_disk = (ledger.path / "tile" / "entries" / "000").read_bytes()
    assert on_disk == len(leaf).to_bytes(2, "big") + leaf
    assert (ledger.path / "tile" / "0" / "000").read_bytes() == merkle.leaf_hash(leaf)


def test_batches_are_found_by_kind_and_subject_in_both_orders(ledger: Ledger, fill: Fill) -> None:
    fill(ledger, 20)
    found = [batch.seq for batch in ledger.batches(kind="even", subject="subject-1")]
    assert found == [4, 10, 16]
    backwards = [batch.seq for batch in ledger.batches("even", "subject-1", newest_first=True)]
    assert backwards == [16, 10, 4]
    assert [batch.seq for batch in ledger.batches(kind="none")] == []


def test_a_subject_is_not_found_by_a_part_of_it(ledger: Ledger) -> None:
    ledger.append([], kind="run", subject="abc")
    ledger.append([], kind="run", subject="run")
    assert [seq for seq, _ in ledger.leaves(subject="ab")] == []
    assert [seq for seq, _ in ledger.leaves(subject="run")] == [1]


def test_another_handle_sees_every_append_and_adds_its_own(
    ledger: Ledger, reopen: Reopen, fill: Fill
) -> None:
    other = reopen()
    for _ in range(5):
        fill(ledger, 1)
        fill(other, 1)
    assert len(ledger) == len(other) == 10
    assert ledger.checkpoint() == other.checkpoint() == reopen().checkpoint()
    assert [batch.entries for batch in other.batches()] == [({"number": n},) for n in range(10)]


def test_every_earlier_checkpoint_stays_true(ledger: Ledger, fill: Fill) -> None:
    checkpoints = [ledger.checkpoint()]
    for _ in range(12):
        fill(ledger, 1)
        checkpoints.append(ledger.checkpoint())
    for text in checkpoints:
        assert ledger.verify(text).size == 12


def test_a_checkpoint_carries_the_root_over_all_leaves(ledger: Ledger, fill: Fill) -> None:
    fill(ledger, 7)
    hashes = [ledger.append([], kind="x", subject="y").leaf_hash for _ in range(3)]
    bundle = split_bundle((ledger.path / "tile" / "entries" / "000").read_bytes())
    leaves = [merkle.leaf_hash(entry) for entry in bundle.entries]
    assert leaves[7:] == hashes
    assert ledger.verify().root_hash == merkle.root_of(leaves)


@pytest.mark.slow
def test_a_log_grows_over_the_borders_of_its_tiles(
    ledger: Ledger, reopen: Reopen, unhurried: Unhurried
) -> None:
    roots: list[bytes] = []
    leaves: list[bytes] = []
    with unhurried():
        for number in range(515):
            receipt = ledger.append([number], kind="n", subject="s")
            leaves.append(receipt.leaf_hash)
            roots.append(receipt.root_hash)
            if number in (254, 255, 256, 511, 512):
                again = reopen()
                assert again.checkpoint() == ledger.checkpoint()
                assert again.verify(ledger.checkpoint()).size == number + 1
    for size in (1, 2, 255, 256, 257, 511, 512, 513, 515):
        assert roots[size - 1] == merkle.root_of(leaves[:size])
    assert (ledger.path / "tile" / "0" / "001").stat().st_size == 256 * 32
    assert (ledger.path / "tile" / "1" / "000").stat().st_size == 2 * 32
    assert reopen().read(300).entries == (300,)
    assert [batch.seq for batch in reopen().batches(newest_first=True)] == list(range(514, -1, -1))


@pytest.mark.slow
def test_threads_take_turns(ledger: Ledger) -> None:
    def append(number: int) -> Receipt:
        return ledger.append([number], kind="t", subject="s")

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(append, range(80)))
    assert sorted(receipt.seq for receipt in receipts) == list(range(80))
    assert ledger.verify().size == 80
    held = {batch.seq: batch.entries for batch in ledger.batches()}
    assert all(held[receipt.seq] == (n,) for n, receipt in enumerate(receipts))


def test_time_may_jump_without_disturbing_the_order(
    ledger: Ledger, clock: ManualClock, fill: Fill
) -> None:
    fill(ledger, 1)
    clock.wall_ns -= 10**18
    fill(ledger, 1)
    assert [batch.seq for batch in ledger.batches()] == [0, 1]
    assert ledger.verify().size == 2


def test_what_is_not_there_is_said(ledger: Ledger, fill: Fill) -> None:
    with pytest.raises(NoSuchEntryError, match="no entry 0; it holds no entry yet"):
        ledger.read(0)
    fill(ledger, 3)
    with pytest.raises(NoSuchEntryError, match="no entry 3; it holds 3 entries, 0 to 2"):
        ledger.read(3)
    with pytest.raises(NoSuchEntryError, match="no entry -1"):
        ledger.read(-1)


@pytest.mark.parametrize("kind", ["", "Run", "a b", "run\n", "x" * 33, "1run"])
def test_kinds_are_short_words(ledger: Ledger, kind: str) -> None:
    with pytest.raises(UsageError, match="a ledger kind is a short lower-case word"):
        ledger.append([], kind=kind, subject="s")


def test_subjects_are_bounded(ledger: Ledger) -> None:
    ledger.append([], kind="run", subject="é" * 2048)
    with pytest.raises(UsageError, match="at most 4096 bytes"):
        ledger.append([], kind="run", subject="é" * 2049)
    assert len(ledger) == 1


def test_closing_twice_is_harmless(ledger: Ledger, reopen: Reopen, fill: Fill) -> None:
    fill(ledger, 1)
    ledger.close()
    ledger.close()
    with reopen() as again:
        assert len(again) == 1


def test_two_ledgers_never_share_a_name(tmp_path: Path, store: MemoryStore) -> None:
    heads = [
        Ledger(tmp_path / name, store=store, clock=ManualClock()).verify() for name in ("a", "b")
    ]
    assert heads[0].origin != heads[1].origin


@pytest.mark.parametrize(
    ("index", "path"),
    [
        (0, "000"),
        (7, "007"),
        (999, "999"),
        (1000, "x001/000"),
        (70_000, "x070/000"),
        (1_234_067, "x001/x234/067"),  # the example of tlog-tiles
        (1_000_000_000, "x001/x000/x000/000"),
    ],
)
def test_tile_paths_are_those_of_tlog_tiles(index: int, path: str) -> None:
    assert index_path(index) == path


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 2**63)), max_size=9
    )
)
def test_a_ledger_behaves_like_a_list(
    tmp_path_factory: pytest.TempPathFactory,
    unhurried: Unhurried,
    steps: list[tuple[str, str, int]],
) -> None:
    model: list[tuple[str, str, int]] = []
    store, folder = MemoryStore(), tmp_path_factory.mktemp("ledger")
    ledger = Ledger(folder, store=store, clock=ManualClock())
    with unhurried():
        for kind, subject, value in steps:
            receipt = ledger.append([value], kind=kind, subject=subject)
            assert receipt.seq == len(model)
            model.append((kind, subject, value))
    found = Ledger(folder, store=store, clock=ManualClock())
    assert [(b.kind, b.subject, b.entries[0]) for b in found.batches()] == model
    for kind in "ab":
        wanted = [at for at, step in enumerate(model) if step[0] == kind]
        assert [b.seq for b in found.batches(kind=kind)] == wanted
        assert [b.seq for b in found.batches(kind=kind, newest_first=True)] == wanted[::-1]
    assert all(a < b for a, b in pairwise(seq for seq, _ in found.leaves()))
