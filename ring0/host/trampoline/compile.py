"""Builds the compiled calls as an extension module; needs cffi, a C compiler and Python's headers.

The package's build loads this file by its path, before any of the project's dependencies exist.
"""

import os
import zlib
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

FOLDER = Path(__file__).parent
NAME = "_trampoline"
# One file for every CPython from the oldest we run on.
_LIMITED_API = "0x030B0000"
_FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-s", "-fno-strict-aliasing", "-w")


class CompileError(Exception):
    """The module cannot be built; the text says why."""


def sources() -> bytes:
    """A name that changes with the sources; the module carries it, so a stale one is known."""
    both = b"\0".join((FOLDER / name).read_bytes() for name in ("calls.h", "calls.c"))
    return f"redoxa-trampoline-{zlib.crc32(both):08x}".encode()


def carries(path: Path) -> bool:
    """Whether that file was made from these sources."""
    try:
        return sources() in path.read_bytes()
    except OSError:
        return False


def target(folder: Path) -> Path:
    """The file that is imported as `_trampoline` from that folder."""
    return folder / f"{NAME}.abi3.so"


def build(path: Path, compilers: Sequence[Sequence[str]]) -> None:
    """Compile to `path`, replacing it whole, with the first of these that can.

    Raises CompileError or OSError.
    """
    import tempfile  # noqa: PLC0415 - whoever only runs the module pays for none of this

    try:
        from cffi import FFI  # noqa: PLC0415 - needed to build, never to run
    except ImportError as error:
        raise CompileError("cffi is not installed") from error
    if not compilers:
        raise CompileError("no C compiler is on PATH, and the ziglang package is not installed")
    builder = FFI()
    builder.cdef((FOLDER / "calls.h").read_text(encoding="utf-8"))
    preamble = '#include <stdbool.h>\n#include <stdint.h>\n#include "calls.h"'
    builder.set_source(f"ring0.host.{NAME}", preamble)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".trampoline-") as work:
        glue = Path(work) / f"{NAME}.c"
        with redirect_stdout(StringIO()):  # it tells what it does to nobody who asked
            builder.emit_c_code(str(glue))
        made = Path(work) / path.name
        _compile(compilers, glue, made)
        made.chmod(0o755)
        made.replace(path)


def _compile(compilers: Sequence[Sequence[str]], glue: Path, made: Path) -> None:
    import subprocess  # noqa: PLC0415 - as above
    import sysconfig  # noqa: PLC0415 - as above

    words = [
        *_FLAGS,
        f"-DPy_LIMITED_API={_LIMITED_API}",
        f'-DSOURCES="{sources().decode()}"',
        f"-I{sysconfig.get_path('include')}",
        f"-I{FOLDER}",
        str(glue),
        str(FOLDER / "calls.c"),
        "-o",
        str(made),
    ]
    # The packaged compiler keeps what it made in a folder of the person's, who may have none;
    # where one is named for that, what was compiled of a C library serves again.
    caches = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(made.parent))
    said: list[str] = []
    for compiler in compilers:
        done = subprocess.run(
            [*compiler, *words],
            env={**caches, **os.environ},
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
        )
        if done.returncode == 0 and carries(made):
            return
        reason = done.stderr.strip() or "what it made does not carry the name of its sources"
        said.append(f"{' '.join(compiler)}: {reason}")
    raise CompileError("the C compiler refused the compiled calls:\n" + "\n".join(said))
