"""A worker process may die at any moment: that is an Outcome, and the next call is not affected."""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable

import pytest

from ring0.abi import Op
from ring0.boundary import CAUTIOUS, DEFAULT, MIB, Boundary
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Outcome, OutOfMemory, Refused, Result, TimedOut, Trapped

Twin = Callable[..., Kernel]
SPIN = "(loop $l (br $l))"


def workers_of(host: Host) -> list[int]:
    """The process ids of the idle workers."""
    return [worker.process.pid for worker in host._workers._idle]


def call(host: Host, kernel: Kernel, boundary: Boundary = DEFAULT) -> Outcome:
    return host.call(kernel, Op.FORWARD, b"", [b"abc"], boundary)


def kill_soon(pid: int, number: int) -> threading.Thread:
    def strike() -> None:
        # Once it burns processor time, it is in the loop.
        start = cpu_ticks(pid)
        while cpu_ticks(pid) < start + 5:
            time.sleep(0.005)
        # The engine's handler passes the first SIGSEGV on; the second finds no handler.
        for _ in range(2 if number == signal.SIGSEGV else 1):
            os.kill(pid, number)
            time.sleep(0.05)

    thread = threading.Thread(target=strike)
    thread.start()
    return thread


def cpu_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - not a file of ours
        return int(stat.read().rsplit(")", 1)[1].split()[11])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGKILL, OutOfMemory),
        (signal.SIGSEGV, Trapped),
        (signal.SIGABRT, Trapped),
        (signal.SIGXCPU, TimedOut),
        (signal.SIGRTMIN + 5, Trapped),  # a signal without a name
    ],
)
def test_a_worker_killed_during_a_call_is_an_outcome(
    twin: Twin, number: int, kind: type[Outcome]
) -> None:
    with Host() as host:
        assert isinstance(call(host, twin()), Result)
        (pid,) = workers_of(host)
        thread = kill_soon(pid, number)
        outcome = call(host, twin(SPIN))
        thread.join()
        assert isinstance(outcome, kind)
        assert workers_of(host) == []
        assert isinstance(call(host, twin()), Result)


def test_a_worker_killed_between_calls_is_replaced(twin: Twin) -> None:
    with Host() as host:
        assert isinstance(call(host, twin()), Result)
        (pid,) = workers_of(host)
        os.kill(pid, signal.SIGKILL)
        while host._workers._idle[0].process.poll() is None:
            time.sleep(0.001)
        assert isinstance(call(host, twin()), Result)
        assert workers_of(host) != [pid]


def test_a_healthy_worker_is_kept_after_every_end_but_its_own(twin: Twin) -> None:
    with Host() as host:
        call(host, twin())
        before = workers_of(host)
        call(host, twin("unreachable"))
        call(host, twin(SPIN), Boundary(fuel=1000))
        call(host, twin(code=3))
        assert workers_of(host) == before


def test_a_worker_forgets_old_modules_and_asks_again(twin: Twin) -> None:
    with Host() as host:
        for turn in range(2):
            for code in range(1, 12):
                outcome = call(host, twin(code=code))
                assert isinstance(outcome, Refused), turn
                assert outcome.code == code
        assert len(workers_of(host)) == 1


@pytest.mark.slow
def test_calls_from_several_threads_have_a_worker_each(twin: Twin) -> None:
    outcomes: list[Outcome] = []
    with Host() as host:
        threads = [
            threading.Thread(target=lambda: outcomes.append(call(host, twin()))) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(workers_of(host)) <= (os.cpu_count() or 1)
    assert [type(one) for one in outcomes] == [Result] * 6


def test_closing_ends_the_processes(twin: Twin) -> None:
    host = Host()
    call(host, twin())
    (pid,) = workers_of(host)
    host.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_sees_nothing_of_the_environment(
    twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    with Host() as host:
        call(host, twin())
        (pid,) = workers_of(host)
        with open(f"/proc/{pid}/environ", "rb") as environ:  # noqa: PTH123 - not a file of ours
            assert b"hunter2" not in environ.read()


def test_compiling_ends_with_the_calls_time(twin: Twin) -> None:
    """Within all caps a module can still take long to compile: fuel counts nothing of that."""
    slow = twin("(loop)" * 5_000)
    with Host() as host:
        assert host.check(slow, Boundary(wall_ms=20)) == TimedOut(20)
        assert call(host, slow, Boundary(wall_ms=20)) == TimedOut(20)
        assert isinstance(call(host, twin()), Result)


def test_compiling_ends_with_the_workers_memory(twin: Twin) -> None:
    with Host() as host:
        assert isinstance(call(host, twin()), Result)
        (worker,) = host._workers._idle
        resource.prlimit(worker.process.pid, resource.RLIMIT_DATA, (MIB, MIB))
        outcome = host.check(twin("(drop (i32.popcnt (i32.const 1)))" * 6_000), CAUTIOUS)
        assert isinstance(outcome, OutOfMemory)
        assert isinstance(call(host, twin()), Result)
