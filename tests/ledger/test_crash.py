"""Killed at any moment, a ledger opens again and holds everything it acknowledged."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
import pytest

from cid_store.errors import UnavailableError
from cid_store.memory import MemoryStore
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import (
    Ledger,
    LedgerBusyError,
    LedgerUnreadableError,
    LedgerWriteError,
    durable,
    log,
)
from ring2_orchestrator.ledger.tiles import frame, split_bundle

Reopen = Callable[[], Ledger]
Fill = Callable[[Ledger, int], None]
Unhurried = Callable[[], AbstractContextManager[None]]
HERE = Path(__file__).parent
FOREVER = 10**9


def start(home: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "appender.py"), str(home), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
    )


def kill_while_appending(home: Path, wait_s: float, writers: int) -> list[tuple[int, str, int]]:
    """Start writers, kill them all after the first receipt and a while; what was acknowledged."""
    children = [start(home, f"writer-{number}", FOREVER) for number in range(writers)]
    first = children[0].stdout
    assert first is not None
    said = [first.readline()]
    with suppress(subprocess.TimeoutExpired):
        children[0].wait(wait_s)
    for child in children:
        child.kill()
    for child in children:
        rest, _ = child.communicate()
        said += rest.splitlines(keepends=True)
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(int(seq), name, int(number)) for seq, name, number in whole]


def check(home: Path, acknowledged: list[tuple[int, str, int]], kept: str | None) -> str:
    """Everything acknowledged is in place, the log verifies, extends `kept`, and takes more."""
    with Home(home) as again:
        ledger = again.ledger
        ledger.append(["settled"], kind="t", subject="checker")
        ledger.verify(kept)
        held = {seq: leaf.subject for seq, leaf in ledger.leaves(kind="t")}
        for seq, name, number in acknowledged:
            assert held[seq] == name
            assert ledger.read(seq).entries == ({"writer": name, "number": number},)
        return ledger.checkpoint()


def torment(home: Path, kills: int) -> int:
    """How many receipts survived that many kills, one in three with two writers."""
    draw = np.random.Generator(np.random.PCG64(kills))
    kept, total = None, 0
    for turn in range(kills):
        wait_s = float(draw.uniform(0, 0.04))
        acknowledged = kill_while_appending(home, wait_s, writers=1 + (turn % 3 == 2))
        kept = check(home, acknowledged, kept)
        total += len(acknowledged)
    return total


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_six_kills(tmp_path: Path) -> None:
    assert torment(tmp_path, 6) >= 6


@pytest.mark.long
def test_nothing_acknowledged_is_lost_in_two_hundred_kills(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    record_testsuite_property("receipts that survived 200 kills", torment(tmp_path, 200))


@pytest.mark.slow
def test_processes_take_turns(tmp_path: Path) -> None:
    children = [start(tmp_path, f"writer-{number}", 25) for number in range(3)]
    said = [child.communicate()[0] for child in children]
    acknowledged = [
        (int(seq), name, int(number))
        for seq, name, number in (line.split() for text in said for line in text.splitlines())
    ]
    assert sorted(seq for seq, _, _ in acknowledged) == list(range(75))
    check(tmp_path, acknowledged, None)


# What a crash leaves, byte for byte: every length of a torn write, and the whole entry.


def crash(ledger: Ledger, keep: int | None) -> bytes:
    """Append, then undo all but the first `keep` bytes of the entry's frame; the frame."""
    head = (ledger.path / "checkpoint").read_bytes()
    bundle = ledger.path / "tile" / "entries" / "000"
    before = bundle.read_bytes()
    ledger.append(["in flight"], kind="t", subject="s")
    framed = bundle.read_bytes()[len(before) :]
    bundle.write_bytes(before + framed[:keep])
    (ledger.path / "checkpoint").write_bytes(head)
    return framed


@pytest.mark.parametrize("keep", [1, 2, 3, 50, -1])
def test_a_torn_tail_is_cut_off(ledger: Ledger, reopen: Reopen, fill: Fill, keep: int) -> None:
    fill(ledger, 3)
    kept = ledger.checkpoint()
    crash(ledger, keep)
    again = reopen()
    assert again.verify(kept).size == 3  # a torn tail is no damage
    receipt = again.append(["after"], kind="t", subject="s")
    assert receipt.seq == 3
    assert again.verify(kept).size == 4
    assert again.read(3).entries == ("after",)


def test_an_entry_that_became_whole_is_adopted(ledger: Ledger, reopen: Reopen, fill: Fill) -> None:
    fill(ledger, 3)
    kept = ledger.checkpoint()
    crash(ledger, None)
    again = reopen()
    assert again.append(["after"], kind="t", subject="s").seq == 4
    assert again.read(3).entries == ("in flight",)
    assert again.verify(kept).size == 5


@pytest.mark.parametrize("filler", [b"\x00", b"\xff"])
def test_blocks_that_never_reached_the_disk_are_cut_off(
    ledger: Ledger, reopen: Reopen, fill: Fill, filler: bytes
) -> None:
    # After a power cut a file may have its new length and none of its new bytes.
    fill(ledger, 2)
    bundle = ledger.path / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes() + filler * 200)
    again = reopen()
    assert again.append(["after"], kind="t", subject="s").seq == 2
    assert again.verify().size == 3


