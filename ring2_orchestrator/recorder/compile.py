"""Builds programs from C sources: the recorder's helper, and the front end of runs.

Needs nothing but the standard library.

The package's build loads this file by its path, before any of the project's dependencies exist.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).parent / "trace"
MACHINES = ("x86_64", "aarch64")


class CompileError(Exception):
    """No compiler is there, or it refused; the text says which and how."""


def can_record() -> bool:
    """Whether the helper knows this operating system and processor."""
    return sys.platform == "linux" and os.uname().machine in MACHINES


def digest(sources: Path = SOURCES) -> str:
    """The name of this exact source; the binary carries it, so a stale one is recognised."""
    hasher = hashlib.blake2b(digest_size=16)
    for path in sorted(sources.glob("*.[ch]")):
        hasher.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()


def system_compiler() -> list[str] | None:
    """`$CC`, or the first C compiler on PATH, if it can build a program for this kernel."""
    import shutil  # noqa: PLC0415 - each recording loads this file, and few build

    chosen = os.environ.get("CC", "").split()
    for words in [chosen, ["cc"], ["gcc"], ["clang"]]:
        if words and shutil.which(words[0]) and _works(words):
            return words
    return None


def _works(compiler: Sequence[str]) -> bool:
    import subprocess  # noqa: PLC0415 - as above
    import tempfile  # noqa: PLC0415 - as above

    # A compiler without the C library's headers, or of another processor, is of no use.
    probe = "#include <linux/seccomp.h>\n#include <stdio.h>\nint main(void) { return 0; }\n"
    with tempfile.TemporaryDirectory() as folder:
        made = str(Path(folder) / "probe")
        words = [*compiler, "-x", "c", "-", "-o", made]
        done = subprocess.run(words, input=probe, text=True, capture_output=True, check=False)
        return done.returncode == 0


def zig_compiler(*, static: bool = False) -> list[str] | None:
    """The C compiler inside the `ziglang` package, which needs no headers of the system."""
    import platform  # noqa: PLC0415 - as above
    from importlib.util import find_spec  # noqa: PLC0415 - as above

    if find_spec("ziglang") is None:
        return None
    # Building musl's C library takes five times as long as naming the glibc that is here anyway,
    # which the packaged compiler cannot link statically; 2.28 is older than every system that
    # still gets updates.
    abi = "gnu.2.28" if platform.libc_ver()[0] == "glibc" and not static else "musl"
    return [sys.executable, "-m", "ziglang", "cc", "-target", f"{platform.machine()}-linux-{abi}"]


def compilers() -> list[list[str]]:
    """Every C compiler there is, the first to be tried first."""
    found = (system_compiler(), zig_compiler())
    return [words for words in found if words is not None]


def build(
    target: Path, sources: Path = SOURCES, compilers: Sequence[Sequence[str]] | None = None
) -> None:
    """Compile a program to `target`, replacing it whole; with the first of these that can.

    Raises CompileError or OSError.
    """
    import tempfile  # noqa: PLC0415 - as above

    attempts = _attempts() if compilers is None else compilers
    if not attempts:
        raise CompileError("no C compiler is on PATH, and the ziglang package is not installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".trace-") as folder:
        made = Path(folder) / target.name
        _compile(attempts, made, sources)
        made.chmod(0o755)
        made.replace(target)


def _attempts() -> list[list[str]]:
    system, packaged = system_compiler(), zig_compiler()
    # A static helper starts faster; not every system has a static C library.
    attempts = [] if system is None else [[*system, "-static"], system]
    return attempts if packaged is None else [*attempts, packaged]


def _compile(attempts: Sequence[Sequence[str]], target: Path, sources: Path) -> None:
    import subprocess  # noqa: PLC0415 - as above

    # The packaged compiler keeps what it made in a folder of the person's, who may have none;
    # where one is named for that, what was compiled of a C library serves again.
    caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(target.parent))
    said: list[str] = []
    for compiler in attempts:
        done = subprocess.run(
            _words(compiler, target, sources),
            env={**caches, **os.environ},
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
        )
        if done.returncode == 0 and carries(target, digest(sources)):
            return
        reason = done.stderr.strip() or "what it made does not carry the name of its sources"
        said.append(f"{' '.join(compiler)}: {reason}")
    raise CompileError(f"the C compiler refused {target.name}:\n" + "\n".join(said))


def carries(binary: Path, name: str) -> bool:
    """Whether that file is a helper made from the sources of that name."""
    try:
        return name.encode() in binary.read_bytes() and os.access(binary, os.X_OK)
    except OSError:
        return False


def _words(compiler: Sequence[str], target: Path, sources: Path) -> list[str]:
    names = [str(path) for path in sorted(sources.glob("*.c"))]
    flags = ["-std=gnu11", "-O2", "-s", "-D_GNU_SOURCE"]
    stamp = f'-DSOURCE_DIGEST="{digest(sources)}"'
    return [*compiler, *flags, stamp, "-o", str(target), *names]
