"""The law a module must keep before any engine sees it: ABI v1, and nothing else at its border.

Touching the type of some exports aborts the engine's process, and fuel does not bound compiling,
so shapes and counts are judged first, from the bytes alone. docs/formats/module.md lists the rules.
"""

from collections.abc import Iterator

from ring0 import abi
from ring0.binary import I32, NUMBERS, VALUES
from ring0.errors import RefusedModuleError
from ring0.sections import DEFAULT_LIMITS, Export, FuncType, ModuleInfo, ModuleLimits, parse

__all__ = ["DEFAULT_LIMITS", "ModuleInfo", "ModuleLimits", "breaches", "inspect", "parse"]


def inspect(wasm: bytes, limits: ModuleLimits = DEFAULT_LIMITS) -> ModuleInfo:
    """What these bytes declare. Raises RefusedModuleError unless they keep the whole law."""
    info = parse(wasm, limits)
    for breach in breaches(info):
        raise breach
    return info


def breaches(info: ModuleInfo) -> Iterator[RefusedModuleError]:
    """Every rule of ABI v1 that a parsed module breaks, one error each."""
    if info.imports:
        # Imported items shift every index, so nothing else can be judged.
        yield RefusedModuleError(
            "import", f"the module imports {info.imports[0]}; a kernel imports nothing"
        )
        return
    if info.has_start:
        yield RefusedModuleError("start", "the module has a start function; a kernel has none")
    for export in info.exports:
        yield from _export_breaches(info, export)
    yield from _memory_breaches(info)
    yield from _run_breaches(info)


def _export_breaches(info: ModuleInfo, export: Export) -> Iterator[RefusedModuleError]:
    if not export.name or not export.name.isprintable():
        yield RefusedModuleError(
            "export-name", f"export name {export.name!a} is empty or not printable"
        )
    crossing: tuple[int, ...] = ()
    if export.kind == "function":
        signature = info.function_type(export)
        crossing = signature.params + signature.results
    elif export.kind == "global":
        crossing = (info.globals[export.index].type,)
    strange = [VALUES[one] for one in crossing if one not in NUMBERS]
    if strange:
        yield RefusedModuleError(
            "border-type",
            f"export {export.name!a} passes {strange[0]}; only plain numbers may cross the border",
        )


def _run_breaches(info: ModuleInfo) -> Iterator[RefusedModuleError]:
    run = info.export(abi.RUN_EXPORT)
    if run is None or run.kind != "function":
        yield RefusedModuleError("no-run", "the module exports no function 'run'")
        return
    signature = info.function_type(run)
    if signature != FuncType((I32,), (I32,)):
        yield RefusedModuleError("run-type", f"'run' is {signature}; ABI v1 has (i32) -> (i32)")


def _memory_breaches(info: ModuleInfo) -> Iterator[RefusedModuleError]:
    memory = info.export(abi.MEMORY_EXPORT)
    if memory is None:
        yield RefusedModuleError("no-memory", "the module exports no 'memory'")
    elif memory.kind != "memory":
        yield RefusedModuleError("no-memory", f"export 'memory' is a {memory.kind}, not a memory")
    elif info.memory.max is None:
        yield RefusedModuleError("memory-maximum", "the memory declares no maximum")
