"""On a full disk garbage is collected and what only reads answers, or a sentence says the way out.

A home on a small disk of its own is filled to the last block.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from cid_store.local import LocalStore
from tests.cid_store.collecting import age
from tests.cid_store.conftest import begin_pack
from tests.cid_store.test_store import random_bytes
from tests.faults.test_places import Shell, on_a_disk, take_the_room

__all__ = ["on_a_disk"]  # the fixture

Disk = Callable[[str], AbstractContextManager[tuple[Path, Shell]]]
BLOCK = 4096


def fill(place: Path, *, but: int = 0) -> None:
    """Leave nothing of the disk but so many blocks."""
    with (place / "filler").open("wb", buffering=0) as filler:
        while free := os.statvfs(place).f_bavail:
            filler.write(bytes(BLOCK * free))
        filler.truncate(filler.tell() - but * BLOCK)


def test_what_only_reads_answers_before_anything_ever_ran(on_a_disk: Disk) -> None:
    with on_a_disk("3m") as (place, shell):
        shutil.rmtree(shell.home / "ledger")
        fill(place)
        for _ in range(2):  # a ledger that cannot be begun leaves a folder
            code, said = shell.type("jit status")
            assert (code, said) == (0, "")
            assert shell.type("store gc --dry-run")[0] == 0
        assert shell.type("store gc --grace 0")[0] == 0


def test_a_new_kernel_leaves_nothing_where_it_does_not_fit(on_a_disk: Disk) -> None:
    with on_a_disk("3m") as (place, shell):
        for blocks in range(5):  # for nothing; one folder; and the first of its four files
            fill(place, but=blocks)
            code, said = shell.type(f"kernel new {place}/a/mine")
            assert (code, said.count("No space left on device")) == (3, 1)
            assert not (place / "a").exists()
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        code, said = shell.type(f"kernel new {place}/a/mine")
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        assert (code, said.count("Read-only file system")) == (3, 1)
        assert not (place / "a").exists()


def test_garbage_is_collected_with_the_room_that_a_pack_reserved(on_a_disk: Disk) -> None:
    with on_a_disk("4m") as (place, shell):
        with LocalStore(shell.home / "store") as store:
            garbage = store.put(random_bytes(500_000))
        fill(place)
        assert shell.type("store gc --grace 0") == (0, "")
        assert os.statvfs(place).f_bavail * BLOCK > 500_000
        with LocalStore(shell.home / "store") as store:
            assert not store.has(garbage)
        shell.check()


def test_without_any_room_it_is_said_what_to_do(on_a_disk: Disk) -> None:
    with on_a_disk("4m") as (place, shell):
        with LocalStore(shell.home / "store") as store:
            garbage = store.put(random_bytes(500_000))
        take_the_room(shell)
        fill(place)
        code, said = shell.type("store gc --grace 0")
        assert code == 5
        assert "is full, and a collection of garbage must write a little before" in said
        assert "delete or move some other file there" in said
        assert shell.type(f"store get {garbage} -o -")[0] == 0
        fill(place, but=300)
        assert shell.type("store gc --grace 0") == (0, "")
        shell.check()


def test_packs_that_need_nothing_moved_go_where_there_is_no_room_to_move(on_a_disk: Disk) -> None:
    with on_a_disk("8m") as (place, shell):
        path = shell.home / "store"
        with LocalStore(path) as store:
            begin_pack(store)
            kept = store.put(random_bytes(1_000_000))
            mixed = store.put(random_bytes(1_000_001))
            store.set_root("large", kept)
            begin_pack(store)
            garbage = store.put(random_bytes(300_000))
            begin_pack(store)
            store.put(b"in the last pack")
        os.truncate(path / "packs" / "00000004.pack", 1024)
        fill(place, but=40)
        with LocalStore(path) as store:
            age(path)
            report = store.gc(grace_s=3600)
            assert 3 in report.packs
            assert 2 not in report.packs
            assert any("collect again" in note for note in report.notes)
            assert not store.has(garbage)
            assert store.get(mixed)
        with LocalStore(path) as store:
            (place / "filler").unlink()
            assert 2 in store.gc(grace_s=3600).packs
            assert store.get(kept)
        shell.check()
