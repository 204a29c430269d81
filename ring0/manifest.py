"""What a kernel says of itself: ports, types, parameters; carried in a custom section.

The format is in docs/formats/manifest.md. A manifest is a claim: the host relies on it only for
shapes it checks again, and `examination` tries to catch it lying.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

from cid_store.encoding import Node, decode, encode
from cid_store.errors import MalformedNodeError
from ring0 import abi
from ring0.errors import ManifestError, ParameterError

SECTION = "redoxa.manifest"
VARIABLE = "T"
WIDTHS: dict[str, int] = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "f32": 4, "f64": 8}
KINDS = ("bijection", "involution", "codec")
EDGES = ("zero", "periodic", "reflect", "causal")

_WIDTH_BYTES = {bytes([width]) for width in WIDTHS.values()}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MAX_SUMMARY = 200
_MAX_SHOWN = 60
_MAX_LIST = 32
_U64 = 1 << 64

Kind = Literal["bijection", "involution", "codec"]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output stream of little-endian lanes.

    `type` is a dtype or the manifest's type variable. `per_byte` ports repeat, once for each byte
    of the bound type's width.
    """

    name: str
    type: str
    per_byte: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """One whole-number parameter and its range."""

    name: str
    min: int
    max: int
    default: int
    signed: bool
    summary: str


@dataclass(frozen=True)
class Manifest:
    """The parsed manifest of one kernel."""

    name: str
    version: int
    summary: str
    kind: Kind
    float: bool
    types: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...]
    edges: tuple[str, ...]

    def __hash__(self) -> int:
        # Enough to tell kernels apart that are met together; parts of parts would take longer.
        return hash((self.name, self.version))

    @cached_property
    def has_variable(self) -> bool:
        """Whether parameter bytes begin with the width of the bound type."""
        return bool(self.types)

    @cached_property
    def max_parameter_bytes(self) -> int:
        """No well-formed parameter bytes of this kernel are longer."""
        return 1 + 10 * len(self.parameters)

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name. Raises ParameterError."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise ParameterError(
            f"kernel '{self.name}' has no parameter '{name}'; "
            f"it has {', '.join(p.name for p in self.parameters) or 'none'}"
        )

    def encode_parameters(self, values: Mapping[str, int], *, dtype: str | None = None) -> bytes:
        """The parameter bytes of a call; what is not given takes its default.

        `dtype` binds the type variable and is required exactly when there is one.
        """
        for name in values:
            self.parameter(name)
        out = bytearray(self._width_byte(dtype))
        for parameter in self.parameters:
            value = values.get(parameter.name, parameter.default)
            if not parameter.min <= value <= parameter.max:
                raise ParameterError(
                    f"{self.name}: {parameter.name}={value} is outside "
                    f"{parameter.min}..{parameter.max}"
                )
            out += abi.unsigned_leb128(abi.zigzag(value) if parameter.signed else value)
        return bytes(out)

    def decode_parameters(self, data: bytes) -> tuple[int | None, dict[str, int]]:
        """The width (None without a type variable) and the values of these parameter bytes.

        Raises ParameterError for bytes that `encode_parameters` never makes.
        """
        at, width = 0, None
        if self.has_variable:
            width, at = (data[0], 1) if data else (0, 0)
            if width not in {WIDTHS[name] for name in self.types}:
                raise ParameterError(f"{self.name}: no type of this kernel is {width} bytes wide")
        values: dict[str, int] = {}
        for parameter in self.parameters:
            value, at = _read_leb128(data, at, self.name)
            values[parameter.name] = abi.unzigzag(value) if parameter.signed else value
            if not parameter.min <= values[parameter.name] <= parameter.max:
                raise ParameterError(f"{self.name}: {parameter.name} is outside its range")
        if at != len(data):
            raise ParameterError(f"{self.name}: bytes follow the last parameter")
        return width, values

    def port_counts(self, params: bytes) -> tuple[int, int]:
        """How many streams the forward operation takes and gives with these parameter bytes.

        A width byte that is none counts as 1: the kernel itself refuses it.
        """
        width = params[0] if self.has_variable and params[:1] in _WIDTH_BYTES else 1
        return _count(self.inputs, width), _count(self.outputs, width)

    @cached_property
    def most_streams(self) -> int:
        """No call of this kernel takes or gives more streams."""
        return max(_count(self.inputs, 8), _count(self.outputs, 8))

    def call_shape(self, op: abi.Op, params: bytes) -> tuple[int, int]:
        """How many streams that operation takes and gives: the inverse swaps the two."""
        taken, given = self.port_counts(params)
        return (given, taken) if op >= abi.Op.BOUND_INVERSE else (taken, given)

    def to_node(self) -> Node:
        """The one node that says this; `parse` accepts no other form."""
        return {
            "abi": abi.VERSION,
            "edge": [*self.edges],
            "float": self.float,
            "input": [_port_node(port) for port in self.inputs],
            "kind": self.kind,
            "name": self.name,
            "output": [_port_node(port) for port in self.outputs],
            "parameter": [_parameter_node(parameter) for parameter in self.parameters],
            "summary": self.summary,
            "types": {VARIABLE: [*self.types]} if self.types else {},
            "version": self.version,
        }

    def to_bytes(self) -> bytes:
        """The payload of the custom section."""
        return encode(self.to_node())

    def _width_byte(self, dtype: str | None) -> bytes:
        if not self.has_variable:
            if dtype is not None:
                raise ParameterError(f"{self.name}: this kernel's types are fixed")
            return b""
        if dtype not in self.types:
            raise ParameterError(
                f"{self.name}: {dtype or 'no type'} given, it works on {', '.join(self.types)}"
            )
        return bytes([WIDTHS[dtype]])


