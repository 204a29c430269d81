"""What a module declares, section by section, without its instructions.

`parse` reads any core module within the caps on sizes and counts. Instructions are passed over:
`ring0.instructions` and the engine's own validation judge them.
"""

from dataclasses import dataclass, field

from ring0 import abi
from ring0.binary import (
    EXTERNREF,
    FUNCREF,
    MAGIC,
    VALUES,
    Cursor,
    malformed,
    skip_constant,
    value_type,
    within,
)
from ring0.errors import RefusedModuleError

KINDS = ("function", "table", "memory", "global")

# Every section in the order the format demands; 0 (custom) may stand anywhere.
_ORDER = {section: at for at, section in enumerate([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11])}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleLimits:
    """Caps on counts and sizes. One past a cap is refused, whatever the rest looks like."""

    module_bytes: int = 1 << 20
    custom_bytes: int = 1 << 16
    name_bytes: int = 256
    types: int = 1_000
    params: int = 16
    results: int = 4
    functions: int = 4_000
    body_bytes: int = 1 << 17
    locals: int = 4_000
    # Compiling takes time with locals x instructions: 5,000 locals and 50,000 calls took 10 s.
    locals_times_bytes: int = 100_000_000
    # And with the square of a function's size: 130 kB of branches took half a minute.
    body_bytes_squared: int = 1_000_000_000
    imports: int = 100
    exports: int = 100
    globals: int = 1_000
    tables: int = 4
    table_elements: int = 10_000
    memory_pages: int = 1_024
    segments: int = 10_000


@dataclass(frozen=True, slots=True)
class FuncType:
    """Parameter and result types, each one byte of the binary format."""

    params: tuple[int, ...]
    results: tuple[int, ...]

    def __str__(self) -> str:
        def names(types: tuple[int, ...]) -> str:
            return ", ".join(VALUES[one] for one in types)

        return f"({names(self.params)}) -> ({names(self.results)})"


@dataclass(frozen=True, slots=True)
class Limits:
    """The size of a memory (pages) or table (elements): at least, and at most if declared."""

    min: int
    max: int | None


@dataclass(frozen=True, slots=True)
class Global:
    """The type of one global of the module."""

    type: int
    mutable: bool


@dataclass(frozen=True, slots=True)
class Export:
    """One export: its kind and its index in the index space of that kind."""

    name: str
    kind: str
    index: int


@dataclass(frozen=True, slots=True)
class Custom:
    """One custom section. Its bytes count towards the kernel's CID like all others."""

    name: str
    payload: bytes


@dataclass(slots=True)
class ModuleInfo:
    """What a module declares, without any of its instructions."""

    size_bytes: int
    types: list[FuncType] = field(default_factory=list[FuncType])
    imports: list[str] = field(default_factory=list[str])
    functions: list[int] = field(default_factory=list[int])
    tables: list[Limits] = field(default_factory=list[Limits])
    memories: list[Limits] = field(default_factory=list[Limits])
    globals: list[Global] = field(default_factory=list[Global])
    exports: list[Export] = field(default_factory=list[Export])
    customs: list[Custom] = field(default_factory=list[Custom])
    has_start: bool = False
    bodies: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def custom(self, name: str) -> bytes | None:
        """The payload of the one custom section of that name, or None. Two of them are refused."""
        found = [custom.payload for custom in self.customs if custom.name == name]
        if len(found) > 1:
            raise RefusedModuleError("custom-twice", f"the module has two '{name}' sections")
        return found[0] if found else None

    def export(self, name: str) -> Export | None:
        """The export of that name, or None."""
        return next((export for export in self.exports if export.name == name), None)

    def function_type(self, export: Export) -> FuncType:
        """The type of an exported function."""
        assert export.kind == "function", "only functions have a function type"
        return self.types[self.functions[export.index]]

    @property
    def memory(self) -> Limits:
        """The one memory of a module that passed `inspect`."""
        return self.memories[0]

    @property
    def initial_bytes(self) -> int:
        """The module's own part of memory; everything past it belongs to the host."""
        return self.memory.min * abi.PAGE_BYTES

    @property
    def maximum_bytes(self) -> int:
        """The most memory the module allows itself."""
        assert self.memory.max is not None, "inspect demands a declared maximum"
        return self.memory.max * abi.PAGE_BYTES


DEFAULT_LIMITS = ModuleLimits()


def parse(wasm: bytes, limits: ModuleLimits = DEFAULT_LIMITS) -> ModuleInfo:
    """What these bytes declare. Raises RefusedModuleError unless they are one core module."""
    _check_magic(wasm)
    within(len(wasm), limits.module_bytes, "module-size", "bytes in the module")
    return _Parser(wasm, limits).run()


