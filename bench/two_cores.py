"""How much faster two threads are than one, and what two processes come to on the same machine."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

import numpy as np

from ring0.execution import Limits
from ring0.host import Host
from ring0.host.freed import keep_freed_memory
from ring2_orchestrator.container.lanes import in_order
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.toolbox import Toolbox

MIB = 1 << 20
TOTAL = 64 * MIB
CORES = (0, 1)
DIRECTIONS = ("forward", "inverse")
# So many rounds, and more of what is soon done.
ROUNDS = 15
LEAST_S = 8.0
PLANS = {
    "delta, u32": "input x: u32\nemit x |> delta",
    "delta, zigzag, byte split, rans0, u16": (
        "input x: u16\nemit x |> delta |> zigzag |> byte_split |> rans0"
    ),
    "rans0": "input x: u8\nemit x |> rans0",
}
# No plan at all: what memory allows anybody who reads 64 MiB and writes as much.
COPY = ""

Work = Callable[[int, int], None]


def rows(block_bytes: int) -> Iterator[str]:
    """Lines of the table: every plan, forward and back, and a plain copy."""
    cases = [(name, text, way) for name, text in PLANS.items() for way in DIRECTIONS]
    for name, text, direction in [*cases, ("memcpy", COPY, "")]:
        (one, two, processes), shared = rates(text, direction, block_bytes)
        yield (
            f"| {block_bytes // 1024:,} | {name} | {direction} "
            f"| {one:,.0f} | {two:,.0f} | {processes:,.0f} "
            f"| {two / one:.2f} | {processes / one:.2f} | {shared:.2f} |"
        )


def rates(text: str, direction: str, block_bytes: int) -> tuple[list[float], float]:
    """MB/s of one thread, of two, and of two processes with a core each; the best of many rounds.

    By turns, so that what else the machine does falls on all of them. Beside them twice the
    processor time of one thread by that of two.
    """
    count = TOTAL // block_bytes
    with (
        working(text, direction, block_bytes) as here,
        processes(text, direction, block_bytes) as both,
    ):
        ways = (partial(here, count, 1), partial(here, count, 2), partial(both, count // 2))
        best, used = [float("inf")] * len(ways), [float("inf")] * len(ways)
        begun, rounds = time.perf_counter(), 0
        while rounds < ROUNDS or time.perf_counter() - begun < LEAST_S:
            rounds += 1
            for at, way in enumerate(ways):
                started, before = time.perf_counter(), time.process_time()
                way()
                best[at] = min(best[at], time.perf_counter() - started)
                used[at] = min(used[at], time.process_time() - before)
    return [TOTAL / seconds / 1e6 for seconds in best], 2 * used[0] / used[1]


@contextmanager
def working(text: str, direction: str, block_bytes: int) -> Generator[Work]:
    """What puts so many blocks through a plan, on so many threads."""
    if text == COPY:
        yield copying(block_bytes)
        return
    kernels = KernelSet.shipped()
    keep_freed_memory()
    with Host(base=kernels.cids) as host:
        tools = Toolbox(kernels, host)
        plan = Gene.parse(text, tools.palette).plan()
        executor = tools.executor.with_limits(Limits())
        data = bytes(at * at >> 7 & 255 for at in range(65_536)) * (block_bytes // 65_536)
        streams = executor.forward(plan, data).outputs

        def go(_: int) -> object:
            if direction == "forward":
                return executor.forward(plan, data)
            return executor.inverse(plan, streams)

        def work(count: int, lanes: int) -> None:
            for _ in in_order(go, range(count), lanes=lanes, size=lambda _: block_bytes):
                pass

        work(4, 2)
        yield work


def copying(block_bytes: int) -> Work:
    """What copies so many blocks from one place to another, none of them in a cache."""
    source, target = np.ones(TOTAL, np.uint8), np.zeros(TOTAL, np.uint8)
    target.fill(2)  # now its pages exist

    def go(at: int) -> None:
        start = at * block_bytes
        np.copyto(target[start : start + block_bytes], source[start : start + block_bytes])

    def work(count: int, lanes: int) -> None:
        for _ in in_order(go, range(count), lanes=lanes, size=lambda _: block_bytes):
            pass

    return work


@contextmanager
def processes(text: str, direction: str, block_bytes: int) -> Generator[Callable[[int], None]]:
    """What has each of two processes put so many blocks through the plan, at the same time."""
    context = get_context("spawn")
    pairs = [context.Pipe() for _ in CORES]
    pipes = [ours for ours, _ in pairs]
    started = [
        context.Process(target=serve, args=(theirs, core, text, direction, block_bytes))
        for core, (_, theirs) in zip(CORES, pairs, strict=True)
    ]
    for process in started:
        process.start()
    for pipe in pipes:
        assert pipe.recv() == "ready", "it is the first it says"

    def both(count: int) -> None:
        for pipe in pipes:
            pipe.send(count)
        for pipe in pipes:
            pipe.recv()

    yield both
    for pipe in pipes:
        pipe.send(0)
    for process in started:
        process.join()


def serve(pipe: Connection, core: int, text: str, direction: str, block_bytes: int) -> None:
    """One of the processes: does as many blocks as it is told to, until it is told none."""
    with suppress(AttributeError, OSError):  # not every system lets a process choose
        os.sched_setaffinity(0, {core})
    with working(text, direction, block_bytes) as work:
        pipe.send("ready")
        while count := pipe.recv():
            work(count, 1)
            pipe.send("done")