def parse_manifest(payload: bytes | None) -> Manifest:
    """The manifest in a custom section's payload, in its canonical form and no other."""
    if payload is None:
        raise ManifestError(f"the module carries no '{SECTION}' section, so it is no kernel")
    try:
        node = decode(payload)
    except MalformedNodeError as error:
        raise ManifestError(f"the manifest is not a canonical node: {error}") from error
    if not isinstance(node, dict):
        raise ManifestError("the manifest is not a map")
    manifest = from_table(node)
    if encode(manifest.to_node()) != payload:
        raise ManifestError(f"{manifest.name}: the manifest is not in its canonical form")
    return manifest


def from_table(table: Mapping[str, object]) -> Manifest:
    """The manifest a kernel.toml describes; keys that may be omitted take their default."""
    reader = _Reader(table, "manifest")
    name = reader.word("name")
    if reader.integer("abi") != abi.VERSION:
        raise ManifestError(f"{name}: only abi = {abi.VERSION} is known here")
    kind = reader.word("kind")
    if kind not in KINDS:
        raise ManifestError(f"{name}: kind is one of {', '.join(KINDS)}, not '{kind}'")
    types = _types(name, reader.table("types"))
    manifest = Manifest(
        name=name,
        version=reader.integer("version"),
        summary=reader.text("summary"),
        kind=kind,
        float=reader.boolean("float"),
        types=types,
        inputs=tuple(_port(row, types) for row in reader.rows("input")),
        outputs=tuple(_port(row, types) for row in reader.rows("output")),
        parameters=tuple(_parameter(row) for row in reader.rows("parameter")),
        edges=tuple(reader.words("edge", EDGES)),
    )
    reader.done()
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    for what, ports in (("input", manifest.inputs), ("output", manifest.outputs)):
        if not ports:
            raise ManifestError(f"{manifest.name}: a kernel has at least one {what}")
        _unique(manifest.name, what, [port.name for port in ports])
        if any(port.per_byte for port in ports) and not manifest.types:
            raise ManifestError(f'{manifest.name}: count = "width" needs a type variable')
    if manifest.most_streams > abi.MAX_PORTS:
        raise ManifestError(
            f"{manifest.name}: a call has at most {abi.MAX_PORTS} streams each way, not "
            f'{manifest.most_streams}; count = "width" stands for eight'
        )
    _unique(manifest.name, "parameter", [parameter.name for parameter in manifest.parameters])
    if not 1 <= manifest.version < 1 << 32:
        raise ManifestError(f"{manifest.name}: version is a whole number from 1")


def _unique(kernel: str, what: str, names: Sequence[str]) -> None:
    if len({*names}) != len(names):
        raise ManifestError(f"{kernel}: two {what}s have the same name")


def _types(kernel: str, table: Mapping[str, object]) -> tuple[str, ...]:
    if not table:
        return ()
    if [*table] != [VARIABLE]:
        raise ManifestError(f"{kernel}: the one type variable is called {VARIABLE}")
    names = tuple(_Reader(table, "types").words(VARIABLE, tuple(WIDTHS)))
    if not names or len({*names}) != len(names):
        raise ManifestError(f"{kernel}: {VARIABLE} ranges over distinct types, at least one")
    if len({WIDTHS[name] for name in names}) != len(names):
        raise ManifestError(f"{kernel}: two types of {VARIABLE} are equally wide")
    return names


