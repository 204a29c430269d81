"""Where Redoxa keeps what can be made again, apart from every home."""

import os
import stat
from pathlib import Path


def cache_folder() -> Path:
    """Where the platform keeps what can be made again: never copied with a home, never missed."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache") / "redoxa"


def bytecode_folder() -> str | None:
    """Where Redoxa's own modules may lie compiled; None where others could put theirs there.

    Python does without what cannot be written there.
    """
    folder = cache_folder() / "bytecode"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except (OSError, RuntimeError):  # there may be no such place, and not even a home
        return None
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not private or status.st_uid != os.geteuid() or not folder.is_absolute():
        return None
    return os.fspath(folder)
