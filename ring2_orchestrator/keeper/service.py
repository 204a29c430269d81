"""The keeper's life: it is let in by the wrapper that starts it, serves its build, and goes."""

import fcntl
import os
import selectors
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cid_store.errors import RedoxaError, UsageError
from ring2_orchestrator.home import Home
from ring2_orchestrator.keeper.books import Begun, begin, finish
from ring2_orchestrator.keeper.call import call_of, end_of
from ring2_orchestrator.keeper.circle import circle_of
from ring2_orchestrator.plainfile import open_plain
from ring2_orchestrator.runs.following import load_what_follows
from ring2_orchestrator.runs.statcache import Stamp, stamp_of

# Where the wrapper that starts a keeper puts what it has made for it.
_LISTENER, _LOCK = 3, 4
_CREDENTIALS = struct.Struct("=iII")
_HELLO, _GREETING = struct.Struct("<cI"), struct.Struct("<cII")
_NONCE_BYTES = 16
_IDLE_S = 5.0
_SILENT_S = 10.0  # who has come and says nothing is not waited for
_OURS = frozenset({"cid_store", "redoxa", "ring0", "ring2_orchestrator"})
_MOST_BYTES = 64 << 20  # words, variables and what was printed
_MOST_CALLS = 4096  # then another takes its place, before anything grows


def serve(words: Sequence[str]) -> int:
    """Serve a build until it asks for nothing any more. Raises UsageError for whoever types it."""
    try:
        home, name = words
        listener = socket.socket(fileno=os.dup(_LISTENER))
        os.fstat(_LOCK)
        # Whoever comes from now on is told our process number by the system, too.
        listener.listen(socket.SOMAXCONN)
    except (ValueError, OSError) as error:
        raise UsageError("a keeper is started by the compilers' wrappers only") from error
    os.close(_LISTENER)
    load_what_follows()
    keeper = Keeper(Path(home), name, listener)
    try:
        sweep(Path(home) / "keepers")
        keeper.live()
    finally:
        keeper.go()
    return 0


