"""The inputs a kernel is examined with: patterns first, then drawn ones, always the same.

Drawn inputs are of the kinds in which kernels have been wrong: noise, few values, runs, walks, the
ends of number ranges, every kind of float. A number that the module itself mentions is a likely
special case, so such numbers are lanes, lengths and parameters, too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING

from blake3 import blake3

from ring0 import abi
from ring0.instructions import constants
from ring0.kernel import Kernel
from ring0.manifest import WIDTHS, Manifest, Port

if TYPE_CHECKING:
    from ring0.drawing import Drawing

_LANES = (0, 1, 2, 3, 7, 16, 33, 1_000)
_PATTERN_LANES = 65
# Drawn inputs seldom have more lanes.
_DRAWN_LANES = 1_024
# Where counters of 16 bits end, of lanes and of bytes; and a length that large blocks have.
_LONG = 65_536
_LONGEST_BYTES = 1 << 20
# So many lengths lie between, each a third larger than the one before.
_MIDDLING = 16


@dataclass(frozen=True, slots=True)
class Case:
    """One call: a type, parameters, inputs, and how to name it in a sentence.

    `default` says that every parameter has its default: such a call must not be refused for them.
    """

    dtype: str | None
    params: bytes
    inputs: list[bytes]
    default: bool
    what: str


def streams(ports: Sequence[Port], dtype: str | None) -> list[int]:
    """The lane width of each stream of these ports."""
    widths: list[int] = []
    for port in ports:
        width = WIDTHS.get(port.type) or WIDTHS[dtype or "u8"]
        widths += [width] * (WIDTHS[dtype or "u8"] if port.per_byte else 1)
    return widths


def dtypes(manifest: Manifest) -> tuple[str | None, ...]:
    """What the type variable may be bound to; None where there is no variable."""
    return manifest.types or (None,)


def patterned(manifest: Manifest) -> Iterator[Case]:
    """A few of each kind for every type, with the parameters at their defaults and ends."""
    for dtype, choice in product(dtypes(manifest), ("default", "min", "max")):
        values = {one.name: int(getattr(one, choice)) for one in manifest.parameters}
        if not values and choice != "default":
            continue
        params = manifest.encode_parameters(values, dtype=dtype)
        for what, lanes, pattern in _patterns():
            inputs = [pattern(lanes * width) for width in streams(manifest.inputs, dtype)]
            label = f"{lanes} lanes of {what}{of_type(dtype)}, {choice} parameters"
            yield Case(dtype, params, inputs, choice == "default", label)


def of_every_length(manifest: Manifest, longest: int) -> Iterator[Case]:
    """Every number of bytes from none to `longest`, for every type; not all are whole lanes."""
    for dtype in dtypes(manifest):
        params = manifest.encode_parameters({}, dtype=dtype)
        count = len(streams(manifest.inputs, dtype))
        noise = [stream(f"length {port}", longest) for port in range(count)]
        for length in range(longest + 1):
            inputs = [data[:length] for data in noise]
            yield Case(dtype, params, inputs, default=True, what=f"{length} bytes{of_type(dtype)}")


def drawn(kernel: Kernel, count: int) -> Iterator[Case]:
    """So many drawn inputs, each named by its number."""
    from ring0.drawing import Drawing  # noqa: PLC0415 - numpy, which most calls do without

    manifest = kernel.manifest
    drawing = Drawing(kernel.cid.digest, sorted(constants(kernel.wasm, kernel.info)))
    for number in range(count):
        dtype = drawing.one_of(dtypes(manifest))
        values = {one.name: drawing.parameter(one) for one in manifest.parameters}
        params = manifest.encode_parameters(values, dtype=dtype)
        lanes = drawing.length()
        kind, inputs = drawing.lanes(lanes, streams(manifest.inputs, dtype))
        said = "".join(f", {name}={value}" for name, value in values.items())
        usual = all(values[one.name] == one.default for one in manifest.parameters)
        what = f"drawn input {number} ({lanes} lanes of {kind}{of_type(dtype)}{said})"
        yield Case(dtype, params, inputs, usual, what)


def long(kernel: Kernel) -> Iterator[Case]:
    """Longer inputs of every type.

    Lengths of every magnitude up to where counters of 16 bits end, and those that the module itself
    mentions; then lengths around those ends, with every kind of lanes; then a few longer.
    """
    from ring0.drawing import Drawing  # noqa: PLC0415 - as above

    manifest = kernel.manifest
    mentioned = sorted(constants(kernel.wasm, kernel.info))
    drawing = Drawing(kernel.cid.digest, mentioned)
    near = {number + step for number in mentioned for step in (-1, 0, 1)}
    for dtype in dtypes(manifest):
        params = manifest.encode_parameters({}, dtype=dtype)
        widths = streams(manifest.inputs, dtype)
        between = {drawing.length_between(low, high) for low, high in pairwise(_steps())}
        between |= {number for number in near if _DRAWN_LANES < number <= _LONG}
        for lanes in sorted(between):
            kind, inputs = drawing.lanes(lanes, widths)
            what = f"{lanes:,} lanes of {kind}{of_type(dtype)}"
            yield Case(dtype, params, inputs, default=True, what=what)
        middles = {_LONG // width for width in widths} | {_LONG}
        for lanes in sorted({middle + step for middle in middles for step in (-1, 0, 1)}):
            for kind, inputs in _of_all_kinds(drawing, lanes, widths):
                what = f"{lanes:,} lanes of {kind}{of_type(dtype)}"
                yield Case(dtype, params, inputs, default=True, what=what)
        for step in (-1, 0, 1):
            lanes = _LONGEST_BYTES // widths[0] + step
            kind, inputs = drawing.lanes(lanes, widths)
            what = f"{lanes:,} lanes of {kind}{of_type(dtype)}"
            yield Case(dtype, params, inputs, default=True, what=what)


def _steps() -> list[int]:
    """From what drawn inputs reach to where counters end, in even ratios."""
    ratio = _LONG / _DRAWN_LANES
    return [round(_DRAWN_LANES * ratio ** (at / _MIDDLING)) for at in range(_MIDDLING + 1)]


def _of_all_kinds(
    drawing: "Drawing", lanes: int, widths: Sequence[int]
) -> Iterator[tuple[str, list[bytes]]]:
    for what, pattern in _EVEN:
        yield what, [pattern(lanes * width) for width in widths]
    yield from drawing.all_lanes(lanes, widths)


def wrong_parameters(manifest: Manifest, dtype: str | None) -> Iterator[tuple[bytes, str]]:
    """Parameter bytes that no call may have, and what is wrong with them."""
    head = manifest.encode_parameters({}, dtype=dtype)[: manifest.has_variable]
    for wrong in manifest.parameters:
        for value in (wrong.min - 1, wrong.max + 1):
            if value < 0 and not wrong.signed:
                continue
            params = bytearray(head)
            for one in manifest.parameters:
                number = value if one is wrong else one.default
                params += abi.unsigned_leb128(abi.zigzag(number) if one.signed else number)
            yield bytes(params), f"{wrong.name}={value}"
    good = manifest.encode_parameters({}, dtype=dtype)
    if manifest.parameters:
        longer = good[:-1] + bytes([good[-1] | 0x80, 0])
        yield longer, f"{manifest.parameters[-1].name} in a byte more than it needs"
    if manifest.has_variable:
        for width in sorted({*range(10), 16, 255} - {WIDTHS[name] for name in manifest.types}):
            yield bytes([width]) + good[1:], f"lanes of {width} bytes"


def stream(label: str, length: int) -> bytes:
    """So many bytes that look like noise, the same for the same label."""
    return blake3(label.encode()).digest(length=length)


def of_type(dtype: str | None) -> str:
    """The type as part of a sentence."""
    return f" of {dtype}" if dtype else ""


def _patterns() -> Iterator[tuple[str, int, Callable[[int], bytes]]]:
    for lanes in _LANES:
        yield "noise", lanes, lambda length: stream("noise", length)
    for what, pattern in _EVEN:
        yield what, _PATTERN_LANES, pattern


_EVEN: tuple[tuple[str, Callable[[int], bytes]], ...] = (
    ("zeros", bytes),
    ("ones", lambda length: b"\xff" * length),
    ("a ramp", lambda length: (bytes(range(256)) * (length // 256 + 1))[:length]),
)
