"""Builds the recorder's helper from its C sources; needs nothing but the standard library.

The package's build loads this file by its path, before any of the project's dependencies exist.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

SOURCES = Path(__file__).parent / "trace"
MACHINES = ("x86_64", "aarch64")


class CompileError(Exception):
    """No compiler is there, or it refused; the text says which and how."""


def can_record() -> bool:
    """Whether the helper knows this operating system and processor."""
    return sys.platform == "linux" and platform.machine() in MACHINES


def digest(sources: Path = SOURCES) -> str:
    """The name of this exact source; the binary carries it, so a stale one is recognised."""
    hasher = hashlib.blake2b(digest_size=16)
    for path in sorted(sources.glob("*.[ch]")):
        hasher.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()


def system_compiler() -> list[str] | None:
    """`$CC`, or the first C compiler on PATH, if it can build a program for this kernel."""
    chosen = os.environ.get("CC", "").split()
    for words in [chosen, ["cc"], ["gcc"], ["clang"]]:
        if words and shutil.which(words[0]) and _works(words):
            return words
    return None


def _works(compiler: Sequence[str]) -> bool:
    # A compiler without the C library's headers, or of another processor, is of no use.
    probe = "#include <linux/seccomp.h>\n#include <stdio.h>\nint main(void) { return 0; }\n"
    with tempfile.TemporaryDirectory() as folder:
        made = str(Path(folder) / "probe")
        words = [*compiler, "-x", "c", "-", "-o", made]
        done = subprocess.run(words, input=probe, text=True, capture_output=True, check=False)
        return done.returncode == 0


def zig_compiler() -> list[str] | None:
    """The C compiler inside the `ziglang` package, which needs no headers of the system."""
    if find_spec("ziglang") is None:
        return None
    # Building musl's C library takes five times as long as naming the glibc that is here anyway;
    # 2.28 is older than every system that still gets updates.
    abi = "gnu.2.28" if platform.libc_ver()[0] == "glibc" else "musl"
    return [sys.executable, "-m", "ziglang", "cc", "-target", f"{platform.machine()}-linux-{abi}"]


def build(target: Path, sources: Path = SOURCES) -> None:
    """Compile the helper to `target`, replacing it whole. Raises CompileError."""
    compilers = [words for words in (system_compiler(), zig_compiler()) if words is not None]
    if not compilers:
        raise CompileError("no C compiler is on PATH, and the ziglang package is not installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".trace-") as folder:
        made = Path(folder) / target.name
        _compile(compilers, made, sources)
        made.chmod(0o755)
        made.replace(target)


def _compile(compilers: Sequence[Sequence[str]], target: Path, sources: Path) -> None:
    said: list[str] = []
    for compiler in compilers:
        # A static helper starts faster; not every system has a static C library.
        for linking in (["-static"], []):
            done = subprocess.run(
                _words(compiler, linking, target, sources),
                capture_output=True,
                text=True,
                errors="backslashreplace",
                check=False,
            )
            if done.returncode == 0:
                return
            said.append(f"{' '.join(compiler)}: {done.stderr.strip()}")
    raise CompileError("the C compiler refused the recorder's helper:\n" + "\n".join(said))


def _words(
    compiler: Sequence[str], linking: Sequence[str], target: Path, sources: Path
) -> list[str]:
    names = [str(path) for path in sorted(sources.glob("*.c"))]
    flags = ["-std=gnu11", "-O2", "-s", "-D_GNU_SOURCE"]
    stamp = f'-DSOURCE_DIGEST="{digest(sources)}"'
    return [*compiler, *flags, stamp, *linking, "-o", str(target), *names]
