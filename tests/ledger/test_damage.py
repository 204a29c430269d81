"""Every way to falsify a ledger is found, named, and never mended silently."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cid_store.memory import MemoryStore
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.ledger import Checkpoint, Ledger, LedgerDamagedError, merkle
from ring2_orchestrator.ledger.tiles import frame, split_bundle

Reopen = Callable[[], Ledger]
Fill = Callable[[Ledger, int], None]
Unhurried = Callable[[], AbstractContextManager[None]]
SIZE = 9


@pytest.fixture
def full(ledger: Ledger, fill: Fill, unhurried: Unhurried) -> Ledger:
    with unhurried():
        fill(ledger, SIZE)
    return ledger


def bundle_of(ledger: Ledger) -> Path:
    return ledger.path / "tile" / "entries" / "000"


def entries_of(ledger: Ledger) -> list[bytes]:
    return split_bundle(bundle_of(ledger).read_bytes()).entries


def write_entries(ledger: Ledger, entries: list[bytes]) -> None:
    bundle_of(ledger).write_bytes(b"".join(frame(entry) for entry in entries))


def altered(entry: bytes) -> bytes:
    return entry.replace(b"subject-", b"SUBJECT-")


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(ledger: Ledger, checkpoint: str | None = None) -> LedgerDamagedError:
    """The error of verify; whatever it finds, it changes nothing, and nobody may append."""
    before = files_of(ledger.path)
    with pytest.raises(LedgerDamagedError) as caught:
        ledger.verify(checkpoint)
    assert files_of(ledger.path) == before
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("seq", [0, 4, SIZE - 1])
def test_an_edited_entry_is_named(full: Ledger, reopen: Reopen, seq: int) -> None:
    entries = entries_of(full)
    entries[seq] = altered(entries[seq])
    write_entries(full, entries)
    error = refused(reopen())
    assert error.entry == seq
    assert f"entry {seq} was altered; nothing was changed by this check" in str(error)
    before = files_of(full.path)
    with pytest.raises(LedgerDamagedError, match=f"entry {seq} was altered"):
        reopen().append([], kind="k", subject="s")
    with pytest.raises(LedgerDamagedError, match=f"entry {seq} was altered"):
        reopen().read(0)
    assert files_of(full.path) == before


def test_swapped_entries_are_named(full: Ledger, reopen: Reopen) -> None:
    entries = entries_of(full)
    entries[2], entries[6] = entries[6], entries[2]
    write_entries(full, entries)
    error = refused(reopen())
    assert error.entry == 2
    assert "entries 2 and 6 changed places" in str(error)


@pytest.mark.parametrize("seq", [0, 3, SIZE - 2])
def test_a_removed_entry_is_named(full: Ledger, reopen: Reopen, seq: int) -> None:
    entries = entries_of(full)
    del entries[seq]
    write_entries(full, entries)
    error = refused(reopen())
    assert error.entry == seq
    assert f"entry {seq} was removed" in str(error)


@pytest.mark.parametrize("keep", [0, 1, SIZE - 1])
def test_a_truncated_log_names_the_first_missing(full: Ledger, reopen: Reopen, keep: int) -> None:
    write_entries(full, entries_of(full)[:keep])
    error = refused(reopen())
    assert error.entry == keep
    assert f"entry {keep} and all after it are missing; the checkpoint covers 9" in str(error)


def test_a_bundle_cut_inside_a_covered_entry_is_not_a_torn_tail(
    full: Ledger, reopen: Reopen
) -> None:
    path = bundle_of(full)
    path.write_bytes(path.read_bytes()[:-1])
    error = refused(reopen())
    assert error.entry == SIZE - 1
    with pytest.raises(LedgerDamagedError):
        reopen().append([], kind="k", subject="s")


def test_an_inserted_entry_is_named(full: Ledger, reopen: Reopen) -> None:
    entries = entries_of(full)
    entries.insert(5, altered(entries[5]))
    write_entries(full, entries)
    error = refused(reopen())
    assert error.entry == 5
    assert "a foreign entry was inserted before entry 5" in str(error)


def test_an_entry_repeated_over_another_is_named(full: Ledger, reopen: Reopen) -> None:
    entries = entries_of(full)
    entries[1] = entries[7]
    write_entries(full, entries)
    error = refused(reopen())
    assert (error.entry, "entry 1 was replaced by entry 7" in str(error)) == (1, True)


def test_an_edit_with_its_hash_replaced_is_still_found(full: Ledger, reopen: Reopen) -> None:
    entries = entries_of(full)
    entries[4] = altered(entries[4])
    write_entries(full, entries)
    hashes = b"".join(merkle.leaf_hash(entry) for entry in entries)
    (full.path / "tile" / "0" / "000").write_bytes(hashes)
    error = refused(reopen())
    assert "do not give the root hash in the file `checkpoint`" in str(error)


def forge(ledger: Ledger, entries: list[bytes]) -> None:
    """Rewrite history consistently: entries, hashes and checkpoint."""
    write_entries(ledger, entries)
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    (ledger.path / "tile" / "0" / "000").write_bytes(b"".join(hashes))
    origin = (ledger.path / "checkpoint").read_text().split("\n")[0]
    head = Checkpoint(origin, len(entries), merkle.root_of(hashes))
    (ledger.path / "checkpoint").write_text(head.text)


def test_a_rollback_is_found_by_a_checkpoint_kept_elsewhere(full: Ledger, reopen: Reopen) -> None:
    kept = full.checkpoint()
    forge(full, entries_of(full)[:6])
    assert reopen().verify().size == 6  # alone, a ledger cannot know that it was longer
    error = refused(reopen(), kept)
    assert error.entry == 6
    assert "was rolled back: entry 6 and all after it are missing" in str(error)
    with pytest.raises(LedgerDamagedError, match="was rolled back"):
        len(full)  # a process that saw more entries is a witness, too


def test_a_fork_is_found_by_a_checkpoint_kept_elsewhere(full: Ledger, reopen: Reopen) -> None:
    kept = full.checkpoint()
    entries = entries_of(full)
    forge(full, [*entries[:5], altered(entries[5]), *entries[6:], entries[0]])
    assert "was rewritten: its first 9 entries (0 to 8)" in str(refused(reopen(), kept))


def test_a_fork_of_equal_length_is_found(full: Ledger, reopen: Reopen) -> None:
    kept = full.checkpoint()
    entries = entries_of(full)
    forge(full, [*entries[:-1], altered(entries[-1])])
    assert "was rewritten" in str(refused(reopen(), kept))


def test_another_ledger_is_not_taken_for_this_one(
    full: Ledger, reopen: Reopen, tmp_path: Path, store: MemoryStore, clock: ManualClock
) -> None:
    stranger = Ledger(tmp_path / "other", store=store, clock=clock).checkpoint()
    assert "the ledger was replaced, or the checkpoint is another's" in str(
        refused(reopen(), stranger)
    )


def test_a_rolled_back_checkpoint_is_found_without_help(
    full: Ledger, reopen: Reopen, fill: Fill
) -> None:
    early = (full.path / "checkpoint").read_bytes()
    fill(full, 3)
    (full.path / "checkpoint").write_bytes(early)
    error = refused(reopen())
    assert error.entry == SIZE
    assert "the file `checkpoint` was rolled back" in str(error)
    with pytest.raises(LedgerDamagedError, match="rolled back"):
        reopen().append([], kind="k", subject="s")


@pytest.mark.parametrize("text", [b"x", b"a\n1\n", b"a\n01\nAAAA\n", b"\xff\xfe"])
def test_a_damaged_checkpoint_is_said(full: Ledger, reopen: Reopen, text: bytes) -> None:
    (full.path / "checkpoint").write_bytes(text)
    assert "checkpoint" in str(refused(reopen()))


def test_a_missing_checkpoint_is_not_a_new_ledger(full: Ledger, reopen: Reopen) -> None:
    (full.path / "checkpoint").unlink()
    with pytest.raises(
        LedgerDamagedError, match="entries but its file `checkpoint` is missing or empty"
    ):
        reopen()
    (full.path / "checkpoint").touch()  # an empty one is no better
    with pytest.raises(
        LedgerDamagedError, match="entries but its file `checkpoint` is missing or empty"
    ):
        reopen()
    with pytest.raises(LedgerDamagedError, match="`checkpoint` is missing or empty"):
        full.verify()


@pytest.mark.parametrize("keep", [0, 4])
@pytest.mark.parametrize("keep_hashes", [0, 2, 4])
def test_what_is_missing_with_its_hashes_is_called_missing(
    full: Ledger, reopen: Reopen, keep: int, keep_hashes: int
) -> None:
    tile = full.path / "tile"
    entries = b"".join(map(frame, entries_of(full)[:keep]))
    (tile / "entries" / "000").write_bytes(entries)
    os.truncate(tile / "0" / "000", keep_hashes * merkle.HASH_BYTES)
    error = refused(reopen())
    assert error.entry == keep
    assert f"entry {keep} and all after it are missing; the checkpoint covers 9" in str(error)


def test_a_log_without_its_tiles_is_called_missing(full: Ledger, reopen: Reopen) -> None:
    shutil.rmtree(full.path / "tile")
    error = refused(reopen())
    assert "entry 0 and all after it are missing; the checkpoint covers 9" in str(error)


def test_a_missing_or_altered_batch_is_found(full: Ledger, store: MemoryStore) -> None:
    batch = full.leaf(3).batch
    kept = bytes(store._objects.pop(batch))
    error = refused(full)
    assert error.entry == 3
    assert "the batch of entry 3 is lost: object" in str(error)
    store._objects[batch] = kept[:-1] + b"\x00"
    assert "the batch of entry 3 is lost: object" in str(refused(full))
    store._objects[batch] = kept
    assert full.verify().size == SIZE


def test_a_batch_that_is_not_the_leaf_s_is_found(full: Ledger, reopen: Reopen) -> None:
    # The log may be forged consistently, but a leaf cannot dress another batch as its own.
    entries = entries_of(full)
    first, second = full.leaf(0), full.leaf(1)
    mixed = entries[0].replace(first.batch.to_bytes(), second.batch.to_bytes())
    forge(full, [mixed, *entries[1:]])
    error = refused(reopen())
    assert (error.entry, "does not say what its ledger entry says" in str(error)) == (0, True)


def test_a_missing_ledger_folder_begins_anew_but_not_for_a_witness(
    full: Ledger, reopen: Reopen
) -> None:
    kept = full.checkpoint()
    shutil.rmtree(full.path)
    assert "the ledger was replaced" in str(refused(reopen(), kept))


@pytest.fixture(scope="module")
def long_log(
    tmp_path_factory: pytest.TempPathFactory, unhurried: Unhurried
) -> tuple[Path, MemoryStore]:
    folder, store = tmp_path_factory.mktemp("long") / "ledger", MemoryStore()
    ledger = Ledger(folder, store=store, clock=ManualClock())
    with unhurried():
        for number in range(530):
            ledger.append([number], kind="n", subject=f"subject-{number}")
    return folder, store


@pytest.mark.slow
@pytest.mark.parametrize("seq", [0, 100, 255, 256, 400, 511, 512, 529])
def test_an_edit_in_a_long_log_is_named(
    long_log: tuple[Path, MemoryStore], tmp_path: Path, seq: int
) -> None:
    folder, store = long_log
    shutil.copytree(folder, tmp_path / "ledger")
    ledger = Ledger(tmp_path / "ledger", store=store, clock=ManualClock())
    path = ledger.path / "tile" / "entries" / f"{seq // 256:03d}"
    data = bytearray(path.read_bytes())
    data[split_bundle(bytes(data)).offsets[seq % 256] + 20] ^= 1
    path.write_bytes(bytes(data))
    assert refused(ledger).entry == seq
    with pytest.raises(LedgerDamagedError, match=f"entry {seq} "):
        ledger.read(seq)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tile", "at", "entry", "first"),
    [("0/000", 7, 7, 0), ("0/001", 1, 257, 256), ("1/000", 1, 256, 0)],
)
def test_damaged_hashes_are_told_from_damaged_entries_and_rebuilt(
    long_log: tuple[Path, MemoryStore],
    tmp_path: Path,
    *,
    tile: str,
    at: int,
    entry: int,
    first: int,
) -> None:
    folder, store = long_log
    shutil.copytree(folder, tmp_path / "ledger")
    path = tmp_path / "ledger" / "tile" / tile
    good = path.read_bytes()
    bad = bytearray(good)
    bad[32 * at] ^= 0x80
    path.write_bytes(bytes(bad))
    ledger = Ledger(tmp_path / "ledger", store=store, clock=ManualClock())
    error = refused(ledger)
    assert error.entry == entry
    assert f"tile/{tile} is damaged at entry {entry}, but every entry is intact" in str(error)
    assert ledger.rebuild() == 1
    assert path.read_bytes() == good
    assert ledger.verify().size == 530
    path.unlink()
    assert refused(ledger).entry == first
    assert ledger.rebuild() == 1
    assert ledger.verify().size == 530


@pytest.mark.slow
@pytest.mark.parametrize("tile", ["0/002", "1/000", "2/000"])
@pytest.mark.parametrize("more", [b"\x01", bytes(range(32)), bytes(40)])
def test_hashes_that_nothing_belongs_to_are_found_and_taken_away(
    long_log: tuple[Path, MemoryStore], tmp_path: Path, tile: str, more: bytes
) -> None:
    folder, store = long_log
    shutil.copytree(folder, tmp_path / "ledger")
    path = tmp_path / "ledger" / "tile" / tile
    good = path.read_bytes() if path.exists() else b""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(good + more)
    ledger = Ledger(tmp_path / "ledger", store=store, clock=ManualClock())
    refused(ledger)
    before = files_of(ledger.path)
    with pytest.raises(LedgerDamagedError, match=f"tile/{tile}"):
        ledger.append([], kind="k", subject="s")
    assert files_of(ledger.path) == before
    assert ledger.rebuild() == 1
    assert path.read_bytes() == good
    assert ledger.verify().size == 530
    ledger.append([], kind="k", subject="s")


@pytest.mark.parametrize("deed", ["flip", "swap"])
def test_wrong_hashes_of_the_newest_entries_are_found_before_an_append(
    full: Ledger, reopen: Reopen, deed: str
) -> None:
    tile = full.path / "tile" / "0" / "000"
    good = tile.read_bytes()
    if deed == "flip":
        tile.write_bytes(good[:70] + bytes([good[70] ^ 4]) + good[71:])
    else:
        tile.write_bytes(good[:32] + good[64:96] + good[32:64] + good[96:])
    error = refused(reopen())
    assert "tile/0/000 is damaged at entry" in str(error)
    with pytest.raises(LedgerDamagedError, match="is damaged at entry"):
        reopen().append([], kind="k", subject="s")
    assert reopen().rebuild() == 1
    assert tile.read_bytes() == good


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_change_of_any_byte_passes(full: Ledger, data: st.DataObject) -> None:
    """Flip, cut or grow any file: verify says so, or the file was one that proves nothing."""
    kept = full.checkpoint()
    before = files_of(full.path)
    name = data.draw(st.sampled_from(["checkpoint", "tile/entries/000"]))
    content = before[name]
    how = data.draw(st.sampled_from(["flip", "cut"]))
    at = data.draw(st.integers(0, len(content) - 1))
    bad = bytearray(content)
    if how == "flip":
        bad[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del bad[at:]
    (full.path / name).write_bytes(bytes(bad))
    try:
        with pytest.raises(LedgerDamagedError):
            Ledger(full.path, store=full._store, clock=full._clock).verify(kept)
    finally:
        (full.path / name).write_bytes(content)
    assert full.verify(kept).size == SIZE


@pytest.mark.parametrize("name", ["checkpoint", "origin"])
@pytest.mark.parametrize("change", ["one digit", "a letter more", "another's"])
def test_a_changed_origin_is_found_without_another_copy(
    full: Ledger, reopen: Reopen, name: str, change: str
) -> None:
    """No hash covers it, so it is kept twice."""
    place = full.path / name
    line, rest = place.read_bytes().split(b"\n", 1)
    changed = {
        "one digit": line[:-1] + (b"1" if line.endswith(b"0") else b"0"),
        "a letter more": b"x" + line,
        "another's": b"redoxa/ledger/0123456789abcdef",
    }
    place.write_bytes(changed[change] + b"\n" + rest)
    assert "the file `origin` says 'redoxa/ledger/" in str(refused(reopen())) or name == "origin"
    assert "compare both with a checkpoint kept elsewhere" in str(refused(reopen()))
    with pytest.raises(LedgerDamagedError, match="the file `checkpoint` is of"):
        reopen().append([], kind="k", subject="s")


def test_an_emptied_origin_is_found_and_a_missing_one_is_made_by_the_next_append(
    full: Ledger, reopen: Reopen
) -> None:
    place = full.path / "origin"
    kept = place.read_bytes()
    place.write_bytes(b"")
    refused(reopen())
    place.unlink()  # as in a ledger that was begun when there was no such file
    head = reopen().verify()
    assert not place.exists()
    reopen().append([], kind="k", subject="s")
    assert place.read_bytes() == kept == f"{head.origin}\n".encode()
    reopen().verify()


def test_a_bundle_missing_with_its_hashes_is_called_missing(
    long_log: tuple[Path, MemoryStore], tmp_path: Path
) -> None:
    folder = tmp_path / "ledger"
    shutil.copytree(long_log[0], folder)
    (folder / "tile" / "entries" / "000").unlink()
    (folder / "tile" / "0" / "000").unlink()
    error = refused(Ledger(folder, store=long_log[1], clock=ManualClock()))
    assert (error.entry, "entry 0 is missing;" in str(error)) == (0, True), error
