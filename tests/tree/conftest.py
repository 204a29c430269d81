"""Folders to take trees from, and what is compared after they come back."""

import os
import stat
from pathlib import Path

import pytest

from cid_store.memory import MemoryStore
from tests.store_command import home

__all__ = ["home", "look", "store"]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def look(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every name below a folder with its mode, and contents or target."""
    found: dict[str, tuple[int, bytes]] = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            data, mode = os.fsencode(path.readlink()), 0
        else:
            data = path.read_bytes() if stat.S_ISREG(mode) else b""
        found[str(path.relative_to(folder))] = (mode, data)
    return found
