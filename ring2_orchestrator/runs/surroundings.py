"""What a run depends on besides files: its folder, environment, machine and standard streams."""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self, cast

from blake3 import blake3

from cid_store.encoding import Node, NodeLike
from cid_store.errors import DamageError, UnavailableError
from ring2_orchestrator.plainfile import read_plain
from ring2_orchestrator.runs.paths import canonical, shown

# Names that tell where a session came from, not what a program should do.
NEVER_MATTER = frozenset({
    b"_", b"SHLVL", b"OLDPWD", b"WINDOWID", b"SSH_CLIENT", b"SSH_CONNECTION", b"SSH_TTY",
    b"SSH_AUTH_SOCK", b"SSH_AGENT_PID", b"GPG_AGENT_INFO", b"GPG_TTY", b"TERM_SESSION_ID",
    b"XDG_SESSION_ID", b"XDG_VTNR", b"XDG_SEAT", b"DBUS_SESSION_BUS_ADDRESS", b"INVOCATION_ID",
    b"JOURNAL_STREAM", b"SYSTEMD_EXEC_PID", b"TMUX", b"TMUX_PANE", b"STY", b"WINDOW",
    b"VTE_VERSION", b"KONSOLE_DBUS_SESSION", b"GNOME_TERMINAL_SCREEN", b"REDOXA_HOME",
    b"REDOXA_PYTEST_SHOWN", b"REDOXA_RELOCATABLE", b"REDOXA_WRAPPING",
})  # fmt: skip
# What make and cargo tell of themselves and of their jobs: for compilers this decides nothing.
OF_BUILD_TOOLS = frozenset({
    b"MAKEFLAGS", b"MFLAGS", b"MAKELEVEL", b"MAKEOVERRIDES", b"MAKE_TERMERR", b"MAKE_TERMOUT",
    b"GNUMAKEFLAGS", b"CARGO_MAKEFLAGS",
})  # fmt: skip
CONTROLLING_TERMINAL = "controlling terminal"
NO_TERMINAL = "none"
NETWORK = "network"
_UNSAID = {NETWORK: "not recorded"}
_DIGEST_BYTES = 16
_KEY_BYTES = 32


class Change(NamedTuple):
    """One thing that is not as a trace says, in words for a person."""

    path: str
    kind: str
    was: str
    now: str


class Stdin(NamedTuple):
    """What a run could read from its standard input: a stable word, and a digest of the bytes."""

    kind: str  # empty, file, pipe or terminal
    digest: bytes = b""
    size: int = 0
    eof: bool = True


class Surroundings(NamedTuple):
    """Everything around a run that it could see. Values of the environment are never kept."""

    cwd: bytes
    umask: int
    environment: Mapping[bytes, bytes]  # name to keyed digest
    machine: Mapping[str, str]
    terminals: tuple[bool, bool, bool]
    window: tuple[int, int] | None
    stdin: Stdin | None = None  # None: not looked at yet
    merged: bool = False

    def with_stdin(self, stdin: Stdin) -> Self:
        """The same surroundings with the standard input now known."""
        return self._replace(stdin=stdin)

    def with_network(self) -> Self:
        """The same for a program whose network is recorded, which its variables tell it."""
        return self._replace(machine={**self.machine, NETWORK: "recorded"})

    def changes(self, now: "Surroundings") -> list[Change]:
        """What `now` has otherwise; an unknown standard input counts as unchanged."""
        found: list[Change] = []
        _compare(found, "working directory", "cwd", shown(self.cwd), shown(now.cwd))
        _compare(found, "umask", "umask", f"{self.umask:04o}", f"{now.umask:04o}")
        for name in sorted(self.machine.keys() | now.machine.keys()):
            unsaid = _UNSAID.get(name, "unknown")
            was, is_now = self.machine.get(name, unsaid), now.machine.get(name, unsaid)
            _compare(found, name, "machine", was, is_now)
        found += self._environment_changes(now)
        for number, name in enumerate(("standard input", "standard output", "standard error")):
            was, is_now = _stream(self.terminals[number]), _stream(now.terminals[number])
            _compare(found, name, "terminal", was, is_now)
        if any(self.terminals):
            _compare(found, "terminal size", "terminal", _size(self.window), _size(now.window))
        _compare(found, "standard error", "terminal", _joined(self.merged), _joined(now.merged))
        if self.stdin is not None and now.stdin is not None and self.stdin != now.stdin:
            found.append(Change("standard input", "stdin", _shown(self.stdin), _shown(now.stdin)))
        return found

    def _environment_changes(self, now: "Surroundings") -> list[Change]:
        found: list[Change] = []
        for name in sorted(self.environment.keys() | now.environment.keys()):
            was, is_now = self.environment.get(name), now.environment.get(name)
            if was != is_now:
                words = ("set", "set to something else")
                found.append(
                    Change(
                        f"${shown(name)}",
                        "environment",
                        words[0] if was is not None else "not set",
                        "not set" if is_now is None else words[was is not None],
                    )
                )
        return found

    def node(self) -> dict[str, NodeLike]:
        """The surroundings as a trace keeps them."""
        names = sorted(self.environment)
        stdin = self.stdin
        assert stdin is not None, "a finished run knows its standard input"
        return {
            "cwd": self.cwd,
            "environment": {
                "digests": b"".join(self.environment[name] for name in names),
                "names": b"\0".join(names),
            },
            "machine": dict(self.machine),
            "merged": self.merged,
            "stdin": {
                "digest": stdin.digest,
                "eof": stdin.eof,
                "kind": stdin.kind,
                "size": stdin.size,
            },
            "terminals": list(self.terminals),
            "umask": self.umask,
            "window": None if self.window is None else list(self.window),
        }

    @classmethod
    def from_node(cls, node: dict[str, Node]) -> Self:
        """The surroundings in a trace's node, which the store has already checked."""
        environment = cast("dict[str, bytes]", node["environment"])
        digests = environment["digests"]
        names = environment["names"].split(b"\0") if environment["names"] else []
        stdin = cast("dict[str, object]", node["stdin"])
        window = cast("list[int] | None", node["window"])
        return cls(
            cwd=cast("bytes", node["cwd"]),
            umask=cast("int", node["umask"]),
            environment={
                name: digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES]
                for at, name in enumerate(names)
            },
            machine=cast("dict[str, str]", node["machine"]),
            terminals=cast("tuple[bool, bool, bool]", tuple(cast("list[bool]", node["terminals"]))),
            window=None if window is None else (window[0], window[1]),
            stdin=Stdin(
                kind=cast("str", stdin["kind"]),
                digest=cast("bytes", stdin["digest"]),
                size=cast("int", stdin["size"]),
                eof=cast("bool", stdin["eof"]),
            ),
            merged=cast("bool", node["merged"]),
        )


