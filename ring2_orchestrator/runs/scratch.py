"""A folder for one recording, and an end for those that killed recordings left."""

import os
import shutil
import tempfile
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
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove the folders of processes that are no more."""
    for folder in parent.iterdir():
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not is_alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
