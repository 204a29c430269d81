"""Several batches appended at once are as good as one after the other, and as safe in a crash."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import count
from pathlib import Path

import pytest

from cid_store.errors import UnavailableError
from cid_store.memory import MemoryStore
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.ledger import Draft, Ledger, LedgerDamagedError
from tests.ledger.test_crash import FailingCall

Reopen = Callable[[], Ledger]
Unhurried = Callable[[], AbstractContextManager[None]]


def drafts(count: int, first: int = 0) -> list[Draft]:
    return [Draft([number], "t", f"s{number}", number) for number in range(first, first + count)]


def numbers(ledger: Ledger) -> list[object]:
    return [batch.entries[0] for batch in ledger.batches()]


def files(ledger: Ledger) -> dict[str, bytes]:
    tiles = [path for path in (ledger.path / "tile").rglob("*") if path.is_file()]
    return {str(path.relative_to(ledger.path)): path.read_bytes() for path in tiles}


@pytest.mark.parametrize(("before", "more"), [(0, 1), (3, 2), (0, 256), (0, 300), (255, 258)])
def test_it_is_as_if_one_came_after_the_other(
    tmp_path: Path, store: MemoryStore, unhurried: Unhurried, before: int, more: int
) -> None:
    def begin(name: str) -> Ledger:
        return Ledger(tmp_path / name, store=store, clock=ManualClock())

    with unhurried():
        at_once, apart = begin("at once"), begin("apart")
        at_once.append_all([])
        at_once.append_all(drafts(before))
        at_once.append_all(drafts(more, before))
        for draft in drafts(before + more):
            apart.append(draft.entries, kind="t", subject=draft.subject, time_ns=draft.time_ns)
    assert at_once.head().root_hash == apart.head().root_hash
    assert files(at_once) == files(apart)
    assert begin("at once").verify().size == before + more


class Crashed:
    """A log of three entries on which five more were in flight when the power went."""

    def __init__(self, ledger: Ledger, reopen: Reopen) -> None:
        self.reopen = reopen
        self.checkpoint = ledger.path / "checkpoint"
        self.coming = ledger.path / "checkpoint.new"
        self.bundle = ledger.path / "tile" / "entries" / "000"
        self.tile = ledger.path / "tile" / "0" / "000"
        ledger.append_all(drafts(3))
        self.kept = ledger.checkpoint()
        before = self.bundle.read_bytes()
        ledger.append_all(drafts(5, 3))
        self.whole = self.bundle.read_bytes()
        self.frames = self.whole[len(before) :]
        self.checkpoint.replace(self.coming)
        self.checkpoint.write_text(self.kept)
        self.hashes = self.tile.read_bytes()

    def leave(self, beyond: bytes, *, hashes: int = 0) -> None:
        self.bundle.write_bytes(self.whole[: -len(self.frames)] + beyond)
        self.tile.write_bytes(self.hashes[: 32 * (3 + hashes)])

    def settles_as(self, *expected: object) -> None:
        """Opened again it is sound, takes more, and holds these."""
        again = self.reopen()
        assert again.verify(self.kept).size == 3, "what a crash left is no damage"
        again.append(["after"], kind="t", subject="s")
        assert numbers(self.reopen()) == [0, 1, 2, *expected, "after"]
        assert self.reopen().verify(self.kept).size == 4 + len(expected)
        assert not self.coming.exists()


@pytest.fixture
def crashed(ledger: Ledger, reopen: Reopen) -> Crashed:
    return Crashed(ledger, reopen)


def test_what_came_whole_is_adopted(crashed: Crashed) -> None:
    for hashes in (0, 2, 5):
        crashed.leave(crashed.frames, hashes=hashes)
        assert crashed.reopen().verify(crashed.kept).size == 3
        said = crashed.reopen().unfinished()
        assert said[-1] == "entries 3 to 7 were written and not acknowledged: they will be adopted"
        assert len(crashed.reopen().needed()) == 8, "no collection may drop them"
    crashed.settles_as(3, 4, 5, 6, 7)


def test_what_was_torn_is_cut_off_wherever_it_was_torn(crashed: Crashed) -> None:
    head = crashed.coming.read_bytes()
    for length in range(0, len(crashed.frames), 37):
        crashed.coming.write_bytes(head)
        crashed.checkpoint.write_text(crashed.kept)
        crashed.leave(crashed.frames[:length])
        crashed.settles_as()


def test_blocks_that_never_reached_the_disk_are_cut_off(crashed: Crashed) -> None:
    length = len(crashed.frames)
    crashed.leave(crashed.frames[: length // 2] + bytes(length - length // 2))
    crashed.settles_as()


def test_more_than_was_to_come_is_a_checkpoint_rolled_back(crashed: Crashed) -> None:
    further = crashed.whole[: len(crashed.frames) // 5]
    for beyond, coming in (
        (crashed.frames, b""),
        (crashed.frames, crashed.coming.read_bytes()[:-9]),
        (crashed.frames + further, None),
        (crashed.frames[: len(crashed.frames) * 4 // 5] + further, None),
    ):
        crashed.leave(beyond)
        kept = crashed.coming.read_bytes()
        if coming is not None:
            crashed.coming.write_bytes(coming)
        for attempt in (crashed.reopen().verify, lambda: crashed.reopen().append_all(drafts(1))):
            with pytest.raises(LedgerDamagedError, match="rolled back"):
                attempt()
        crashed.coming.write_bytes(kept)


def test_a_head_of_another_log_or_beyond_the_bundle_promises_nothing(crashed: Crashed) -> None:
    crashed.leave(crashed.frames)
    head = crashed.coming.read_text()
    for other in (
        head.replace("ledger/", "ledger/0"),
        head.replace("\n8\n", "\n257\n"),
        head + "x",
    ):
        crashed.coming.write_text(other)
        with pytest.raises(LedgerDamagedError, match="rolled back"):
            crashed.reopen().verify()


def append_with_failure(ledger: Ledger, number: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Fail one call of an append across a bundle's end; whether there was such a call."""
    kept, failing = ledger.checkpoint(), FailingCall(number)
    with monkeypatch.context() as patch:
        for name in ("open", "pwrite", "fdatasync", "fsync", "replace", "ftruncate", "unlink"):
            patch.setattr(os, name, failing.around(getattr(os, name)))
        with suppress(UnavailableError):
            ledger.append_all(drafts(9, 252))
    again = Ledger(ledger.path, store=ledger._store, clock=ManualClock())
    again.append(["after"], kind="t", subject="s")
    again.verify(kept)
    assert numbers(again)[252:] in [[*range(252, end), "after"] for end in (252, 256, 261)]
    return failing.calls >= number


@pytest.mark.slow
def test_every_call_may_be_the_one_that_fails(
    ledger: Ledger, store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append_all(drafts(252))
    number = 0
    for number in count(1):
        shutil.copytree(ledger.path, tmp_path / str(number))
        copy = Ledger(tmp_path / str(number), store=store, clock=ManualClock())
        if not append_with_failure(copy, number, monkeypatch):
            break
    assert number > 20
