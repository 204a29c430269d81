"""The folder of a home's shortcuts: one file a command, written whole or not at all."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ring2_orchestrator.shortcuts.form import DIGEST_BYTES, digest, key_of

_NAME_LETTERS = 2 * DIGEST_BYTES


def path_of(home: Path, key: bytes, command: Sequence[bytes], cwd: bytes) -> Path:
    """Where the shortcut of a command in a folder lies; the name tells a stranger nothing."""
    words = b"".join(word + b"\0" for word in command)
    return home / "shortcuts" / digest(key, words + b"\0" + cwd).hex()


def write(path: Path, data: bytes) -> None:
    """Put a shortcut in its place. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def waiting(path: Path, entry: str) -> Path:
    """Where a shortcut waits until the trace under that entry is published."""
    return path.with_name(f"{path.name}.{entry}")


def hint_of(path: Path) -> Path:
    """Where what a hint said lies, beside the shortcut that it rests on."""
    return path.with_name(f"{path.name}.hint")


def let_answer(home: Path, command: Sequence[bytes], cwd: bytes, entry: str) -> None:
    """The shortcut that waited for the trace under that entry answers from now on."""
    if (home / "shortcuts").is_dir():
        path = path_of(home, key_of(home), command, cwd)
        with suppress(FileNotFoundError):
            waiting(path, entry).rename(path)


def discard(home: Path, command: Sequence[bytes], cwd: bytes, entry: str) -> None:
    """Take away the shortcut that waits for the trace under that entry. Raises OSError."""
    if (home / "shortcuts").is_dir():
        waiting(path_of(home, key_of(home), command, cwd), entry).unlink(missing_ok=True)


def drop(home: Path, command: Sequence[bytes], cwd: bytes) -> None:
    """Take away a command's shortcut: from now on another answer may be right. Raises OSError."""
    if (home / "shortcuts").is_dir():
        path = path_of(home, key_of(home), command, cwd)
        path.unlink(missing_ok=True)
        hint_of(path).unlink(missing_ok=True)


def drop_all(home: Path) -> None:
    """Take away every shortcut; whatever else lies in the folder stays. Raises OSError."""
    with suppress(FileNotFoundError):
        for path in (home / "shortcuts").iterdir():
            if len(path.name.partition(".")[0]) == _NAME_LETTERS:
                path.unlink(missing_ok=True)
