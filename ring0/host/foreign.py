"""Worker processes as the host sees them: spawned, spoken to under a deadline, buried when dead.

A worker is spawned and never forked, because a fork after the engine has run deadlocks. It is kept
for the next call while it is healthy. Whatever kills it becomes an answer.
"""

import _thread
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ring0.host import wire
from ring0.host.call import NO_MEMORY, NO_TIME, TRAPPED, WORKER_DIED, Answer
from ring0.host.engine import Tuning
from ring0.host.library import LibraryError

_START_S = 60.0
_PLACES = os.cpu_count() or 1
_LOOK_S = 0.05
DEFAULT_TUNING = Tuning()
# What the interpreter itself may need to start.
_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_HEADROOM_BYTES = 1 << 16
_PROGRAM = (
    "import sys; sys.path += sys.argv[3:]\n"
    "from ring0.host.worker import Tuning, main\n"
    "main(sys.argv[1], Tuning(*(letter == '1' for letter in sys.argv[2])))"
)


class WorkerDiedError(Exception):
    """The worker is gone; the answer says what that means for the call."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.detail)
        self.answer = answer


class Worker:
    """One live process. Raises LibraryError if it does not come up."""

    def __init__(self, library: str, tuning: Tuning = DEFAULT_TUNING) -> None:
        chosen = "".join("01"[one] for one in tuning)
        self._socket, theirs = socket.socketpair()
        self._known: set[bytes] = set()
        self.held_by: threading.Lock | None = None  # the call that it works for, or last did
        try:
            with theirs:
                self.process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _PROGRAM, library, chosen, *_import_paths()],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    # Nothing of the caller's environment, secrets least of all, reaches foreign
                    # code.
                    env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                )
        except BaseException:
            self._socket.close()
            raise
        try:
            self._answer(time.monotonic() + _START_S, _HEADROOM_BYTES)
        except WorkerDiedError as death:
            raise LibraryError(f"a worker process did not start: {death.answer.detail}") from death
        except BaseException:
            self.close()
            raise

    def ask(self, request: wire.Request, wasm: bytes, deadline: float) -> Answer:
        """The answer to one request. Raises WorkerDiedError; the worker is then of no use."""
        limit = request.output_bytes + _HEADROOM_BYTES
        known = request.digest in self._known
        answer = self._ask(request._replace(wasm=b"" if known else wasm), deadline, limit)
        if answer.kind == wire.UNKNOWN_MODULE:
            answer = self._ask(request._replace(wasm=wasm), deadline, limit)
        self._known.add(request.digest)
        return answer

    def close(self) -> None:
        """End the process; it holds nothing worth keeping."""
        self._socket.close()
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _ask(self, request: wire.Request, deadline: float, limit: int) -> Answer:
        try:
            for part in wire.pack_request(request):
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                self._socket.sendall(part)
        except TimeoutError:
            raise self._timed_out() from None
        except OSError:
            raise self._death() from None
        return self._answer(deadline, limit)

    def _answer(self, deadline: float, limit: int) -> Answer:
        def receive(length: int) -> bytearray:
            data = bytearray(length)
            view, at = memoryview(data), 0
            while at < length:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                got = self._socket.recv_into(view[at:])
                if got == 0:
                    raise ConnectionResetError
                at += got
            return data

        try:
            return wire.unpack_answer(wire.split(receive, limit))
        except TimeoutError:
            raise self._timed_out() from None
        except OSError:
            raise self._death() from None
        except wire.WireError as error:
            self.close()
            detail = f"the worker answered nonsense ({error})"
            raise WorkerDiedError(Answer(TRAPPED, word=WORKER_DIED, detail=detail)) from error

    def _timed_out(self) -> WorkerDiedError:
        self.close()
        return WorkerDiedError(Answer(NO_TIME, detail="the worker was killed at its deadline"))

    def _death(self) -> WorkerDiedError:
        """What the process died of. Its socket is closed, so it ends soon if it has not yet."""
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = None
        last_words = self._last_words() if status is not None else ""
        self.close()
        return WorkerDiedError(_verdict(status, last_words))

    def _last_words(self) -> str:
        assert self.process.stderr is not None, "the worker was started with a pipe"
        return self.process.stderr.read(4096).decode("utf-8", "replace")


def _verdict(status: int | None, last_words: str) -> Answer:
    name = f"exit {status}" if status is None or status >= 0 else _signal_name(-status)
    if name == "SIGXCPU":
        return Answer(NO_TIME, detail="the worker used up its processor time")
    if name == "SIGKILL":
        # We did not send it, so the system did: that is how it frees memory.
        return Answer(NO_MEMORY, detail="the system killed the worker, as it does for memory")
    if "memory allocation of" in last_words or "MemoryError" in last_words:
        return Answer(NO_MEMORY, detail="the worker process could not allocate memory")
    return Answer(TRAPPED, word=WORKER_DIED, detail=f"the worker process died ({name})")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def _import_paths() -> Sequence[str]:
    """Where a bare interpreter finds this package and cffi's backend."""
    import _cffi_backend  # noqa: PLC0415 - its place is needed, not the module

    package = Path(__file__).resolve().parent.parent.parent
    return [str(package), str(Path(str(_cffi_backend.__file__)).parent)]


