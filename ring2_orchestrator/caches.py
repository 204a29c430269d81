"""Where Redoxa keeps what can be made again, apart from every home."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where the platform keeps what can be made again: never copied with a home, never missed."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache") / "redoxa"
