"""What every part of a replay needs: names of files that are safe to use, digests, one error."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict

Item = Dict[str, Any]  # run.json, or one entry of it


class CannotReplayError(Exception):
    """The run cannot be re-created here; the text says why."""


def safe(path: str) -> str:
    """The path, where it is absolute and leads through no `..`."""
    if not path.startswith("/") or os.path.normpath(path) != path or "\0" in path:
        raise CannotReplayError(f"{path!r} is no plain absolute path")
    return path


def plain_name(name: str) -> str:
    """The name, where it is one of something in a folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise CannotReplayError(f"{name!r} is no name of a file")
    return name


def names_in(folder: str) -> list[str]:
    """What a folder lists; nothing where it cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def sha256_of(path: str) -> str:
    """The digest of a file in hexadecimal."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def sentence(error: BaseException) -> str:
    """An error for people."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
