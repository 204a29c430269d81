"""Absolute paths as the kernel has them: bytes, canonical, never decoded except to be shown."""

import os
from pathlib import Path


def folder_of(path: bytes) -> bytes:
    """The folder a path lies in; that of the root is the root."""
    return path.rpartition(b"/")[0] or b"/"


def name_of(path: bytes) -> bytes:
    """The last name of a path."""
    return path.rpartition(b"/")[2]


def join(folder: bytes, name: bytes) -> bytes:
    """The path of a name in a folder."""
    return (folder if folder != b"/" else b"") + b"/" + name


def inside(path: bytes, folder: bytes) -> bool:
    """Whether a path lies below a folder (the folder itself does not)."""
    if folder == b"/":
        return path != b"/"
    return path.startswith(folder + b"/")


def canonical(path: str | os.PathLike[str]) -> bytes:
    """The one name of what a path leads to, without links, `.` and `..`."""
    return os.fsencode(os.path.realpath(path))


def shown(path: bytes) -> str:
    """A path for people; what is not UTF-8 is spelled out."""
    return path.decode("utf-8", "backslashreplace")


def identity_of_folder(path: Path) -> tuple[int, int] | None:
    """Its device and inode; None where nothing is there to be asked."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
