"""A signal's handler that raises while a kernel is called: never lost, and the host is as before.

Python runs handlers where a function begins and after each call of a function in C. A profiler is
called at the same places, so one that raises tries every one of them in turn.
"""

import _thread
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ring0.abi import Op
from ring0.boundary import Boundary
from ring0.host import Host, foreign
from ring0.host.call import RESULT, Answer
from ring0.host.foreign import Workers, empty_request
from ring0.host.library import find
from ring0.kernel import Kernel
from ring0.outcome import Result
from ring0.program import Link, Program

DATA, MADE = bytes([5, 7, 10]) * 8, bytes([5] + [2, 3, 251] * 8)[:24]
PARAMS = b"\1\1\1"
PLACES = 2_000  # more than any of these calls has


class Interrupted(Exception):  # noqa: N818 - it is no error
    """What the handler raises."""


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was raised where nobody could catch it."""
    found: list[Any] = []

    def note(said: Any) -> None:
        found.append((said.exc_type, str(said.exc_value), repr(said.object)))

    gc.collect()  # of earlier tests
    monkeypatch.setattr(sys, "unraisablehook", note)
    yield found
    gc.collect()
    assert not found


def interrupted(work: Callable[[], object], at: int) -> bool:
    """Whether the work had that many places, at the last of which it was interrupted."""
    left = at

    def look(_frame: object, event: str, _of: object) -> None:
        nonlocal left
        if event in ("call", "c_return"):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise Interrupted

    sys.setprofile(look)
    try:
        work()
    except Interrupted:
        return True
    finally:
        sys.setprofile(None)
    assert left > 0, "the exception was lost"
    return False


def everywhere(work: Callable[[], object], after: Callable[[], object]) -> None:
    """Interrupt the work at each of its places, and look at what is left behind."""
    for at in range(1, PLACES):
        if not interrupted(work, at):
            assert at > 5
            return
        after()
    raise AssertionError("the work has more places than that")


@pytest.fixture
def host(kernels: dict[str, Kernel], compiled: bool) -> Iterator[Host]:
    with Host(base=frozenset({kernels["delta"].cid}), compiled=compiled) as one:
        yield one


@pytest.fixture
def sound(host: Host, kernels: dict[str, Kernel]) -> Callable[[], None]:
    """Asserts that nothing is watched any more, and that the next call is right."""
    delta = host.prepare(kernels["delta"], Op.FORWARD, PARAMS)

    def look() -> None:
        assert not host._watchdog.deadlines
        assert delta([DATA]) == Result([MADE])

    return look


def test_a_call_may_be_interrupted_anywhere(
    host: Host, kernels: dict[str, Kernel], sound: Callable[[], None], lost: list[Any]
) -> None:
    delta = host.prepare(kernels["delta"], Op.FORWARD, PARAMS)
    sound()
    everywhere(lambda: delta([DATA]), sound)


def test_a_call_in_place_may_be_interrupted_anywhere(
    host: Host, kernels: dict[str, Kernel], sound: Callable[[], None], lost: list[Any]
) -> None:
    delta = host.prepare(kernels["delta"], Op.FORWARD, PARAMS)

    def call() -> None:
        with delta.open([len(DATA)]) as session:
            session.inputs[0][:] = DATA
            assert session.run() is None
            assert session.outputs[0] == MADE

    everywhere(call, sound)


def test_a_program_may_be_interrupted_anywhere(
    host: Host, kernels: dict[str, Kernel], sound: Callable[[], None], lost: list[Any]
) -> None:
    there = Link(0, kernels["delta"], Op.FORWARD, PARAMS, (0,), (1,))
    back = there._replace(op=Op.INVERSE, inputs=(1,), outputs=(2,))
    program = Program((there, back), 3, (0,), (2,))

    def run() -> None:
        ran = host.run(program, [DATA], Boundary(), 1 << 40)
        assert ran is None or ran.outputs == [DATA]

    run()
    everywhere(run, sound)


def test_a_call_of_a_worker_may_be_interrupted_anywhere(
    monkeypatch: pytest.MonkeyPatch, lost: list[Any]
) -> None:
    class Quick:
        """A worker that needs no process."""

        def __init__(self, *_: object) -> None:
            self.process = self
            self.closed = False
            made.append(self)

        def poll(self) -> int | None:
            return 1 if self.closed else None

        def ask(self, *_: object) -> Answer:
            assert not self.closed
            return Answer(RESULT)

        def close(self) -> None:
            self.closed = True

    made: list[Quick] = []
    monkeypatch.setattr(foreign, "Worker", Quick)
    workers, request = Workers(find()), empty_request(wall_ms=1_000)

    threads = _thread._count()

    def nobody_is_at_work() -> None:
        while _thread._count() > threads:
            time.sleep(0)  # a worker is being started
        assert not workers._busy
        assert [one for one in made if not one.closed] == workers._idle

    everywhere(lambda: workers.ask(request, b""), nobody_is_at_work)
    assert workers.ask(request, b"") == Answer(RESULT)


def test_a_worker_that_was_interrupted_answers_no_other_question(
    foreign: Host, kernels: dict[str, Kernel], lost: list[Any]
) -> None:
    delta = foreign.prepare(kernels["delta"], Op.FORWARD, PARAMS)
    for _ in range(2):  # while the worker starts, and when it is up
        assert interrupted(lambda: delta([DATA]), 40)
        answer = delta([DATA[:3]])
        assert isinstance(answer, Result)
        assert answer.outputs == [MADE[:3]]


@pytest.mark.slow
def test_an_exception_of_a_real_handler_comes_when_the_kernel_has_ended(
    host: Host, kernels: dict[str, Kernel], sound: Callable[[], None], lost: list[Any]
) -> None:
    data = bytes(8 << 20)

    def calls(alarm_s: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, alarm_s)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            delta([data])

    def handler(*_: object) -> None:
        raise Interrupted

    assert threading.current_thread() is threading.main_thread()
    delta = host.prepare(kernels["delta"], Op.FORWARD, PARAMS)
    delta([data])
    before = signal.signal(signal.SIGALRM, handler)
    try:
        for after_s in (0.0001, 0.0005, 0.001, 0.002, 0.003):
            with pytest.raises(Interrupted):
                calls(after_s)
            sound()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