def _check_magic(wasm: bytes) -> None:
    if not wasm:
        raise RefusedModuleError("empty", "the file is empty, so it is no module")
    if wasm[:4] == b"\x7fELF":
        raise RefusedModuleError("native-code", "this is native code (ELF), which is never loaded")
    if wasm[:4] != MAGIC:
        what = "text" if wasm[:32].strip()[:1] in (b"(", b";") else "something else"
        raise RefusedModuleError(
            "not-wasm", f"this is {what}, not a binary module (it must begin with 00 61 73 6d)"
        )
    if len(wasm) < 8:
        raise RefusedModuleError("truncated", "the module ends within its first eight bytes")
    version = int.from_bytes(wasm[4:8], "little")
    if version >> 16:
        raise RefusedModuleError("component", "this is a component; kernels are core modules")
    if version != 1:
        raise RefusedModuleError("version", f"the module's version is {version}; 1 is known here")


class _Parser:
    """One pass over the sections, in order, each read to its exact end."""

    def __init__(self, wasm: bytes, limits: ModuleLimits) -> None:
        self.wasm = wasm
        self.limits = limits
        self.info = ModuleInfo(len(wasm))
        self.custom_bytes = 0
        self.data_count: int | None = None
        self._readers = {
            1: self._types,
            2: self._imports,
            3: self._functions,
            4: self._tables,
            5: self._memories,
            6: self._globals,
            7: self._exports,
            8: self._start,
            9: self._elements,
            10: self._code,
            11: self._data,
            12: self._data_count,
        }

    def run(self) -> ModuleInfo:
        cursor, last = Cursor(self.wasm, 8, len(self.wasm)), -1
        while cursor.at < cursor.end:
            section, size = cursor.byte(), cursor.u32()
            start = cursor.at
            cursor.take(size)
            body = Cursor(self.wasm, start, start + size)
            if section == 0:
                self._custom(body)
                continue
            last = self._check_order(section, last)
            self._readers[section](body)
            if body.at != body.end:
                raise malformed(f"section {section} has bytes after its end")
        if len(self.info.bodies) != len(self.info.functions):
            raise malformed("functions and bodies differ in number")
        self._check_exports()
        return self.info

    def _check_order(self, section: int, last: int) -> int:
        if section == 13:
            raise RefusedModuleError("feature", "the module uses exceptions, which are off")
        place = _ORDER.get(section)
        if place is None:
            raise malformed(f"section {section} is unknown")
        if place <= last:
            raise malformed(f"section {section} comes twice or out of order")
        return place

    def _custom(self, body: Cursor) -> None:
        self.custom_bytes += body.end - body.at
        within(self.custom_bytes, self.limits.custom_bytes, "custom-size", "custom section bytes")
        name = body.name(self.limits.name_bytes)
        self.info.customs.append(Custom(name, body.take(body.end - body.at)))

    def _vector(self, body: Cursor, cap: int, what: str) -> range:
        count = body.u32()
        within(count, cap, what.replace(" ", "-"), what)
        return range(count)

    def _types(self, body: Cursor) -> None:
        for _ in self._vector(body, self.limits.types, "types"):
            form = body.byte()
            if form != 0x60:
                raise RefusedModuleError("feature", f"type form {form:#x} (garbage collection)")
            params = self._value_types(body, self.limits.params, "parameters")
            self.info.types.append(
                FuncType(params, self._value_types(body, self.limits.results, "results"))
            )

    def _value_types(self, body: Cursor, cap: int, what: str) -> tuple[int, ...]:
        return tuple(value_type(body) for _ in self._vector(body, cap, what))

    def _imports(self, body: Cursor) -> None:
        # Nothing with imports ever runs, so their descriptions are skipped, not kept.
        for _ in self._vector(body, self.limits.imports, "imports"):
            module, name = body.name(self.limits.name_bytes), body.name(self.limits.name_bytes)
            self.info.imports.append(f"{module!a}.{name!a}")
        body.at = body.end

    def _functions(self, body: Cursor) -> None:
        for _ in self._vector(body, self.limits.functions, "functions"):
            self.info.functions.append(self._index(body, len(self.info.types), "type"))

    def _tables(self, body: Cursor) -> None:
        for _ in self._vector(body, self.limits.tables, "tables"):
            kind = body.byte()
            if kind not in (FUNCREF, EXTERNREF):
                raise RefusedModuleError("feature", f"table of type {kind:#x}, which is off")
            table = _limits(body, most=1, what="table")
            within(table.min, self.limits.table_elements, "table-size", "table elements")
            self.info.tables.append(table)

    def _memories(self, body: Cursor) -> None:
        for _ in self._vector(body, 1, "memories"):
            memory = _limits(body, most=1, what="memory")
            within(memory.min, self.limits.memory_pages, "memory-size", "initial memory pages")
            if max(memory.min, memory.max or 0) > 1 << 16:
                raise malformed("a memory above 4 GiB")
            self.info.memories.append(memory)

    def _globals(self, body: Cursor) -> None:
        for _ in self._vector(body, self.limits.globals, "globals"):
            kind, mutable = value_type(body), body.byte()
            if mutable > 1:
                raise malformed("a global is neither constant nor mutable")
            self.info.globals.append(Global(kind, mutable == 1))
            skip_constant(body)

    def _exports(self, body: Cursor) -> None:
        names: set[str] = set()
        for _ in self._vector(body, self.limits.exports, "exports"):
            name, kind = body.name(self.limits.name_bytes), body.byte()
            if kind == 4:
                raise RefusedModuleError("feature", "the module exports a tag (exceptions are off)")
            if kind > 4 or name in names:
                raise malformed("an export of unknown kind, or two of one name")
            names.add(name)
            self.info.exports.append(Export(name, KINDS[kind], body.u32()))

    def _start(self, body: Cursor) -> None:
        self.info.has_start = True
        body.u32()

    def _elements(self, body: Cursor) -> None:
        self._vector(body, self.limits.segments, "element segments")
        body.at = body.end  # the engine validates their contents

    def _data_count(self, body: Cursor) -> None:
        self.data_count = body.u32()

    def _code(self, body: Cursor) -> None:
        cost = squares = 0
        for _ in self._vector(body, self.limits.functions, "function bodies"):
            size = body.u32()
            within(size, self.limits.body_bytes, "body-size", "bytes in a function")
            start = body.at
            body.take(size)
            code = Cursor(self.wasm, start, body.at)
            local_count = self._locals(code)
            cost += local_count * size
            squares += size * size
            self.info.bodies.append((code.at, code.end))
        within(cost, self.limits.locals_times_bytes, "compile-cost", "locals times code bytes")
        within(squares, self.limits.body_bytes_squared, "compile-cost", "squared code bytes")

    def _locals(self, code: Cursor) -> int:
        total = 0
        for _ in self._vector(code, self.limits.locals, "local groups"):
            total += code.u32()
            within(total, self.limits.locals, "locals", "locals in a function")
            value_type(code)
        return total

    def _data(self, body: Cursor) -> None:
        segments = self._vector(body, self.limits.segments, "data segments")
        if self.data_count not in (None, len(segments)):
            raise malformed("the data count is not the number of data segments")
        for _ in segments:
            self._segment(body)

    def _segment(self, body: Cursor) -> None:
        mode = body.u32()
        if mode > 2:
            raise malformed("a data segment of unknown kind")
        if mode == 2 and body.u32() != 0:
            raise malformed("a data segment of another memory")
        address = skip_constant(body) if mode != 1 else None
        length = body.u32()
        body.take(length)
        room = self.info.memory.min * abi.PAGE_BYTES if self.info.memories else 0
        if mode != 1 and not self.info.memories and not self.info.imports:
            raise malformed("a data segment without a memory")
        if address is not None and not self.info.imports and address + length > room:
            raise RefusedModuleError("data-bounds", "a data segment lies outside the memory")

    def _index(self, body: Cursor, count: int, what: str) -> int:
        index = body.u32()
        if index >= count:
            raise malformed(f"{what} {index} does not exist")
        return index

    def _check_exports(self) -> None:
        info = self.info
        if info.imports:
            return  # imported items shift every index, and such a module never runs
        sizes = (len(info.functions), len(info.tables), len(info.memories), len(info.globals))
        for export in info.exports:
            if export.index >= sizes[KINDS.index(export.kind)]:
                raise malformed(f"export {export.name!a} names nothing")


def _limits(body: Cursor, *, most: int, what: str) -> Limits:
    flags = body.byte()
    if flags > most:
        feature = "is shared" if flags & 2 else "has 64-bit addresses or odd pages"
        raise RefusedModuleError("feature", f"the {what} {feature}, which is off")
    low = body.u32()
    high = body.u32() if flags & 1 else None
    if high is not None and high < low:
        raise malformed(f"a {what} whose maximum is below its minimum")
    return Limits(low, high)
