"""The paths that `strace` saw a program open, probe, list and execute.

Reads what `strace` with OPTIONS and `-o PREFIX` leaves: a file a process, every string in
hexadecimal, every descriptor with its path.
"""

import os
import re
import stat
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

WATCHED = "%file,%process,getdents,getdents64,fchdir"
OPTIONS = ("-ff", "-y", "-xx", "-ttt", "-s", "65535", "-e", f"trace={WATCHED}")


class Deed(StrEnum):
    """What a call that succeeded did with a path; one that failed has probed it."""

    OPENED = "opened"
    PROBED = "probed"
    LISTED = "listed"
    EXECUTED = "executed"


class Touch(NamedTuple):
    """One path of one call: absolute, with no link left in it but perhaps the last name."""

    deed: Deed
    path: bytes
    call: str


_OPENS = {"open", "openat", "openat2", "creat"}
_EXECUTES = {"execve", "execveat"}
_LISTS = {"getdents", "getdents64"}
_STARTS = {"clone", "clone3", "fork", "vfork"}
# Their first string is no path, but what a link is to hold.
_MAKES_LINKS = {"symlink", "symlinkat"}
# Their second string is a path, too.
_OF_TWO = {"rename", "renameat", "renameat2", "link", "linkat"}
# These look at a link, not through it.
_OF_LINKS = {
    "lstat",
    "readlink",
    "readlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    *_MAKES_LINKS,
    *_OF_TWO,
}
_NOFOLLOW = re.compile(r"AT_SYMLINK_NOFOLLOW|O_NOFOLLOW|O_EXCL")

_LINE = re.compile(r"(?P<time>\d+\.\d+) (?P<call>\w+)\((?P<rest>.*)\Z", re.DOTALL)
_RESULT = re.compile(r"\)\s+= (-?\d+|\?)")
# A folder's descriptor, or one of the strings that are arguments themselves.
_WORD = re.compile(
    r"(?P<at>AT_FDCWD|\d+)<(?P<folder>(?:\\x[0-9a-f]{2})*)>(?:\(deleted\))?"
    r'|(?P<inner>[\[{])|"(?P<text>(?:\\x[0-9a-f]{2})*)"'
)


class _Call(NamedTuple):
    time: float
    pid: int
    name: str
    rest: str
    result: int | None  # None: the process ended in it

    @property
    def failed(self) -> bool:
        return self.result is not None and self.result < 0


def touches(prefix: Path, cwd: Path) -> Iterator[Touch]:
    """Every path of every call, in the order of time; `cwd` is where the first process began."""
    calls = sorted(call for path in prefix.parent.glob(f"{prefix.name}.*") for call in _calls(path))
    started = os.fsencode(cwd)
    folders: dict[int, bytes] = {}
    for call in calls:
        here = folders.setdefault(call.pid, started)
        if call.name in _STARTS and call.result:
            folders[call.result] = here
        elif call.name == "chdir" and not call.failed:
            folders[call.pid] = next(_paths(call, here))
        elif call.name == "fchdir" and not call.failed:
            folders[call.pid] = _folder(call)
        yield from _touches(call, here)


def _calls(path: Path) -> Iterator[_Call]:
    pid = int(path.suffix[1:])
    for line in path.read_text("ascii").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue  # a signal, or the end
        rest = found["rest"]
        result = [*_RESULT.finditer(rest)][-1:]
        number = None if not result or result[0][1] == "?" else int(result[0][1])
        rest = rest[: result[0].start()] if result else rest
        yield _Call(float(found["time"]), pid, found["call"], rest, number)


def _touches(call: _Call, here: bytes) -> Iterator[Touch]:
    if call.name in _LISTS:
        if not call.failed and call.result is not None:
            yield Touch(Deed.LISTED, _folder(call), call.name)
        return
    follows = call.name not in _OF_LINKS and not _NOFOLLOW.search(call.rest)
    for path in _paths(call, here):
        place = _without_links(path)
        yield Touch(Deed.PROBED, place, call.name)
        if follows and _is_link(place):
            place = _resolved(place)
            yield Touch(Deed.PROBED, place, call.name)
        if call.name in _OPENS and not call.failed:
            yield Touch(Deed.OPENED, place, call.name)
        elif call.name in _EXECUTES and not call.failed:
            yield Touch(Deed.EXECUTED, place, call.name)


def _paths(call: _Call, here: bytes) -> Iterator[bytes]:
    wanted = 2 if call.name in _OF_TWO or call.name in _MAKES_LINKS else 1
    found = 0
    folder = here
    for word in _WORD.finditer(call.rest):
        if word["inner"]:
            return  # a structure, or the words of a command
        if word["at"]:
            folder = _bytes(word["folder"])
            continue
        found += 1
        text = _bytes(word["text"])
        if text and not (found == 1 and call.name in _MAKES_LINKS):
            yield text if text.startswith(b"/") else folder + b"/" + text
        folder = here
        if found == wanted:
            return


def _folder(call: _Call) -> bytes:
    word = _WORD.match(call.rest)
    assert word is not None, f"{call.name} names a descriptor"
    return _bytes(word["folder"])


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _without_links(path: bytes) -> bytes:
    folder, name = os.path.split(path.rstrip(b"/") or b"/")
    if name in (b"", b".", b".."):
        return _resolved(path)
    return _resolved(folder).rstrip(b"/") + b"/" + name


def _resolved(path: bytes) -> bytes:
    # What a process sees of itself there is another thing for us.
    return os.path.normpath(path) if path.startswith(b"/proc/") else os.path.realpath(path)


def _is_link(path: bytes) -> bool:
    if path.startswith(b"/proc/"):
        return False
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False
