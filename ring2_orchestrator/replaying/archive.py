"""A bundle as one tar file that runs elsewhere: equal bundles give equal bytes."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

_SCRIPT = """\
#!/bin/sh
# Runs the command of this bundle again and compares; README.txt says more.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd) || exit 3
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here/program \\
    exec "${PYTHON:-python3}" -m ring2_orchestrator.replaying "$@" "$here"
"""
_PROGRAM = ("__init__.py", "__main__.py", "answers.py", "cell.py", "parts.py", "verdict.py")


def write_archive(bundle: Path, archive: Path, *, name: str, readme: str) -> int:
    """Put the bundle in a tar file, below a folder of that name; how many bytes it takes.

    The bundle itself is taken as it is, and its program along. Raises OSError.
    """
    temporary = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for at, mode, source in sorted(_members(bundle, readme)):
                    _add(tar, f"{name}/{at}", mode, source)
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(archive)
    finally:
        temporary.unlink(missing_ok=True)
    return size


def _members(bundle: Path, readme: str) -> Iterator[tuple[str, int, Path | bytes]]:
    """Each file of the archive: its name, its mode, and where its bytes are."""
    yield "README.txt", 0o644, readme.encode()
    yield "replay", 0o755, _SCRIPT.encode()
    here = Path(__file__).parent
    yield "program/ring2_orchestrator/__init__.py", 0o644, here.parent / "__init__.py"
    for module in _PROGRAM:
        yield f"program/ring2_orchestrator/replaying/{module}", 0o644, here / module
    yield "run.json", 0o644, bundle / "run.json"
    for path in (bundle / "objects").iterdir():
        yield f"objects/{path.name}", 0o644, path


def _add(tar: tarfile.TarFile, name: str, mode: int, source: Path | bytes) -> None:
    info = tarfile.TarInfo(name)  # no owner, and the time zero
    info.mode = mode
    if isinstance(source, bytes):
        info.size = len(source)
        tar.addfile(info, io.BytesIO(source))
        return
    with source.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        tar.addfile(info, file)
