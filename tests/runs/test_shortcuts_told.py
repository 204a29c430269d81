"""What `redoxa-run` answers is in the ledger once, whoever is killed on the way."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.shortcuts.spool import NAME as SPOOL
from ring2_orchestrator.shortcuts.spool import enter_reuses
from tests.runs.desk import NEEDS_FRONT_END, Desk

pytestmark = NEEDS_FRONT_END


def test_every_answer_is_in_the_ledger_once(desk: Desk) -> None:
    desk.prepare()
    before = len(desk.entries())
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(desk.answers) for _ in range(40)]
        assert all(answer.result() for answer in answers)
    told = desk.entries()[before:]
    assert len(told) == 40
    assert len({cast("bytes", entry["spooled"]) for entry in told}) == 40
    for entry in told:
        assert entry["verdict"] == "reused"
        assert entry["outputs"] == 4
        assert cast("float", entry["wall_s"]) > 0
    assert len(desk.entries()) == before + 40


def test_a_killed_entering_enters_nothing_twice_and_a_torn_record_spoils_no_other(
    desk: Desk,
) -> None:
    desk.prepare()
    before = len(desk.entries())
    assert desk.answers()
    spool = desk.home / SPOOL
    first = spool.read_bytes()
    assert len(desk.entries()) == before + 1
    assert not spool.read_bytes()
    assert desk.answers()
    second = spool.read_bytes()
    spool.write_bytes(first[:-9] + second[: len(second) // 2] + second)
    assert len(desk.entries()) == before + 2


class Killed(BaseException):
    """Nothing catches it, and nothing is put right after it."""


@pytest.mark.slow
def test_killed_at_any_call_nothing_is_lost_and_nothing_entered_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path)
    desk.prepare()
    told = len(desk.entries())
    names = ("open", "pwrite", "fdatasync", "fsync", "replace", "ftruncate", "unlink")
    number = 0
    for number in count(1):
        assert desk.answers()
        assert desk.answers()
        calls = count(1)
        with Home(desk.home) as home, monkeypatch.context() as patch:
            ledger = Ledger(home.path / "ledger", store=home.store, clock=home.clock)
            for name in names:
                patch.setattr(os, name, partial(kill_at, calls, number, getattr(os, name)))
            with suppress(Killed):
                enter_reuses(home.path, ledger)
        if number % 2:  # somebody who had the ledger open goes on as if nothing had happened
            with Home(desk.home) as home:
                ledger = Ledger(home.path / "ledger", store=home.store, clock=home.clock)
                for _ in range(4):
                    ledger.append([{"verdict": "other"}], kind="run", subject="another")
            told += 4
        told += 2
        with Home(desk.home) as home:
            assert len(home.ledger) == told
        if next(calls) <= number:
            break
    assert number > 15
    spooled = [entry["spooled"] for entry in desk.entries() if "spooled" in entry]
    assert len(spooled) == len(set(map(bytes, cast("list[bytes]", spooled))))


def kill_at(
    calls: Iterator[int], number: int, real: Callable[..., object], *args: object, **options: object
) -> object:
    """The call of that number is half done at most, and the process's last."""
    if next(calls) < number:
        return real(*args, **options)
    if real is os_pwrite:
        descriptor, data, offset = cast("tuple[int, bytes, int]", args)
        os_pwrite(descriptor, bytes(data)[: len(data) // 2], offset)
    raise Killed


os_pwrite = os.pwrite
