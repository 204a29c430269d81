"""What makes one process more confined than another: a keeper serves those that are as it is."""

import os
from pathlib import Path

_RIGHTS = (b"Uid:", b"Gid:", b"Groups:", b"Cap", b"NoNewPrivs:", b"Seccomp")
_SPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


def circle_of(pid: int) -> bytes:
    """All of it that the system tells of a process; equal for two that may do the same.

    Raises OSError where this process may not look at that one.
    """
    at = Path(f"/proc/{pid}")
    status = (at / "status").read_bytes().splitlines()
    stat = (at / "stat").read_bytes()
    root = (at / "root").stat()
    facts = [line for line in status if line.startswith(_RIGHTS)]
    # After the name in parentheses: state, parent, group, session.
    facts.append(stat[stat.rfind(b")") + 2 :].split()[3])
    facts.append(b"%d:%d" % (root.st_dev, root.st_ino))
    facts += [os.fsencode((at / "ns" / space).readlink()) for space in _spaces()]
    facts.append((at / "cgroup").read_bytes())
    facts.append(_label(at))
    return b"\0".join(facts)


def _spaces() -> list[str]:
    return [space for space in _SPACES if os.path.lexists(f"/proc/self/ns/{space}")]


def _label(at: Path) -> bytes:
    """What a security module calls it, where there is one."""
    try:
        return (at / "attr" / "current").read_bytes()
    except OSError:
        return b""
