"""Puts the recorder's helper into the wheel, and into the source tree of an editable install.

Where no C compiler works, the build asks for one from the package index: installing always works.
On a system the recorder does not know, the wheel is pure Python and says so when asked to record;
so it is, too, where `REDOXA_BUILD=python` says that no compiler can be had.
"""

import importlib.util
import os
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RECORDER = Path("ring2_orchestrator", "recorder")
COMPILER = "ziglang==0.17.1"  # the same as the `kernels` extra


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg] - no configuration of its own
    """Compiles the helper before a wheel is put together."""

    def dependencies(self) -> list[str]:
        """The compiler, where the system has none that works."""
        compiler = self._compiler()
        if not self._wanted(compiler) or compiler.system_compiler() is not None:
            return []
        return [COMPILER]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the helper beside its Python side; `version` says standard or editable."""
        compiler = self._compiler()
        if not self._wanted(compiler):
            return
        target = Path(self.root) / RECORDER / "redoxa-trace"
        try:
            compiler.build(target)
        except (compiler.CompileError, OSError) as error:
            self.app.display_warning(f"built without the recorder ({version}): {error}")
            return
        build_data["artifacts"].append((RECORDER / target.name).as_posix())
        build_data["pure_python"] = False
        # Any Python 3, but only this system and processor.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"

    def _wanted(self, compiler: ModuleType) -> bool:
        return compiler.can_record() and os.environ.get("REDOXA_BUILD") != "python"

    def _compiler(self) -> ModuleType:
        # By its path: the package cannot be imported before what it depends on is installed.
        path = Path(self.root) / RECORDER / "compile.py"
        spec = importlib.util.spec_from_file_location("redoxa_recorder_compile", path)
        assert spec is not None, "a path to a Python file always has a spec"
        assert spec.loader is not None, "and a loader"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
