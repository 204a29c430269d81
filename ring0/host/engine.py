"""The engine: one configuration, the modules compiled under it, and what stops a running one.

Everything here may raise `Stopped`; nothing else leaves the engine.
"""

import re
from typing import Any, NamedTuple

from ring0.host.library import NULL, ffi, open_library

# The stack one call may use. Threads that run kernels have at least sixteen times as much.
WASM_STACK_BYTES = 512 * 1024

# Off: what changes results between machines, what the border cannot carry, what is not needed.
_FEATURES_OFF = (
    "custom_page_sizes",
    "exceptions",
    "function_references",
    "gc",
    "memory64",
    "multi_memory",
    "relaxed_simd",
    "stack_switching",
    "tail_call",
    "threads",
    "wide_arithmetic",
)
_FEATURES_ON = ("bulk_memory", "multi_value", "reference_types", "simd")

_TRAPS = (
    "stack-overflow",
    "memory-out-of-bounds",
    "misaligned",
    "table-out-of-bounds",
    "null-call",
    "signature-mismatch",
    "integer-overflow",
    "division-by-zero",
    "bad-conversion",
    "unreachable",
    "interrupt",
    "out-of-fuel",
)
_NUMBER = re.compile(r"^\d+:\s+")
_NOISE = ("error while executing at wasm backtrace", "Caused by", "Stack backtrace", "0x")
OUT_OF_FUEL = "out-of-fuel"
INTERRUPT = "interrupt"
INVALID = "invalid"
INSTANTIATION = "instantiation"
OUT_OF_MEMORY = "out-of-memory"
# There are no addresses for an instance, which reserves as many whatever the module is.
NO_ADDRESSES = "no-addresses"
# What says nothing of a module: with more room it would have gone well.
NO_ROOM = (OUT_OF_MEMORY, NO_ADDRESSES)


class Stopped(Exception):  # noqa: N818 - not an error of ours: the normal end of a hostile kernel
    """The engine refused or stopped something: `code` is a stable word, `detail` a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Tuning(NamedTuple):
    """What may differ in how the engine compiles without changing what an honest kernel answers."""

    optimised: bool = True
    canonical_nan: bool = True


def settings(
    *, metered: bool, canonical_nan: bool, epochs: bool, optimised: bool = True
) -> dict[str, int]:
    """Everything that is set; the rest is the engine's own choice, fixed by its version."""
    return {
        "consume_fuel": metered,
        "epoch_interruption": epochs,
        "cranelift_nan_canonicalization": canonical_nan,
        "cranelift_opt_level": int(optimised),  # 0 is none, 1 for speed
        "max_wasm_stack": WASM_STACK_BYTES,
        # No thread pool: a worker's processor limit then bounds it, and kernels are small.
        "parallel_compilation": False,
        # Copy-on-write images live in memory files, which the worker's file limit forbids.
        "memory_init_cow": False,
        **{f"wasm_{feature}": False for feature in _FEATURES_OFF},
        **{f"wasm_{feature}": True for feature in _FEATURES_ON},
    }


class Engine:
    """One configuration of the engine. Engines live as long as the process."""

    def __init__(
        self,
        path: str,
        *,
        metered: bool,
        canonical_nan: bool,
        epochs: bool = False,
        optimised: bool = True,
    ) -> None:
        self.lib = open_library(path)
        self.metered = metered
        self.epochs = epochs
        lib = self.lib
        config = lib.wasm_config_new()
        chosen = settings(
            metered=metered, canonical_nan=canonical_nan, epochs=epochs, optimised=optimised
        )
        for name, value in chosen.items():
            getattr(lib, f"wasmtime_config_{name}_set")(config, value)
        self.pointer = lib.wasm_engine_new_with_config(config)
        assert self.pointer != NULL, "the configuration above is valid on every supported machine"

    def compile(self, wasm: bytes) -> "Module":
        """Validate and compile. Raises Stopped(INVALID or OUT_OF_MEMORY)."""
        slot = ffi.new("wasmtime_module_t **")
        error = self.lib.wasmtime_module_new(self.pointer, wasm, len(wasm), slot)
        return self._module(error, slot)

    def load(self, code: bytes | memoryview) -> "Module":
        """The module of bytes that `Module.code` gave. Raises Stopped(INVALID or OUT_OF_MEMORY).

        The bytes are native code, and the engine hardly looks at them: the caller vouches that an
        engine of this configuration made exactly these.
        """
        slot = ffi.new("wasmtime_module_t **")
        held = ffi.from_buffer(code)
        error = self.lib.wasmtime_module_deserialize(self.pointer, held, len(held), slot)
        return self._module(error, slot)

    def tick(self) -> None:
        """Let one epoch pass, for instances that count them."""
        self.lib.wasmtime_engine_increment_epoch(self.pointer)

    def _module(self, error: Any, slot: Any) -> "Module":  # noqa: ANN401 - C pointers
        if error != NULL:
            raise refusal(INVALID, take_error(self.lib, error))
        return Module(self, slot[0])


class Module:
    """Compiled code; freed with the object."""

    def __init__(self, engine: Engine, pointer: Any) -> None:  # noqa: ANN401 - a C pointer
        self.engine = engine
        self.pointer = ffi.gc(pointer, engine.lib.wasmtime_module_delete)

    def code(self) -> bytes:
        """The native code, for `Engine.load` of the same configuration on the same machine."""
        lib = self.engine.lib
        vector = ffi.new("wasm_byte_vec_t *")
        error = lib.wasmtime_module_serialize(self.pointer, vector)
        if error != NULL:
            raise Stopped(OUT_OF_MEMORY, take_error(lib, error))
        code = ffi.unpack(vector.data, vector.size)
        lib.wasm_byte_vec_delete(vector)
        return code


def refusal(code: str, message: str) -> Stopped:
    """What to raise when the engine said that instead of making something."""
    lacking = "os error 12" in message or "allocate memory" in message
    if lacking and code == INSTANTIATION and "failed to reserve" in message:
        return Stopped(NO_ADDRESSES, message)
    return Stopped(OUT_OF_MEMORY if lacking else code, message)


def take_error(lib: Any, error: Any) -> str:  # noqa: ANN401 - C pointers
    """The text of an engine error, which is freed."""
    text = _message(lib, lib.wasmtime_error_message, error)
    lib.wasmtime_error_delete(error)
    return text


def take_trap(lib: Any, trap: Any) -> Stopped:  # noqa: ANN401 - C pointers
    """The reason of a trap, which is freed."""
    code = ffi.new("uint8_t *")
    known = bool(lib.wasmtime_trap_code(trap, code)) and int(code[0]) < len(_TRAPS)
    text = _message(lib, lib.wasm_trap_message, trap)
    lib.wasm_trap_delete(trap)
    return Stopped(_TRAPS[int(code[0])] if known else "trap", text)


def _message(lib: Any, read: Any, source: Any) -> str:  # noqa: ANN401 - C pointers
    vector = ffi.new("wasm_byte_vec_t *")
    read(source, vector)
    text = ffi.unpack(vector.data, vector.size) if vector.size else b""
    lib.wasm_byte_vec_delete(vector)
    return _cause(text.decode("utf-8", "replace").rstrip("\0"))


def _cause(text: str) -> str:
    """The line that says why; the others are addresses, and names that the module chose."""
    lines = [_NUMBER.sub("", line.strip()) for line in text.splitlines() if line.strip()]
    traps = [line for line in lines if line.startswith("wasm trap:")]
    plain = [line for line in lines if not line.startswith(_NOISE) and "<unknown>!" not in line]
    return ": ".join((traps or plain or ["no reason given"])[:3])[:300]