def _port(table: Mapping[str, object], types: tuple[str, ...]) -> Port:
    reader = _Reader(table, "port")
    name, dtype = reader.word("name"), reader.symbol("type")
    if dtype not in WIDTHS and not (types and dtype == VARIABLE):
        raise ManifestError(f"port '{name}': '{dtype}' is neither a type nor the type variable")
    count = table.get("count", 1)
    if count is True or count not in (1, "width"):
        raise ManifestError(f"port '{name}': count is 1 or \"width\"")
    reader.allow("count")
    reader.done()
    return Port(name, dtype, per_byte=count == "width")


def _parameter(table: Mapping[str, object]) -> Parameter:
    reader = _Reader(table, "parameter")
    parameter = Parameter(
        reader.word("name"),
        reader.integer("min"),
        reader.integer("max"),
        reader.integer("default"),
        reader.boolean("signed"),
        reader.text("summary"),
    )
    reader.done()
    low = -(_U64 >> 1) if parameter.signed else 0
    high = (_U64 >> 1) if parameter.signed else _U64
    if not low <= parameter.min <= parameter.default <= parameter.max < high:
        raise ManifestError(
            f"parameter '{parameter.name}': min <= default <= max must hold within 64 bits"
        )
    return parameter


def _port_node(port: Port) -> Node:
    count: Node = "width" if port.per_byte else 1
    return {"count": count, "name": port.name, "type": port.type}


def _parameter_node(parameter: Parameter) -> Node:
    return {
        "default": parameter.default,
        "max": parameter.max,
        "min": parameter.min,
        "name": parameter.name,
        "signed": parameter.signed,
        "summary": parameter.summary,
    }


def _count(ports: Sequence[Port], width: int) -> int:
    return sum(width if port.per_byte else 1 for port in ports)


def _read_leb128(data: bytes, at: int, kernel: str) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(data):
            raise ParameterError(f"{kernel}: the parameters end too early")
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if (byte == 0 and place) or value >= _U64:
                break
            return value, at + place + 1
    raise ParameterError(f"{kernel}: a parameter is not the shortest LEB128 of 64 bits")


class _Reader:
    """A table read key by key; what is missing, of another type or left over is an error."""

    def __init__(self, table: Mapping[str, object], where: str) -> None:
        self._table = table
        self._where = where
        self._seen: set[str] = set()

    def integer(self, key: str) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ManifestError(f"{self._where}: '{key}' must be a whole number")
        return value

    def boolean(self, key: str) -> bool:
        value = self._take(key, default=False)
        if not isinstance(value, bool):
            raise ManifestError(f"{self._where}: '{key}' must be true or false")
        return value

    def symbol(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str):
            raise ManifestError(f"{self._where}: '{key}' must be text")
        return value

    def word(self, key: str) -> str:
        value = self.symbol(key)
        if not _NAME.fullmatch(value):
            raise ManifestError(
                f"{self._where}: '{key}' must be a short lower-case name, not "
                f"{value[:_MAX_SHOWN]!r}: a letter from a to z, then up to 39 of a-z, 0-9 and _"
            )
        return value

    def text(self, key: str) -> str:
        value = self._take(key, default="")
        if not isinstance(value, str) or len(value) > _MAX_SUMMARY or not value.isprintable():
            raise ManifestError(f"{self._where}: '{key}' is one line of {_MAX_SUMMARY} letters")
        return value

    def table(self, key: str) -> Mapping[str, object]:
        value = self._take(key, default={})
        if not isinstance(value, dict):
            raise ManifestError(f"{self._where}: '{key}' must be a table")
        return cast("dict[str, object]", value)

    def rows(self, key: str) -> list[Mapping[str, object]]:
        value = self._take(key, default=[])
        rows = cast("list[object]", value) if isinstance(value, list) else [None]
        if len(rows) > _MAX_LIST or not all(isinstance(row, dict) for row in rows):
            raise ManifestError(f"{self._where}: '{key}' must be at most {_MAX_LIST} tables")
        return cast("list[Mapping[str, object]]", rows)

    def words(self, key: str, known: Sequence[str]) -> list[str]:
        value = self._take(key, default=[])
        words = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(word in known for word in words):
            raise ManifestError(f"{self._where}: '{key}' is a list of {', '.join(known)}")
        return cast("list[str]", words)

    def allow(self, key: str) -> None:
        self._seen.add(key)

    def done(self) -> None:
        unknown = sorted({*self._table} - self._seen)
        if unknown:
            raise ManifestError(f"{self._where}: '{unknown[0]}' is not a known key")

    def _take(self, key: str, default: object = None) -> object:
        self._seen.add(key)
        value = self._table.get(key, default)
        if value is None:
            raise ManifestError(f"{self._where}: '{key}' is missing")
        return value
