"""Blocks are worked on at the same time, and what comes out is what one after another gives."""

import io
import itertools
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from ring2_orchestrator.container import BytesSource, Container, Original, write_planned
from ring2_orchestrator.container.errors import DamagedContainerError
from ring2_orchestrator.container.lanes import MOST_LANES, in_order
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.toolbox import Toolbox

BLOCK = 65_537
PIPELINE = "input x: u16\nemit x |> delta(order=2) |> zigzag |> byte_split |> rans0"
RAMP = b"".join((7 * at % 65_536).to_bytes(2, "little") for at in range(250_000))


@pytest.mark.parametrize("lanes", [1, 2, 3, MOST_LANES, 9])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 50])
def test_results_come_in_the_order_of_their_items(lanes: int, count: int) -> None:
    assert [*in_order(str, range(count), lanes=lanes)] == [str(at) for at in range(count)]


@pytest.mark.parametrize("lanes", [2, 4])
def test_items_are_worked_on_at_the_same_time(lanes: int) -> None:
    together = threading.Barrier(lanes, timeout=30)
    assert [*in_order(lambda _: together.wait(), range(lanes), lanes=lanes)]


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_no_more_is_drawn_than_there_are_lanes(lanes: int) -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for at in range(100):
            drawn += 1
            yield at

    for taken, _ in enumerate(in_order(abs, items(), lanes=lanes), 1):
        assert drawn <= taken + (lanes + 1 if lanes > 1 else 2)


@pytest.mark.parametrize("lanes", [1, 4])
def test_an_error_comes_where_its_result_would_have_come(lanes: int) -> None:
    results = in_order(lambda at: 12 // (3 - at), range(10), lanes=lanes)
    assert [next(results) for _ in range(3)] == [4, 6, 12]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_interrupt_is_no_result_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()

    def work(at: int) -> int:
        if at == 5 or (at > 5 and threading.current_thread() is threading.main_thread()):
            raise KeyboardInterrupt
        return at

    with pytest.raises(KeyboardInterrupt):
        list(in_order(work, range(100), lanes=2))
    assert threading.active_count() == before


@pytest.mark.parametrize("lanes", [2, 4])
def test_many_short_jobs_and_a_late_error_all_come_out(lanes: int) -> None:
    results = in_order(lambda at: 1 // (2_999 - at), range(3_000), lanes=lanes)
    taken: list[int] = []
    with pytest.raises(ZeroDivisionError):
        taken.extend(results)
    assert len(taken) == 2_999


def test_who_stops_asking_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = in_order(abs, range(100), lanes=4)
    assert next(results) == 0
    results.close()  # pyright: ignore[reportAttributeAccessIssue] - it is a generator
    assert threading.active_count() == before


def written(tools: Toolbox, block_bytes: int) -> bytes:
    original = Original.of(BytesSource(RAMP))
    plan = Gene.parse(PIPELINE, tools.palette).plan()
    out = io.BytesIO()
    header = original.header(plan, block_bytes=block_bytes)
    size = write_planned(out, original, header, tools.executor, tools.kernels)
    assert size == len(out.getvalue())
    return out.getvalue()


def test_many_lanes_write_what_one_writes(tools: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    many = written(tools, BLOCK)
    with monkeypatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        assert written(tools, BLOCK) == many
    container = Container(BytesSource(many), tools.kernels)
    assert b"".join(container.chunks(tools.executor)) == RAMP


def test_the_first_damaged_block_is_the_one_that_is_named(tools: Toolbox) -> None:
    damaged = bytearray(written(tools, BLOCK))
    container = Container(BytesSource(damaged), tools.kernels)
    extents = [*container.extents()]
    for extent in extents[3:6]:
        damaged[extent.offset + extent.size // 2] ^= 1
    with pytest.raises(DamagedContainerError, match="block 3 of"):
        b"".join(container.chunks(tools.executor))


def drawn_ahead(size: int, seconds: float) -> int:
    """How many items are drawn and not yet given, at most; working on each takes so long."""
    drawn, most, now = 0, 0, threading.local()

    def items() -> Iterator[int]:
        nonlocal drawn
        for at in range(400):
            drawn += 1
            yield at

    def work(at: int) -> int:
        now.time = clock() + seconds
        return at

    def clock() -> float:
        return getattr(now, "time", 0.0)

    results = in_order(work, items(), lanes=2, size=lambda _: size, clock=clock)
    for taken, at in enumerate(results):
        assert at == taken
        most = max(most, drawn - taken)
    assert drawn == 400
    return most


def test_short_jobs_are_handed_over_together() -> None:
    assert drawn_ahead(size=1, seconds=0.000_01) > 40


def test_what_takes_long_is_handed_over_alone() -> None:
    assert drawn_ahead(size=1, seconds=0.5) <= 4


@pytest.mark.parametrize(("size", "most"), [(256 << 10, 4 * 8), (16 << 20, 4)])
def test_what_is_handed_over_together_is_never_large(size: int, most: int) -> None:
    assert drawn_ahead(size, seconds=0.0) <= most


def test_an_error_amid_a_piece_comes_after_what_was_done_before_it() -> None:
    for wrong in range(40, 60):
        results = in_order(lambda at, wrong=wrong: 1 // (wrong - at), range(100), lanes=2, size=abs)
        taken = [*itertools.islice(results, wrong)]
        assert len(taken) == wrong
        with pytest.raises(ZeroDivisionError):
            next(results)


FREED = """
import resource, sys, threading
from ring0.host.freed import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def use():
    for at in range(100):
        held = bytes(1 << 20), bytes(1 << 20), bytes(1 << 20)

use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
worker = threading.Thread(target=use)
worker.start()
worker.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other ways")
def test_freed_memory_is_used_again_where_the_program_asks_for_it() -> None:
    pages = [
        int(subprocess.check_output([sys.executable, "-c", FREED, word], text=True))
        for word in ("keep", "plain")
    ]
    assert pages[0] * 10 < pages[1]
