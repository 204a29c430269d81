"""Puts what is written in C into the wheel, and into the source tree of an editable install.

That is the recorder's helper, the front end of runs and the host's trampoline. Where no C compiler
works, the build asks for one from the package index: installing always works. On a system the
recorder does not know, the wheel is pure Python, says so when asked to record, and calls kernels
the slower way; so it is, too, where `REDOXA_BUILD=python` says that no compiler can be had. The
trampoline needs Python's headers, too; without them it alone is left out.

`REDOXA_BUILD=release` makes the wheel for others: always by the pinned compiler, whichever the
machine has, so that it is the same everywhere, runs on every system with glibc 2.28 or newer and
holds no C library but musl; and whole, or not at all.
"""

import importlib.util
import os
import shutil
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RECORDER = Path("ring2_orchestrator", "recorder")
SHORTCUTS = Path("ring2_orchestrator", "shortcuts")
FRONT_END = "redoxa-run"
WRAPPERS = ("redoxa-cc", "redoxa-c++", "redoxa-rustc")  # the front end by other names
HOST = Path("ring0", "host")
COMPILER = "ziglang==0.17.1"  # the same as the `kernels` extra
GLUE = "cffi>=2.0"  # the same as what it is needed for when it runs
OLDEST = "manylinux_2_28"  # what the pinned compiler is told to build for (recorder/compile.py)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg] - no configuration of its own
    """Compiles helper and trampoline before a wheel is put together."""

    def dependencies(self) -> list[str]:
        """The compiler, where the system has none that works, and what writes the glue."""
        compiler = self._load(RECORDER / "compile.py")
        if not self._wanted(compiler):
            return []
        if not _for_release() and compiler.system_compiler() is not None:
            return [GLUE]
        return [GLUE, COMPILER]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build each beside its Python side; `version` says standard or editable."""
        compiler = self._load(RECORDER / "compile.py")
        if not self._wanted(compiler):
            return
        trampoline = self._load(HOST / "trampoline" / "compile.py")
        helper = Path(self.root) / RECORDER / "redoxa-trace"
        front = Path(self.root) / SHORTCUTS / FRONT_END
        module = trampoline.target(Path(self.root) / HOST)
        programs, modules = None, compiler.compilers()
        if _for_release():
            # No C library of this machine: that would be one to be licensed and to be told of.
            programs, modules = [compiler.zig_compiler(static=True)], [compiler.zig_compiler()]
        for made, name, build in (
            (helper, "the recorder's helper", lambda: compiler.build(helper, compilers=programs)),
            (front, FRONT_END, lambda: compiler.build(front, front.parent / "front", programs)),
            (module, "compiled calls", lambda: trampoline.build(module, modules)),
        ):
            try:
                build()
            except (compiler.CompileError, trampoline.CompileError, OSError) as error:
                if _for_release():
                    raise
                self.app.display_warning(f"built without {name} ({version}): {error}")
                continue
            if made == front:  # commands, beside `redoxa` itself
                for copy in (front, *map(front.with_name, WRAPPERS)):
                    if copy != front:
                        shutil.copy2(front, copy)
                    at = copy.relative_to(self.root).as_posix()
                    build_data["shared_scripts"][at] = copy.name
            else:
                build_data["artifacts"].append(made.relative_to(self.root).as_posix())
            build_data["pure_python"] = False
            # Any Python 3, because one that cannot load the module does without; but only this
            # system and processor.
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            if _for_release():
                platform = platform.replace("linux", OLDEST)
            build_data["tag"] = f"py3-none-{platform}"

    def _wanted(self, compiler: ModuleType) -> bool:
        return compiler.can_record() and os.environ.get("REDOXA_BUILD") != "python"

    def _load(self, path: Path) -> ModuleType:
        # By its path: the package cannot be imported before what it depends on is installed.
        name = "_".join(("redoxa", *path.with_suffix("").parts))
        spec = importlib.util.spec_from_file_location(name, Path(self.root) / path)
        assert spec is not None, "a path to a Python file always has a spec"
        assert spec.loader is not None, "and a loader"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def _for_release() -> bool:
    return os.environ.get("REDOXA_BUILD") == "release"
