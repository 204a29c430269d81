"""A folder for one recording, and an end for those that killed recordings left."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ring2_orchestrator.runs.processes import is_alive


@contextmanager
def scratch_folder(home: Path) -> Generator[Path]:
    """An empty private folder that goes with the block."""
    parent = home / "scratch"
    parent.mkdir(mode=0o700, exist_ok=True)
    _sweep(parent)
    folder = parent / f"{os.getpid()}-{os.urandom(8).hex()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        _remove(folder)


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that are no more."""
    for folder in parent.iterdir():
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not is_alive(int(pid)):
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove what a recording leaves, whatever that is."""
    try:
        (folder / "events").unlink()
        (folder / "pre").rmdir()
        folder.rmdir()
    except OSError:
        import shutil  # noqa: PLC0415 - mostly no old contents had to be kept

        shutil.rmtree(folder, ignore_errors=True)
