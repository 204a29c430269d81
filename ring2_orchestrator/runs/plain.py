"""A command executed as if Redoxa were not there: nothing is recorded, kept or reused."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Self, cast

from ring2_orchestrator.clock import Clock, SystemClock
from ring2_orchestrator.recorder.errors import CannotExecuteError
from ring2_orchestrator.recorder.terminal import has_foreground
from ring2_orchestrator.runs.program import find_program
from ring2_orchestrator.runs.result import TIMED_OUT, RunResult

AS_ASKED = "not recorded: plain execution, as asked"
INSIDE = "part of a recorded run: left to the outer one"
_FROM_KEYS = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run_plainly(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    why: str = AS_ASKED,
    timeout_s: float | None = None,
    kill_after_s: float = 5.0,
    clock: Clock | None = None,
) -> RunResult:
    """Execute it on our own streams and wait for its end; `why` is the line for the person.

    Where its time is over, it ends with all its descendants, and the exit code is 124. What is
    signalled to us is the program's. Raises NoSuchCommandError, NotExecutableError or
    CannotExecuteError.
    """
    find_program(command, cwd=cwd, env=env)
    clock = clock if clock is not None else SystemClock()
    begun_ns = clock.monotonic_ns()
    timed_out = False
    if timeout_s is not None:
        from ring2_orchestrator.runs.family import adopt_orphans  # noqa: PLC0415 - rarely

        adopt_orphans()
    with _Passing() as passing:
        child = _started(command, cwd, env)
        passing.to(child)
        try:
            code = _status(child.wait(timeout_s))
        except subprocess.TimeoutExpired:
            from ring2_orchestrator.runs.family import end_family  # noqa: PLC0415 - rarely

            end_family(child, grace_s=kill_after_s)
            timed_out, code = True, TIMED_OUT
            why = f"{why}; it ran longer than {timeout_s:g} s and was ended"
    return RunResult(
        exit_code=code,
        verdict="ran" if code == 0 else "failed",
        reason=why,
        message=why + (f" (exit code {code})" if code else ""),
        subject="",
        wall_s=(clock.monotonic_ns() - begun_ns) / 1e9,
        timed_out=timed_out,
        interrupted=passing.interrupted,
    )


def _status(returned: int) -> int:
    """The exit code a shell would show."""
    return returned if returned >= 0 else 128 - returned


def _started(
    command: Sequence[str], cwd: Path, env: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(command, cwd=cwd, env=env)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            reason = error.strerror or str(error)
            raise CannotExecuteError(
                f"the command {command[0]!r} cannot be executed ({reason}); "
                "check its permissions, and the program that its #! line names",
                missing=False,
            ) from error
    # A file without a header is a shell script, as every shell treats it.
    return subprocess.Popen(["/bin/sh", *command], cwd=cwd, env=env)


class _Passing:
    """While it is open, signals sent to us go to the child; keys reach it by themselves."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self.interrupted = False
        self._old: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._old = {
                number: signal.signal(number, self._on_signal)
                for number in (*_FROM_KEYS, *_PASSED_ON)
                # What was ignored when we started stays ignored, for the program as well.
                if signal.getsignal(number) not in (signal.SIG_IGN, None)
            }
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, cast("signal.Handlers", handler))

    def to(self, child: "subprocess.Popen[bytes]") -> None:
        """Whose they are; a child may have asked for one before we knew that it had started."""
        self._child = child
        while self._early:
            child.send_signal(self._early.pop(0))

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.interrupted = True
        if number in _FROM_KEYS and has_foreground():
            return
        if self._child is None:
            self._early.append(number)
            return
        with suppress(OSError):
            os.kill(self._child.pid, number)
