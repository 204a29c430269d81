"""Thousands of accidents in the ledger's files: each is found, and nothing wrong is ever read."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from cid_store.memory import MemoryStore
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.ledger import Batch, Ledger, LedgerDamagedError, NoSuchEntryError
from ring2_orchestrator.ledger.tiles import frame, split_bundle

Unhurried = Callable[[], AbstractContextManager[None]]
Files = dict[str, bytes]
SIZE = 600
EARLIER = (0, 1, 200, 256, 300, 512, 599)


class Log(NamedTuple):
    """A log of two full bundles and a growing one, what it holds, and what it was before."""

    folder: Path
    store: MemoryStore
    kept: str
    files: Files
    batches: list[Batch]
    earlier: list[Files]

    def opened(self) -> Ledger:
        return Ledger(self.folder, store=self.store, clock=ManualClock())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, unhurried: Unhurried) -> Log:
    folder, store = tmp_path_factory.mktemp("damaged") / "ledger", MemoryStore()
    ledger = Ledger(folder, store=store, clock=ManualClock())
    earlier: list[Files] = []
    with unhurried():
        for number in range(SIZE):
            if number in EARLIER:
                earlier.append(files_of(folder))
            ledger.append([number], kind="n", subject=f"subject-{number % 50}")
    batches = list(ledger.batches())
    return Log(folder, store, ledger.checkpoint(), files_of(folder), batches, earlier)


def files_of(folder: Path) -> Files:
    """Every file that says something, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("lock", "checkpoint.new")
    }


def flip(draw: np.random.Generator, log: Log) -> Files:
    name, data = one_file(draw, log)
    at = int(draw.integers(len(data)))
    return {name: data[:at] + bytes([data[at] ^ 1 << int(draw.integers(8))]) + data[at + 1 :]}


def cut(draw: np.random.Generator, log: Log) -> Files:
    name, data = one_file(draw, log)
    return {name: data[: draw.integers(len(data))]}


def lengthen(draw: np.random.Generator, log: Log) -> Files:
    name, data = one_file(draw, log)
    return {name: data + draw.bytes(int(draw.integers(1, 100)))}


def overwrite(draw: np.random.Generator, log: Log) -> Files:
    name, data = one_file(draw, log)
    at, much = int(draw.integers(len(data))), int(draw.integers(1, 600))
    filler = draw.bytes(much) if draw.integers(2) else bytes(much)
    return {name: (data[:at] + filler + data[at + much :])[: len(data)]}


def swap_files(draw: np.random.Generator, log: Log) -> Files:
    one, other = draw.choice(sorted(log.files), 2, replace=False)
    return {one: log.files[other], other: log.files[one]}


def swap_entries(draw: np.random.Generator, log: Log) -> Files:
    name = str(draw.choice([name for name in log.files if "entries" in name]))
    entries = split_bundle(log.files[name]).entries
    one, other = draw.integers(len(entries), size=2)
    entries[one], entries[other] = entries[other], entries[one]
    return {name: b"".join(map(frame, entries))}


def swap_hashes(draw: np.random.Generator, log: Log) -> Files:
    name = str(draw.choice([name for name in log.files if name.startswith("tile/0/")]))
    hashes = [log.files[name][at : at + 32] for at in range(0, len(log.files[name]), 32)]
    one, other = draw.integers(len(hashes), size=2)
    hashes[one], hashes[other] = hashes[other], hashes[one]
    return {name: b"".join(hashes)}


def remove_entry(draw: np.random.Generator, log: Log) -> Files:
    name = str(draw.choice([name for name in log.files if "entries" in name]))
    entries = split_bundle(log.files[name]).entries
    del entries[draw.integers(len(entries))]
    return {name: b"".join(map(frame, entries))}


def roll_back(draw: np.random.Generator, log: Log) -> Files:
    """Some files, or all of them, as they were before; what was not there then goes."""
    before = log.earlier[draw.integers(len(log.earlier))]
    names = [name for name in log.files if draw.integers(2)] if draw.integers(4) else log.files
    return {name: before.get(name, b"") for name in names}


DEEDS = [
    flip,
    cut,
    lengthen,
    overwrite,
    swap_files,
    swap_entries,
    swap_hashes,
    remove_entry,
    roll_back,
]


def one_file(draw: np.random.Generator, log: Log) -> tuple[str, bytes]:
    name = str(draw.choice(sorted(log.files)))
    return name, log.files[name]


def found(log: Log) -> str:
    """How the check of the whole log sees it: the error's sentence, or what is unfinished."""
    try:
        ledger = log.opened()
        ledger.verify(log.kept)
        return " ".join(ledger.unfinished())
    except LedgerDamagedError as error:
        return str(error)


def wrongly_read(draw: np.random.Generator, log: Log) -> int:
    """How many entries read otherwise than they were written; a refusal is no answer."""
    wrong = 0
    for seq in {0, 255, 256, SIZE - 1, *map(int, draw.integers(SIZE, size=4))}:
        try:
            wrong += log.opened().read(seq) != log.batches[seq]
        except (LedgerDamagedError, NoSuchEntryError):
            continue
    try:
        for seq, leaf in log.opened().leaves():
            batch = log.batches[seq]
            wrong += leaf != (batch.cid, batch.kind, batch.subject, batch.time_ns)
    except LedgerDamagedError:
        pass
    return wrong


def harm(log: Log, count: int, *, seed: int) -> Counter[str]:
    """Do `count` deeds, each to the whole log; how often each was done."""
    draw = np.random.Generator(np.random.PCG64(seed))
    done: Counter[str] = Counter()
    while done.total() < count:
        deed = DEEDS[done.total() % len(DEEDS)]
        changes = {name: data for name, data in deed(draw, log).items() if data != log.files[name]}
        if not changes:
            continue
        for name, data in changes.items():
            (log.folder / name).write_bytes(data)
        assert found(log), f"{deed.__name__} of {sorted(changes)} passed"
        assert wrongly_read(draw, log) == 0, f"{deed.__name__} of {sorted(changes)} was read"
        for name in changes:
            (log.folder / name).write_bytes(log.files[name])
        done[deed.__name__] += 1
    assert found(log) == ""
    return done


@pytest.mark.slow
def test_every_accident_of_hundreds_is_found(whole: Log) -> None:
    assert harm(whole, 270, seed=270).total() == 270


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_every_accident_of_ten_thousand_is_found(
    whole: Log, part: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    count = 150 if os.environ.get("REDOXA_LONG") == "bounded" else 1_000
    for deed, times in sorted(harm(whole, count, seed=part).items()):
        record_testsuite_property(f"found in part {part}: {deed}", times)


@pytest.mark.slow
def test_a_missing_file_is_found(whole: Log, tmp_path: Path) -> None:
    for name in whole.files:
        if name == "origin":
            continue  # older ledgers have none; the next append writes it again
        copy = whole._replace(folder=tmp_path / name.replace("/", "-"))
        shutil.copytree(whole.folder, copy.folder)
        (copy.folder / name).unlink()
        assert found(copy)
        assert wrongly_read(np.random.Generator(np.random.PCG64(1)), copy) == 0