@pytest.mark.parametrize("lost", [b"", b"\x00" * 32 * 3])
def test_a_growing_hash_tile_that_was_lost_is_made_again(
    ledger: Ledger, reopen: Reopen, fill: Fill, lost: bytes
) -> None:
    fill(ledger, 3)
    tile = ledger.path / "tile" / "0" / "000"
    good = tile.read_bytes()
    tile.write_bytes(lost)
    assert reopen().verify().size == 3
    again = reopen()
    again.append([], kind="t", subject="s")
    assert tile.read_bytes()[:96] == good
    assert again.verify().size == 4


def test_a_crash_before_the_first_checkpoint_leaves_a_new_ledger(
    tmp_path: Path, reopen: Reopen
) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "lock").touch()
    (tmp_path / "ledger" / "checkpoint.new").write_text("redoxa/led")
    assert len(reopen()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [255, 256])
def test_a_crash_at_the_border_of_a_bundle(
    ledger: Ledger, reopen: Reopen, unhurried: Unhurried, size: int
) -> None:
    with unhurried():
        for number in range(size):
            ledger.append([number], kind="t", subject="s")
    head, kept = (ledger.path / "checkpoint").read_bytes(), ledger.checkpoint()
    ledger.append(["in flight"], kind="t", subject="s")
    (ledger.path / "checkpoint").write_bytes(head)
    again = reopen()
    assert again.verify(kept).size == size
    assert again.append(["after"], kind="t", subject="s").seq == size + 1
    assert again.read(size).entries == ("in flight",)
    assert again.verify(kept).size == size + 2


# The disk and the neighbours may refuse.


@pytest.mark.parametrize("fails", ["fdatasync", "pwrite", "fsync"])
def test_after_a_failed_write_the_log_is_whole(
    ledger: Ledger, reopen: Reopen, fill: Fill, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger, 3)
    kept = ledger.checkpoint()

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, fails, refuse)
        with pytest.raises(
            LedgerWriteError, match=r"cannot be written \(No space left on device\)"
        ):
            ledger.append(["lost"], kind="t", subject="s")
    for handle in (ledger, reopen()):
        handle.append(["after"], kind="t", subject="s")
        handle.verify(kept)
        assert next(handle.batches(newest_first=True)).entries == ("after",)


class FailingCall:
    """Counts calls through it and fails the one of a given number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0

    def around(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            self.calls += 1
            if self.calls == self.number:
                raise OSError(5, "Input/output error")
            return real(*args, **options)

        return call


def append_with_failure(folder: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Fail one call of an append, then check the log; whether there was such a call."""
    store, clock = MemoryStore(), ManualClock()
    ledger = Ledger(folder, store=store, clock=clock)
    for value in range(2):
        ledger.append([value], kind="t", subject="s")
    kept, failing = ledger.checkpoint(), FailingCall(number)
    with monkeypatch.context() as patch:
        for name in ("open", "pwrite", "fdatasync", "fsync", "replace", "ftruncate"):
            patch.setattr(os, name, failing.around(getattr(os, name)))
        with suppress(UnavailableError):
            ledger.append(["maybe"], kind="t", subject="s")
    again = Ledger(folder, store=store, clock=clock)
    again.append(["after"], kind="t", subject="s")
    again.verify(kept)
    found = [batch.entries[0] for batch in again.batches()]
    assert found in ([0, 1, "after"], [0, 1, "maybe", "after"])
    return failing.calls >= number


def test_every_call_may_be_the_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 1
    while append_with_failure(tmp_path / str(number), number, monkeypatch):
        number += 1
    assert number > 8


def test_a_lock_that_is_never_released_is_said(
    ledger: Ledger, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LOCK_TIMEOUT_S", 0.05)
    with durable.locked(ledger.path / "lock", timeout_s=1):
        with pytest.raises(LedgerBusyError, match=r"another process has held .*lock for 0.05 s"):
            reopen().append([], kind="t", subject="s")
        assert reopen().verify().size == 0  # readers wait for nobody


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, store: MemoryStore) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerWriteError, match="cannot be written"):
        Ledger(tmp_path / "file" / "ledger", store=store, clock=ManualClock())


def test_a_file_that_cannot_be_read_is_said(ledger: Ledger, reopen: Reopen, fill: Fill) -> None:
    fill(ledger, 1)
    bundle = ledger.path / "tile" / "entries" / "000"
    bundle.rename(ledger.path / "elsewhere")
    bundle.symlink_to(ledger.path / "elsewhere")
    with pytest.raises(
        LedgerUnreadableError, match=r"entries/000 is a symbolic link, and none is followed"
    ):
        reopen().read(0)


def test_frames_split_where_they_were_joined() -> None:
    entries = [b"", b"x", b"y" * 65535]
    bundle = split_bundle(b"".join(map(frame, entries)) + b"\x00\x09torn")
    assert (bundle.entries, bundle.rest) == (entries, b"\x00\x09torn")
    assert [bundle.end_of(count) for count in range(4)] == [0, 2, 5, 5 + 65537]
