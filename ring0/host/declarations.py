"""The C declarations the host uses, and the generator of `capi.py` from them.

`capi.py` holds the same declarations precompiled, so that neither the machine nor a worker process
pays for parsing C (60 ms) when it starts. After a change here: `python -m ring0.host.declarations`.
The declarations are those of wasmtime 50's C API; only what is used is declared.
"""

import tempfile
from pathlib import Path

DECLARATIONS = """
typedef struct wasm_config_t wasm_config_t;
typedef struct wasm_engine_t wasm_engine_t;
typedef struct wasm_trap_t wasm_trap_t;
typedef struct wasmtime_error wasmtime_error_t;
typedef struct wasmtime_module wasmtime_module_t;
typedef struct wasmtime_store wasmtime_store_t;
typedef struct wasmtime_context wasmtime_context_t;
typedef struct { size_t size; char *data; } wasm_byte_vec_t;
typedef struct { uint64_t store_id; void *p; } wasmtime_func_t;
typedef struct { uint64_t store_id; size_t p; } wasmtime_instance_t;
typedef struct { struct { uint64_t store_id; uint32_t p1; } a; uint32_t p2; } wasmtime_memory_t;
typedef struct { uint64_t store_id; uint32_t p1, p2, p3; } wasmtime_global_t;
typedef struct {
    uint8_t kind;
    union { wasmtime_func_t func; wasmtime_memory_t memory; wasmtime_global_t global; } of;
} wasmtime_extern_t;
typedef union { int32_t i32; int64_t i64; uint8_t bytes[16]; } wasmtime_val_raw_t;

wasm_config_t *wasm_config_new(void);
wasm_engine_t *wasm_engine_new_with_config(wasm_config_t *);
void wasm_engine_delete(wasm_engine_t *);
void wasm_byte_vec_delete(wasm_byte_vec_t *);

void wasmtime_config_consume_fuel_set(wasm_config_t *, bool);
void wasmtime_config_epoch_interruption_set(wasm_config_t *, bool);
void wasmtime_engine_increment_epoch(wasm_engine_t *);
void wasmtime_context_set_epoch_deadline(wasmtime_context_t *, uint64_t);
void wasmtime_config_max_wasm_stack_set(wasm_config_t *, size_t);
void wasmtime_config_parallel_compilation_set(wasm_config_t *, bool);
void wasmtime_config_cranelift_nan_canonicalization_set(wasm_config_t *, bool);
void wasmtime_config_cranelift_opt_level_set(wasm_config_t *, uint8_t);
void wasmtime_config_memory_init_cow_set(wasm_config_t *, bool);
void wasmtime_config_native_unwind_info_set(wasm_config_t *, bool);
void wasmtime_config_wasm_bulk_memory_set(wasm_config_t *, bool);
void wasmtime_config_wasm_custom_page_sizes_set(wasm_config_t *, bool);
void wasmtime_config_wasm_exceptions_set(wasm_config_t *, bool);
void wasmtime_config_wasm_function_references_set(wasm_config_t *, bool);
void wasmtime_config_wasm_gc_set(wasm_config_t *, bool);
void wasmtime_config_wasm_memory64_set(wasm_config_t *, bool);
void wasmtime_config_wasm_multi_memory_set(wasm_config_t *, bool);
void wasmtime_config_wasm_multi_value_set(wasm_config_t *, bool);
void wasmtime_config_wasm_reference_types_set(wasm_config_t *, bool);
void wasmtime_config_wasm_relaxed_simd_set(wasm_config_t *, bool);
void wasmtime_config_wasm_simd_set(wasm_config_t *, bool);
void wasmtime_config_wasm_stack_switching_set(wasm_config_t *, bool);
void wasmtime_config_wasm_tail_call_set(wasm_config_t *, bool);
void wasmtime_config_wasm_threads_set(wasm_config_t *, bool);
void wasmtime_config_wasm_wide_arithmetic_set(wasm_config_t *, bool);

wasmtime_error_t *wasmtime_module_new(wasm_engine_t *, const uint8_t *, size_t,
                                      wasmtime_module_t **);
void wasmtime_module_delete(wasmtime_module_t *);
wasmtime_error_t *wasmtime_module_serialize(wasmtime_module_t *, wasm_byte_vec_t *);
wasmtime_error_t *wasmtime_module_deserialize(wasm_engine_t *, const uint8_t *, size_t,
                                              wasmtime_module_t **);
wasmtime_store_t *wasmtime_store_new(wasm_engine_t *, void *, void *);
wasmtime_context_t *wasmtime_store_context(wasmtime_store_t *);
void wasmtime_store_limiter(wasmtime_store_t *, int64_t, int64_t, int64_t, int64_t, int64_t);
void wasmtime_store_delete(wasmtime_store_t *);
wasmtime_error_t *wasmtime_context_set_fuel(wasmtime_context_t *, uint64_t);
wasmtime_error_t *wasmtime_context_get_fuel(wasmtime_context_t *, uint64_t *);
wasmtime_error_t *wasmtime_instance_new(wasmtime_context_t *, wasmtime_module_t *,
    wasmtime_extern_t *, size_t, wasmtime_instance_t *, wasm_trap_t **);
bool wasmtime_instance_export_get(wasmtime_context_t *, wasmtime_instance_t *, const char *,
                                  size_t, wasmtime_extern_t *);
uint8_t *wasmtime_memory_data(wasmtime_context_t *, wasmtime_memory_t *);
size_t wasmtime_memory_data_size(wasmtime_context_t *, wasmtime_memory_t *);
wasmtime_error_t *wasmtime_memory_grow(wasmtime_context_t *, wasmtime_memory_t *, uint64_t,
                                       uint64_t *);
wasmtime_error_t *wasmtime_func_call_unchecked(wasmtime_context_t *, wasmtime_func_t *,
    wasmtime_val_raw_t *, size_t, wasm_trap_t **);
void wasmtime_error_message(wasmtime_error_t *, wasm_byte_vec_t *);
void wasmtime_error_delete(wasmtime_error_t *);
bool wasmtime_trap_code(wasm_trap_t *, uint8_t *);
void wasm_trap_message(wasm_trap_t *, wasm_byte_vec_t *);
void wasm_trap_delete(wasm_trap_t *);

int mallopt(int, int);
int mprotect(void *, size_t, int);
int pthread_attr_destroy(void *);
int pthread_attr_getstack(void *, void **, size_t *);
int pthread_getattr_np(unsigned long, void *);
unsigned long pthread_self(void);
int memcmp(const void *, const void *, size_t);
void *memset(void *, int, size_t);
"""


HEADER = '''"""Made by `python -m ring0.host.declarations`: change that module, not this one."""

# fmt: off
# ruff: noqa: E501 - generated code
# pyright: basic
'''


def generate() -> str:
    """The source of `capi.py`: the declarations, precompiled, needing only cffi's backend."""
    from cffi import FFI  # noqa: PLC0415 - needed to change the declarations, never to run

    builder = FFI()
    builder.cdef(DECLARATIONS)
    builder.set_source("ring0.host.capi", None)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "capi.py"
        builder.emit_python_code(str(target))
        text = target.read_text(encoding="utf-8")
    return HEADER + text.removeprefix("# auto-generated file\n")


if __name__ == "__main__":
    Path(__file__).with_name("capi.py").write_text(generate(), encoding="utf-8")
