"""Call one export of any module that has no imports, whatever its shape, with zeros.

For modules that are no kernels: it shows that the engine survives them under limits. The slots of
arguments and results are raw bytes counted by our own inspector; the engine is asked for no type.
"""

from typing import Any

from ring0.host.call import RESULT, Answer
from ring0.host.engine import INSTANTIATION, Module, Stopped, take_error, take_trap
from ring0.host.library import NULL, ffi

_SLOT_BYTES = 16
_TABLE_ELEMENTS = 10_000
_FUNCTION = 0


def exercise(
    module: Module, name: str, slots: int, *, fuel: int | None, memory_bytes: int
) -> Answer:
    """Instantiate, then call that exported function; its result slots as one output.

    An empty name only instantiates. Raises Stopped.
    """
    lib = module.engine.lib
    store = ffi.gc(
        lib.wasmtime_store_new(module.engine.pointer, NULL, NULL), lib.wasmtime_store_delete
    )
    context = lib.wasmtime_store_context(store)
    lib.wasmtime_store_limiter(store, memory_bytes, _TABLE_ELEMENTS, 1, 4, 1)
    given = (1 << 63) - 1 if fuel is None else fuel
    lib.wasmtime_context_set_fuel(context, given)
    instance = ffi.new("wasmtime_instance_t *")
    trap = ffi.new("wasm_trap_t **")
    error = lib.wasmtime_instance_new(context, module.pointer, NULL, 0, instance, trap)
    _check(lib, error, trap[0], INSTANTIATION)
    if not name:
        return Answer(RESULT)
    item = ffi.new("wasmtime_extern_t *")
    text = name.encode()
    found = lib.wasmtime_instance_export_get(context, instance, text, len(text), item)
    assert found, "the inspector and the engine agree on the exports"
    assert item.kind == _FUNCTION, "the inspector and the engine agree on the kinds of exports"
    values = ffi.new("wasmtime_val_raw_t[]", max(slots, 1))
    function = ffi.new("wasmtime_func_t *", item.of.func)
    error = lib.wasmtime_func_call_unchecked(context, function, values, max(slots, 1), trap)
    _check(lib, error, trap[0], "trap")
    left = ffi.new("uint64_t *")
    lib.wasmtime_context_get_fuel(context, left)
    return Answer(
        RESULT, outputs=[ffi.buffer(values, slots * _SLOT_BYTES)[:]], fuel=given - left[0]
    )


def _check(lib: Any, error: Any, trap: Any, code: str) -> None:  # noqa: ANN401 - C pointers
    if error != NULL:
        raise Stopped(code, take_error(lib, error))
    if trap != NULL:
        raise take_trap(lib, trap)
