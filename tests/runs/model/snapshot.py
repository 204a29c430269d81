"""A world's files as a value: taken and put back in this process, as often as every step asks."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Tree = dict[str, tuple[int, bytes | str]]


class Thing(NamedTuple):
    """What stands at one path: its bytes, where a link points, or the first name of a file."""

    mode: int
    mtime_ns: int
    content: bytes
    twin: str | None = None


Snapshot = dict[str, Thing]


def take(world: Path) -> Snapshot:
    """Every folder, file and link below the world's folder, each folder before what it holds."""
    first: dict[int, str] = {}
    return {
        entry.path[len(str(world)) + 1 :]: _thing(entry, first, len(str(world)) + 1)
        for entry in _walk(world)
    }


def put(world: Path, snapshot: Snapshot) -> None:
    """Make the world's folder hold that and nothing else: links of both kinds and times, too."""
    if world.exists():
        shutil.rmtree(world)
    world.mkdir()
    for name, thing in snapshot.items():
        _make(str(world / name), thing, world)
    for name, thing in reversed(snapshot.items()):
        times = (thing.mtime_ns, thing.mtime_ns)
        path = str(world / name)
        if stat.S_ISDIR(thing.mode):
            os.chmod(path, stat.S_IMODE(thing.mode))  # noqa: PTH101 - as quick as can be
        os.utime(path, ns=times, follow_symlinks=False)


def tree_of(world: Path) -> Tree:
    """Mode and content, or where a link points, of all but what Python keeps for itself."""
    return {
        name: (thing.mode, os.fsdecode(thing.content) if _is_link(thing) else thing.content)
        for name, thing in _with_twins(take(world))
        if "__pycache__" not in name.split("/")
    }


def _walk(folder: Path | str) -> Iterator["os.DirEntry[str]"]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)


def _thing(entry: "os.DirEntry[str]", first: dict[int, str], cut: int) -> Thing:
    status = entry.stat(follow_symlinks=False)
    content, twin = b"", None
    if stat.S_ISLNK(status.st_mode):
        content = os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - as quick as can be
    elif stat.S_ISREG(status.st_mode):
        twin = first.get(status.st_ino) if status.st_nlink > 1 else None
        first.setdefault(status.st_ino, entry.path[cut:])
        content = b"" if twin is not None else Path(entry.path).read_bytes()
    return Thing(status.st_mode, status.st_mtime_ns, content, twin)


def _make(path: str, thing: Thing, world: Path) -> None:
    if stat.S_ISDIR(thing.mode):
        os.mkdir(path)  # noqa: PTH102 - as quick as can be
    elif _is_link(thing):
        os.symlink(thing.content, os.fsencode(path))  # noqa: PTH211 - the same
    elif thing.twin is not None:
        os.link(world / thing.twin, path)
    else:
        Path(path).write_bytes(thing.content)
        os.chmod(path, stat.S_IMODE(thing.mode))  # noqa: PTH101 - the same


def _is_link(thing: Thing) -> bool:
    return stat.S_ISLNK(thing.mode)


def _with_twins(snapshot: Snapshot) -> Iterator[tuple[str, Thing]]:
    for name, thing in snapshot.items():
        twin = thing if thing.twin is None else snapshot[thing.twin]
        yield name, thing._replace(content=twin.content)