class EnvironmentKey:
    """A home's own random key, so that digests of values tell nothing to whoever reads a trace."""

    def __init__(self, home: Path) -> None:
        path = home / "environment.key"
        try:
            key = read_plain(path)
        except FileNotFoundError:
            key = _make_key(path)
        if len(key) != _KEY_BYTES:
            raise DamageError(
                f"{path} is damaged: it holds {len(key)} bytes instead of {_KEY_BYTES}; delete it, "
                "and every command is recorded anew"
            )
        self._key = key

    def digests(self, env: Mapping[str, str]) -> dict[bytes, bytes]:
        """Name to keyed digest of every variable that may matter."""
        found: dict[bytes, bytes] = {}
        for name, value in env.items():
            raw = os.fsencode(name)
            if raw not in NEVER_MATTER:
                data = raw + b"\0" + os.fsencode(value)
                found[raw] = blake3(data, key=self._key).digest(_DIGEST_BYTES)
        return found

    def seal(self, digest: bytes) -> bytes:
        """What a trace keeps of the digest of a secret file: nobody without the key can test it."""
        # No variable's name holds the sign, so no file is ever taken for a variable.
        return blake3(b"=file=" + digest, key=self._key).digest()


def surroundings_of(
    cwd: Path, env: Mapping[str, str], key: EnvironmentKey, *, streams: tuple[int, int, int]
) -> Surroundings:
    """The surroundings a command would have here and now; its standard input not yet read."""
    terminals = cast("tuple[bool, bool, bool]", tuple(_is_terminal(fd) for fd in streams))
    return Surroundings(
        cwd=canonical(cwd),
        umask=current_umask(),
        environment=key.digests(env),
        machine=machine_facts(),
        terminals=terminals,
        window=_window(streams) if any(terminals) else None,
        merged=_same_file(streams[1], streams[2]),
    )


def machine_facts() -> dict[str, str]:
    """What a program can learn of the machine and the user without reading a file."""
    name = os.uname()
    facts = {
        "host name": name.nodename,
        "kernel": f"{name.sysname} {name.release} {name.machine}",
        "user": f"{os.getuid()}:{os.getgid()}",
        "groups": ",".join(str(group) for group in sorted(os.getgroups())),
    }
    if sys.platform == "linux":
        facts["processors"] = str(len(os.sched_getaffinity(0)))
        facts[CONTROLLING_TERMINAL] = "present" if _has_terminal() else NO_TERMINAL
    return facts


def _has_terminal() -> bool:
    """Whether /dev/tty leads anywhere for our processes."""
    try:
        text = Path("/proc/self/stat").read_bytes()
    except OSError:
        return True
    # After the name in parentheses: state, parent, group, session, terminal.
    return text[text.rfind(b")") + 2 :].split()[4] != b"0"


def current_umask() -> int:
    """The process's umask, without changing it for a moment where the kernel tells."""
    try:
        with Path("/proc/self/status").open("rb") as status:
            for line in status:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _make_key(path: Path) -> bytes:
    key = os.urandom(_KEY_BYTES)
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        # A link fails where another process was first; then its key is the home's.
        os.link(temporary, path)
    except FileExistsError:
        key = read_plain(path)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be made ({error.strerror}); make room, or name another home with "
            "--home or REDOXA_HOME"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return key


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _window(streams: tuple[int, int, int]) -> tuple[int, int] | None:
    for fd in streams:
        try:
            size = os.get_terminal_size(fd)
        except OSError:
            continue
        return (size.columns, size.lines)
    return None


def _same_file(first: int, second: int) -> bool:
    """Whether two streams are one, as the recorder judges it."""
    try:
        one, two = os.fstat(first), os.fstat(second)
    except OSError:
        return False
    if (one.st_dev, one.st_ino) != (two.st_dev, two.st_ino):
        return False
    if stat.S_ISREG(one.st_mode):
        return os.lseek(first, 0, os.SEEK_CUR) == os.lseek(second, 0, os.SEEK_CUR)
    return True


def _compare(found: list[Change], path: str, kind: str, was: str, now: str) -> None:
    if was != now:
        found.append(Change(path, kind, was, now))


def _stream(terminal: bool) -> str:  # noqa: FBT001 - a value, not an option
    return "a terminal" if terminal else "no terminal"


def _joined(merged: bool) -> str:  # noqa: FBT001 - a value, not an option
    return "joined to standard output" if merged else "apart from standard output"


def _size(window: tuple[int, int] | None) -> str:
    return "unknown" if window is None else f"{window[0]}x{window[1]}"


def _shown(stdin: Stdin) -> str:
    if stdin.kind == "empty":
        return "empty"
    return f"{stdin.size:,} other bytes" if stdin.size else "no bytes"
