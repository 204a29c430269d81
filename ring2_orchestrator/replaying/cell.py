"""A file system of its own for one run: what it saw of its folders, and the rest unchangeable."""

from __future__ import annotations

import ctypes
import os
import selectors
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from typing import NoReturn

from ring2_orchestrator.replaying import answers
from ring2_orchestrator.replaying.parts import (
    CannotReplayError,
    Item,
    names_in,
    plain_name,
    safe,
    sentence,
    sha256_of,
)

KERNELS_OWN = ("/dev", "/proc", "/sys")
_NEW_NAMESPACES = 0x00020000 | 0x40000000 | 0x08000000  # mounts, network, System V IPC
_NEW_USER = 0x10000000
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_SET_MOUNT_ATTRIBUTES, _AT_RECURSIVE, _READ_ONLY = 442, 0x8000, 1


_TRUSTED = "/redoxa-trusted.pem"  # in the cell: whom the run is to trust
_NO_VIEW, _NO_EXEC = "view ", "exec "  # how a child that did not get to its command begins


class _NoViewError(CannotReplayError):
    """No file system view of its own is to be had; the text says why."""


class Cell:
    """The folders that a run had for itself, made again below a scratch folder."""

    def __init__(self, folder: str, run: Item, scratch: str) -> None:
        self.run = run
        self.root = os.path.join(os.path.realpath(scratch), "root")
        self.areas = [safe(area) for area in run["areas"]]
        self.isolated = True
        self.notes: list[str] = []
        self._folder = folder

    # Building.

    def place(self, path: str) -> str:
        """Where in the cell a path of the run lies."""
        return self.root + safe(path)

    def within(self, path: str) -> bool:
        """Whether the cell has that path for itself."""
        return any(area in ("/", path) or path.startswith(area + "/") for area in self.areas)

    def _parents(self, path: str) -> None:
        at = self.root
        for name in safe(path).split("/")[1:-1]:
            at = os.path.join(at, name)
            try:
                os.mkdir(at, 0o755)
            except FileExistsError:
                # A link in the way would lead out of the cell.
                if not stat.S_ISDIR(os.lstat(at).st_mode):
                    raise CannotReplayError(
                        f"{path} lies below something that is no folder"
                    ) from None

    def build(self) -> None:
        """Make all that the run saw in its own folders."""
        os.mkdir(self.root, 0o755)
        for area in self.areas:
            self._parents(os.path.join(area, "x"))
        inside = [item for item in self.run["inputs"] if self.within(safe(item["path"]))]
        order = {"folder": 0, "file": 1, "listing": 2, "link": 3}
        # Links last: nothing is made through them.
        for item in sorted(inside, key=lambda item: (order.get(item["what"], 1), item["path"])):
            self._make(item)
        self._parents(os.path.join(self.run["cwd"], "x"))
        if self.run.get("network"):
            self._copy(self.run["network"]["trusted"], self.root + _TRUSTED)
        for item in reversed(inside):
            if item["what"] == "folder" and os.path.isdir(self.place(item["path"])):
                os.chmod(self.place(item["path"]), item["mode"])

    def _make(self, item: Item) -> None:
        path, what = self.place(item["path"]), item["what"]
        self._parents(item["path"])
        if what in ("folder", "listing"):
            os.makedirs(path, exist_ok=True)
            for name, letter in item.get("entries", {}).items():
                self._stand_in(os.path.join(path, plain_name(name)), letter)
        elif what == "link":
            if not os.path.lexists(path):
                os.symlink(item["target"], path)
        elif what == "file" and not os.path.lexists(path):
            if item.get("object"):
                self._copy(item["object"], path)
            else:
                open(path, "xb").close()
            os.chmod(path, item["mode"])
            if item.get("mtime_ns") is not None:
                os.utime(path, ns=(item["mtime_ns"], item["mtime_ns"]))

    def _stand_in(self, path: str, letter: str) -> None:
        """Something of that type, where only its name was seen."""
        if os.path.lexists(path):
            return
        if letter == "d":
            os.mkdir(path)
        elif letter == "f":
            open(path, "xb").close()

    def _copy(self, name: str, path: str) -> None:
        shutil.copyfile(self.object(name), path)
        if sha256_of(path) != name:
            raise CannotReplayError(f"the object {name} of the bundle is damaged")

    def object(self, name: str) -> str:
        """Where the bundle keeps some bytes, named by their SHA-256 digest."""
        if not name.isalnum():
            raise CannotReplayError(f"{name!r} is no name of an object")
        return os.path.join(self._folder, "objects", name)

    def standing(self) -> set[str]:
        """Every path in the cell's own folders."""
        found: set[str] = set()
        for area in self.areas:
            for folder, names, files in os.walk(self.root + area.rstrip("/")):
                if area == "/" and folder == self.root:
                    names[:] = [name for name in names if "/" + name not in KERNELS_OWN]
                found.update(os.path.join(folder, name)[len(self.root) :] for name in names + files)
        return found

    # Executing.

    def execute(self) -> tuple[int, dict[int, bytes]]:
        """Run the command; its exit code, and what it printed to both streams."""
        try:
            return self._start(self._enter)
        except _NoViewError as error:
            self.isolated = False
            self._refuse_relocation(str(error))
        self.notes.append(
            "not isolated: it ran in a copy of its folder at another path, with the network and "
            "all other files within its reach"
        )
        return self._start(self._relocate)

    def _refuse_relocation(self, why: str) -> None:
        """Without a view of its own the run must not be told where the real folders are."""
        told = [area for area in self.areas if any(area in word for word in self.run["command"])]
        if told:
            raise CannotReplayError(
                f"no file system view of its own is to be had here ({why}), and without one the "
                f"run would reach {told[0]} itself, which its command names"
            )

    def _start(self, prepare: Callable[[], dict[str, str]]) -> tuple[int, dict[int, bytes]]:
        out, err = os.pipe(), os.pipe()
        said, saying = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._child(prepare, out[1], out[1] if self.run["merged"] else err[1], saying)
        for descriptor in (out[1], err[1], saying):
            os.close(descriptor)
        with os.fdopen(said, "rb") as status:
            trouble = status.read().decode("utf-8", "replace")
        printed = _read_all({1: out[0], 2: err[0]})
        ended = os.waitpid(pid, 0)[1]
        if trouble:
            kind = _NoViewError if trouble.startswith(_NO_VIEW) else CannotReplayError
            raise kind(trouble[len(_NO_VIEW) :])
        if os.WIFSIGNALED(ended):
            return 128 + os.WTERMSIG(ended), printed
        return os.WEXITSTATUS(ended), printed

    def _child(
        self, prepare: Callable[[], dict[str, str]], out: int, err: int, saying: int
    ) -> NoReturn:
        stage = _NO_VIEW
        try:
            stdin = self._stdin()
            environment = prepare()
            stage = _NO_EXEC
            for number, descriptor in enumerate((stdin, out, err)):
                os.dup2(descriptor, number)
            os.umask(self.run["umask"])
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(self.run["command"][0], self.run["command"], environment)  # noqa: S606
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent says it
            os.write(saying, (stage + sentence(error)).encode("utf-8", "replace"))
        finally:
            os._exit(125)

    def _stdin(self) -> int:
        name = self.run["stdin"]
        return os.open(self.object(name) if name else os.devnull, os.O_RDONLY)

    def _environment(self) -> dict[str, str]:
        known = dict(self.run["environment"])
        for name in self.run["unknown_environment"]:
            if name in os.environ:
                known[name] = os.environ[name]
        return known

    def _relocate(self) -> dict[str, str]:
        os.chdir(self.place(self.run["cwd"]))
        known = {
            name: self.root + value if value.startswith("/") and self.within(value) else value
            for name, value in self._environment().items()
        }
        return {**known, **self._network(self.root + _TRUSTED)}

    def _network(self, trusted: str) -> dict[str, str]:
        """Answer what the run asks over HTTP, where it did then; the variables that lead there."""
        if not self.run.get("network"):
            return {}
        return answers.start(self.run["network"], self.object, trusted)

    def _enter(self) -> dict[str, str]:
        """Make this process see the cell as the whole file system. Raises OSError."""
        libc = ctypes.CDLL(None, use_errno=True)
        user, group = os.getuid(), os.getgid()
        if libc.unshare(_NEW_NAMESPACES | _NEW_USER) == 0:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{user} {user} 1")
            _write("/proc/self/gid_map", f"{group} {group} 1")
        else:
            _check(libc.unshare(_NEW_NAMESPACES), "no namespace of its own")
        _check(libc.mount(None, b"/", None, _RECURSIVE | _PRIVATE, None), "mounts cannot be parted")
        for path in sorted(self._rest(), key=lambda path: not self.root.startswith(path + "/")):
            self._show(libc, path)
        if self.run.get("network"):
            answers.raise_loopback()
        environment = {**self._environment(), **self._network(_TRUSTED)}
        os.chroot(self.root)
        os.chdir(self.run["cwd"])
        return environment

    def _rest(self) -> list[str]:
        """The topmost paths of this machine that are no part of the cell's own folders."""
        if "/" in self.areas:
            return list(KERNELS_OWN)
        found: list[str] = []
        open_folders = ["/"]
        while open_folders:
            folder = open_folders.pop()
            for name in sorted(names_in(folder)):
                path = os.path.join(folder, name)
                if self.within(path):
                    continue
                if any(area.startswith(path + "/") for area in self.areas):
                    open_folders.append(path)
                else:
                    found.append(path)
        return found

    def _show(self, libc: ctypes.CDLL, path: str) -> None:
        """Let a path of this machine be seen in the cell, where nothing can change it."""
        at = self.root + path
        if os.path.lexists(at):
            return
        if os.path.islink(path):
            os.symlink(os.readlink(path), at)
            return
        if os.path.isdir(path):
            os.makedirs(at)
        else:
            open(at, "xb").close()
        source, target = os.fsencode(path), os.fsencode(at)
        if libc.mount(source, target, None, _BIND | _RECURSIVE, None) != 0:
            return  # what cannot be shown is not there for the run, and its results tell
        attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)
        flags = ctypes.c_uint(_AT_RECURSIVE)
        made = libc.syscall(
            ctypes.c_long(_SET_MOUNT_ATTRIBUTES), ctypes.c_int(-100), ctypes.c_char_p(target),
            flags, ctypes.byref(attributes), ctypes.c_size_t(32),
        )  # fmt: skip
        _check(made, f"{path} cannot be protected")


def _read_all(streams: dict[int, int]) -> dict[int, bytes]:
    parts: dict[int, list[bytes]] = {number: [] for number in streams}
    with selectors.DefaultSelector() as waiting:
        for number, descriptor in streams.items():
            waiting.register(descriptor, selectors.EVENT_READ, number)
        while waiting.get_map():
            for key, _ in waiting.select():
                block = os.read(key.fd, 1 << 16)
                parts[key.data].append(block)
                if not block:
                    waiting.unregister(key.fd)
                    os.close(key.fd)
    return {number: b"".join(found) for number, found in parts.items()}


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _check(returned: int, what: str) -> None:
    if returned != 0:
        raise CannotReplayError(f"{what} ({os.strerror(ctypes.get_errno())})")


def remove(folder: str) -> None:
    """Take a scratch folder away, whatever modes a run left in it."""
    for at, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            if not os.path.islink(path):
                os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)
