"""Names and plain files: what is not whole yet is called so that any disk takes the name.

The files of a home are plain: a link is not followed, and nobody waits for a pipe.
"""

import errno
import os
import stat
from pathlib import Path

OWNERS = 0o600


def open_plain(path: Path, flags: int) -> int:
    """A descriptor of a plain file. Raises OSError where there is anything else."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, OWNERS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is no plain file", str(path))
    return descriptor


def read_plain(path: Path, *, limit: int = -1) -> bytes:
    """The bytes of a plain file, or the first of them. Raises OSError."""
    with open(open_plain(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def part_prefix(path: Path) -> str:
    """How the name begins of what takes that path when it is whole."""
    # Disks count bytes: 64 letters may be more than they take. Some take no broken letters.
    return f".{os.fsencode(path.name)[:64].decode(errors='ignore')}."