def sweep(folder: Path) -> None:
    """Remove what killed keepers have left."""
    for lock in folder.glob("*.lock"):
        with suppress(OSError), os.fdopen(open_plain(lock, os.O_RDWR), "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever takes the lock after this finds that its file is not the one with the name.
            for path in (lock.with_suffix(""), lock):
                path.unlink(missing_ok=True)


class Keeper:
    """One build's."""

    def __init__(self, home: Path, name: str, listener: socket.socket) -> None:
        self._place = home / "keepers" / name
        self._made = self._identity()
        self._home = Home(home)
        self._listener = listener
        self._circle = circle_of(os.getpid())
        self._code = Code()
        self._nonce = os.urandom(_NONCE_BYTES)
        # Whoever may look into us can read it, and nobody else.
        self._shown = os.memfd_create("redoxa")
        os.pwrite(self._shown, self._nonce, 0)
        self._callers: dict[int, Caller] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._calls = 0
        self._is_open = True

    def live(self) -> None:
        """Serve until nobody has come for a while."""
        while self._is_open or self._callers:
            ready = self._selector.select(_SILENT_S if self._callers else _IDLE_S)
            if not ready and not any(caller.begun for caller in self._callers.values()):
                return
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._receive()
                elif not self._hear(self._callers[key.fd]):
                    self._dismiss(self._callers[key.fd])

    def close(self) -> None:
        """Let nobody in any more: whoever comes finds, or starts, another."""
        if not self._is_open:
            return
        self._is_open = False
        if self._identity() == self._made:
            with suppress(OSError):
                self._place.unlink()
            for ending in (".no", ".lock"):
                with suppress(OSError):
                    self._place.with_name(self._place.name + ending).unlink()
        self._selector.unregister(self._listener)
        self._listener.close()
        os.close(_LOCK)

    def go(self) -> None:
        """End all conversations; what was begun and has not ended is not kept."""
        self.close()
        for caller in list(self._callers.values()):
            self._dismiss(caller)
        self._home.close()

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._place.lstat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _receive(self) -> None:
        # Where we are not what would be started now, somebody else is to do it.
        if self._identity() != self._made or self._code.changed() or self._calls >= _MOST_CALLS:
            self.close()
            return
        connection, _ = self._listener.accept()
        pid, uid, _ = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        with suppress(OSError):
            if uid == os.geteuid() and circle_of(pid) == self._circle:
                connection.settimeout(0)
                self._callers[connection.fileno()] = Caller(connection, pid)
                self._selector.register(connection, selectors.EVENT_READ)
                return
        connection.close()

    def _hear(self, caller: "Caller") -> bool:
        """Do what a caller asks for; whether there is more to come."""
        try:
            message, data = caller.receive()
            if caller.secret is None:
                return self._greet(caller, message)
            if len(message) != 1 + _NONCE_BYTES or message[1:] != self._nonce or data is None:
                return False
            if message[:1] == b"B" and caller.begun is None:
                self._calls += 1
                return self._begin(caller, data)
            if message[:1] == b"E" and caller.begun is not None:
                finish(caller.begun, end_of(data), caller.is_there)
                caller.forget()
                caller.send(b"D")
        except Exception:  # noqa: BLE001 - whatever it is: the call is done, and others follow
            return False
        return False

    def _greet(self, caller: "Caller", message: bytes) -> bool:
        """Show each other that neither is in a sandbox that the other is not in."""
        letter, number = _HELLO.unpack(message)
        if letter != b"H":
            return False
        caller.secret = secret = caller.look_into(number)
        caller.send(_GREETING.pack(b"K", os.getpid(), self._shown) + secret)
        return True

    def _begin(self, caller: "Caller", data: bytes) -> bool:
        begun = begin(self._home, call_of(data)) if caller.is_there() else None
        if begun is None:
            caller.send(b"P")
            return False
        caller.begun = begun
        caller.send(b"R" + begun.helper_words, begun.presence.descriptor)
        return True

    def _dismiss(self, caller: "Caller") -> None:
        del self._callers[caller.fileno]
        self._selector.unregister(caller.fileno)
        caller.close()


class Caller:
    """A wrapper that waits for us, or runs its compiler."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.fileno = connection.fileno()
        self.begun: Begun | None = None
        self.secret: bytes | None = None  # None until it has been greeted
        self._connection = connection
        self._pid = pid

    def look_into(self, number: int) -> bytes:
        """What it shows in its descriptor of that number. Raises OSError who may not trace it."""
        path = f"/proc/{self._pid}/fd/{number}"
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            return os.pread(descriptor, _NONCE_BYTES, 0)
        finally:
            os.close(descriptor)

    def receive(self) -> tuple[bytes, bytes | None]:
        """A message, and what is in the file that came along."""
        message, files, _, _ = socket.recv_fds(self._connection, 64, 1)
        if not files:
            return message, None
        try:
            size = os.fstat(files[0]).st_size
            return message, os.pread(files[0], size, 0) if size <= _MOST_BYTES else None
        finally:
            os.close(files[0])

    def send(self, message: bytes, *descriptors: int) -> None:
        """Answer. Raises OSError where it is gone."""
        socket.send_fds(self._connection, [message], descriptors)

    def is_there(self) -> bool:
        """Whether it still waits for an answer."""
        try:
            return bool(self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """End the conversation, and what was made ready for the call."""
        self._connection.close()
        self.forget()

    def forget(self) -> None:
        """End what was made ready for its call."""
        begun, self.begun = self.begun, None
        if begun is not None:
            with suppress(RedoxaError, OSError):
                begun.close()


class Code:
    """The files of our modules, as they were when these were loaded."""

    def __init__(self) -> None:
        self._known: dict[str, Stamp | None] = {}
        self._loaded = 0
        self._learn()

    def changed(self) -> bool:
        """Whether any is another file by now."""
        self._learn()
        return any(_stamp(path) != stamp for path, stamp in self._known.items())

    def _learn(self) -> None:
        if len(sys.modules) == self._loaded:
            return
        self._loaded = len(sys.modules)
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__file__", None)
            if path is not None and name.partition(".")[0] in _OURS:
                self._known.setdefault(path, _stamp(path))


def _stamp(path: str) -> Stamp | None:
    try:
        return stamp_of(os.stat(path))  # noqa: PTH116 - a hundred of them for each call
    except OSError:
        return None
