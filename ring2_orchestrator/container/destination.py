"""Where results are written: a file appears whole or not at all."""

import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cid_store.errors import InputError, UnavailableError
from ring2_orchestrator.plainfile import part_prefix


def check_destination(path: Path, *, force: bool) -> None:
    """Raise InputError when a result could not be put there, before any work is done for it."""
    shown = str(path)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be written: {_reason(error)}") from error
    if mode is not None and stat.S_ISDIR(mode):
        raise InputError(f"{shown} is a directory; name a file")
    if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise InputError(f"{shown} is not a regular file; '-' writes to standard output")
    if mode is not None and not force:
        raise InputError(f"{shown} exists; give --force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"{shown} cannot be written: there is no folder {path.parent}")


@contextmanager
def new_file(path: Path, *, force: bool) -> Generator[IO[bytes]]:
    """A file that takes its name when the block ends without an error, and vanishes otherwise."""
    check_destination(path, force=force)
    # A link is followed, so that replacing changes what it points to and keeps the link.
    path = Path(os.path.realpath(path))
    shown = str(path)
    try:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed below, before it is renamed
            dir=path.parent, prefix=part_prefix(path), suffix=".part", delete=False
        )
    except OSError as error:
        raise InputError(f"{shown} cannot be written: {_reason(error)}") from error
    part = Path(file.name)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(_mode(path))
        _publish(part, path, force=force)
    except OSError as error:
        raise UnavailableError(f"{shown} cannot be written: {_reason(error)}") from error
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def check_room(folder: Path, size: int) -> None:
    """Raise UnavailableError when the disk has no room for that many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UnavailableError(
            f"it takes {size:,} bytes, but the disk of {folder} has only {free:,} free"
        )


def _publish(part: Path, path: Path, *, force: bool) -> None:
    if force:
        part.replace(path)
        return
    try:
        # A link fails where a rename would silently replace a file that appeared meanwhile.
        path.hardlink_to(part)
    except FileExistsError:
        raise InputError(f"{path} exists; give --force to replace it") from None
    except OSError:
        # This file system has no hard links.
        check_destination(path, force=False)
        part.replace(path)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, or those any new file would get."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