class Workers:
    """A few workers, one for each call under way, at most as many as there are cores."""

    def __init__(self, library: str, tuning: Tuning = DEFAULT_TUNING) -> None:
        self._library = library
        self._tuning = tuning
        # All that live: one stays in the list while it works, so that it is not lost where a
        # signal's handler raises between taking it and giving it back.
        self._alive: list[Worker] = []
        # The calls under way; each is a lock that it holds. Not a semaphore or an event: those are
        # written in Python, and where a signal's handler raises in one, it may stay taken for ever.
        self._busy: set[threading.Lock] = set()
        self._entering = threading.Lock()
        self._closed = False

    def ask(self, request: wire.Request, wasm: bytes) -> Answer:
        """The answer to one request; the wall time counts from when a worker is ready for it."""
        call = threading.Lock()
        with call:
            try:
                self._enter(call)
                return self._ask(call, request, wasm)
            finally:
                self._busy.discard(call)
                if self._closed:
                    self.close()

    def _enter(self, call: threading.Lock) -> None:
        """Wait until fewer calls are under way than there are cores, and be one of them."""
        while True:
            with self._entering:
                under_way = [*self._busy]
                if len(under_way) < _PLACES:
                    self._busy.add(call)
                    return
            # This one's end lets the call in; so does that of others, which nobody tells.
            other = under_way[0]
            if other.acquire(timeout=_LOOK_S):
                other.release()

    def _ask(self, call: threading.Lock, request: wire.Request, wasm: bytes) -> Answer:
        worker = self._take(call)
        try:
            return worker.ask(request, wasm, time.monotonic() + request.wall_ms / 1000)
        except WorkerDiedError as death:
            self._drop(worker)
            return death.answer
        except BaseException:
            self._drop(worker)  # interrupted half-way: it would answer the wrong question next
            raise

    def _take(self, call: threading.Lock) -> Worker:
        """A worker that works for this call alone until the call has ended."""
        while True:
            with self._entering:
                idle = self._idle
                if idle:
                    idle[-1].held_by = call
            if not idle:
                return self._start(call)
            if idle[-1].process.poll() is None:
                return idle[-1]
            self._drop(idle[-1])  # it died between calls, which no call is to blame for

    @property
    def _idle(self) -> list[Worker]:
        """Those that work for no call that is under way."""
        return [worker for worker in [*self._alive] if worker.held_by not in self._busy]

    def _start(self, call: threading.Lock) -> Worker:
        """A new worker. Raises LibraryError.

        It is started in a thread of its own, where no signal's handler runs: what an interrupted
        call leaves there comes up all the same, for the next one.
        """
        made: list[Worker | BaseException] = []
        starting = threading.Lock()
        starting.acquire()

        def start() -> None:
            try:
                worker = Worker(self._library, self._tuning)
                worker.held_by = call
                self._alive.append(worker)
                made.append(worker)
            except BaseException as error:  # noqa: BLE001 - raised where the worker is wanted
                made.append(error)
            starting.release()
            if self._closed:
                self.close()

        _thread.start_new_thread(start, ())
        starting.acquire()
        (worker,) = made
        if isinstance(worker, BaseException):
            raise worker
        return worker

    def _drop(self, worker: Worker) -> None:
        worker.close()
        with suppress(ValueError):
            self._alive.remove(worker)

    def close(self) -> None:
        """End every worker; those at work end with their call."""
        self._closed = True
        with self._entering:
            idle = self._idle
        for worker in idle:
            self._drop(worker)


def empty_request(**changes: Any) -> wire.Request:  # noqa: ANN401 - the fields of a request
    """A request with nothing in it but what is given."""
    blank = wire.Request(wire.CHECK, 0, 0, -1, 0, 0, 0, 0, b"", b"", b"", ())
    return blank._replace(**changes)
