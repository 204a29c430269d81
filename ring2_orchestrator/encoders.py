"""Better encoders in place of a kernel's own: what they make stands where the kernel undoes it.

A codec's inverse fixes what its streams mean, and another encoder may write shorter ones. Such
bytes are a step's output only for packing, where the container keeps them; what is remembered of
executions tells of the kernel itself.
"""

import lzma
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial

from cid_store.cid import Cid
from cid_store.store import Buffer
from ring0.abi import Op
from ring0.boundary import MIB, Boundary
from ring0.execution import Caller
from ring0.kernel import Kernel
from ring0.outcome import Outcome, Result
from ring0.program import Program, Ran
from ring2_orchestrator.deflated import Split, split
from ring2_orchestrator.kernels import KernelSet

Encode = Callable[[Buffer], bytes]
# A kernel and its parameter bytes: what an encoder writes is undone by a call with exactly these.
Called = tuple[Cid, bytes]

# One version writes the same bytes everywhere, so that equal inputs give equal containers.
ZSTANDARD = (1, 5, 7)
LEVEL = 19
# It leaves repeats of three bytes, so that of what hardly repeats it makes less, and that decodes
# sooner: tried where not two thirds are saved.
NOISE_LEVEL, _NOISY = 16, 3
# For comparing plans on a sample. A lower level is quicker yet, but it loses to other codecs where
# this one wins. Where a glance saves less than a part in 32, this one would not save much more.
_SKETCH_LEVEL = NOISE_LEVEL
_GLANCE_LEVEL, _SAVED = 9, 32

# The kernel that knows one stream where it begins; formats tell of several, and where they are.
_DEFLATE = "deflate"
# What was found in so many bytes is remembered: plan after plan begins with the same step.
_REMEMBERED_BYTES = 256 * MIB
# The most that one stream may take to be tried under every setting.
_MOST_FUEL = 20_000_000_000


# lc, lp and pb of LZMA by the width of a lane: text by the byte before, numbers by the place.
_PROPERTIES = {1: (4, 0, 0), 2: (1, 1, 1), 4: (0, 2, 2), 8: (0, 3, 3)}
# A repeat of so many bytes is taken at once, and so many places are compared before. For sketches
# of more than so much, less: of JSON, a search for shorter ones makes more than zstd does.
_THOROUGH, _SKETCHY = (273, 48), (128, 12)
_SKETCHED_THOROUGHLY = 1 << 18
_LEAST_REACH, _MOST_REACH = 1 << 12, 1 << 24
# The library has a version, but Python's module does not tell it: it is known by what it writes.
_PATTERN = b"".join(b"%d;" % (at**2 % (at // 9 + 1)) for at in range(1_500))
_WRITTEN = 0x6CB5D1F7


def native_encoders(kernels: KernelSet, *, sketching: bool = False) -> dict[Called, Encode]:
    """The encoders of this installation for the shipped kernels.

    Those for sketching are quicker, and their bytes mostly longer.
    """
    found: dict[Called, Encode] = {}
    if "zstd" in kernels and _has_zstandard():
        found[kernels.by_name("zstd").cid, b""] = _sketched if sketching else _zstandard
    if "lzma" in kernels and has_known_lzma():
        cid = kernels.by_name("lzma").cid
        encode = _lzma_sketched if sketching else _lzma
        for width in _PROPERTIES:
            found[cid, bytes([width])] = partial(encode, width)
    return found


class _Remembered:
    """What was found in some bytes, by their names; the least recently used is dropped."""

    def __init__(self) -> None:
        self._known: OrderedDict[Cid, Split] = OrderedDict()
        self._held = 0

    def find(self, name: Cid) -> Split | None:
        found = self._known.get(name)
        if found is not None:
            self._known.move_to_end(name)
        return found

    def keep(self, name: Cid, found: Split) -> None:
        if name not in self._known:
            self._known[name] = found
            self._held += sum(map(len, found))
        while self._held > _REMEMBERED_BYTES:
            self._held -= sum(map(len, self._known.popitem(last=False)[1]))


@dataclass(frozen=True)
class EncodingCaller:
    """A host whose forward calls may be answered by an encoder instead of the kernel.

    An encoder's bytes are believed only when the kernel's own inverse, in the sandbox, made exactly
    the input of them; else the kernel's forward operation is called, as it is for all others.
    """

    host: Caller
    kernels: KernelSet
    sketching: bool = False
    _splits: _Remembered = field(default_factory=_Remembered, compare=False)

    @cached_property
    def encoders(self) -> Mapping[Called, Encode]:
        """The encoders, found when the first call is made."""
        return native_encoders(self.kernels, sketching=self.sketching)

    @cached_property
    def _deflate(self) -> Cid | None:
        return self.kernels.by_name(_DEFLATE).cid if _DEFLATE in self.kernels else None

    def call(
        self, kernel: Kernel, op: Op, params: bytes, inputs: Sequence[Buffer], boundary: Boundary
    ) -> Outcome:
        """Call one kernel, or the encoder in its place."""
        if op is Op.FORWARD and kernel.cid == self._deflate and len(inputs) == 1 and not params:
            split_up = self._split(kernel, inputs[0], boundary)
            if split_up is not None:
                return Result([*split_up])
        encode = self.encoders.get((kernel.cid, params)) if op is Op.FORWARD else None
        if encode is not None and len(inputs) == 1 and len(inputs[0]):
            coded = encode(inputs[0])
            back = self.host.call(kernel, Op.INVERSE, params, [coded], boundary)
            if isinstance(back, Result) and back.outputs == [inputs[0]]:
                return Result([coded])
        return self.host.call(kernel, op, params, inputs, boundary)

    def run(
        self, program: Program, given: Sequence[Buffer], boundary: Boundary, work_bytes: int
    ) -> Ran | None:
        """Run a program at once, unless an encoder has a part in it."""
        if any(
            link.op is Op.FORWARD
            and (
                (link.kernel.cid, link.params) in self.encoders or link.kernel.cid == self._deflate
            )
            for link in program.links
        ):
            return None
        return self.host.run(program, given, boundary, work_bytes)

    def _split(self, kernel: Kernel, data: Buffer, boundary: Boundary) -> Split | None:
        """Every stream that the kernel makes again, if that gives exactly the data."""
        name = Cid.of(data)
        known = self._splits.find(name)
        if known is not None:
            return known if sum(map(len, known)) <= boundary.output_bytes else None
        metered = replace(boundary, fuel=min(boundary.fuel or _MOST_FUEL, _MOST_FUEL))

        def read(stream: bytes) -> tuple[list[bytes], int] | None:
            made = self.host.call(kernel, Op.FORWARD, b"", [stream], metered)
            return (made.outputs, made.fuel or 0) if isinstance(made, Result) else None

        found = split(data, read)
        if sum(map(len, found)) > boundary.output_bytes:
            return None
        if self.host.call(kernel, Op.INVERSE, b"", [*found], boundary) != Result([bytes(data)]):
            return None
        self._splits.keep(name, found)
        return found


def _has_zstandard() -> bool:
    try:
        import zstandard  # noqa: PLC0415 - most commands do without
    except ImportError:
        return False
    return zstandard.ZSTD_VERSION == ZSTANDARD


def _zstandard(data: Buffer) -> bytes:
    coded = _at_level(LEVEL, data)
    if _NOISY * len(coded) < len(data):
        return coded
    other = _at_level(NOISE_LEVEL, data)
    return min(coded, other, key=len)


def _sketched(data: Buffer) -> bytes:
    glance = _at_level(_GLANCE_LEVEL, data)
    if (len(data) - len(glance)) * _SAVED < len(data):
        return glance
    return _at_level(_SKETCH_LEVEL, data)


def _at_level(level: int, data: Buffer) -> bytes:
    """The frame of that level. Raises MemoryError."""
    import zstandard  # noqa: PLC0415 - most commands do without

    try:
        return zstandard.ZstdCompressor(level=level).compress(data)
    except zstandard.ZstdError as error:
        # Any bytes can be compressed at these levels: nothing but memory can be missing.
        raise MemoryError(str(error)) from error


def _lzma(width: int, data: Buffer) -> bytes:
    return _lzma2(width, _THOROUGH, data)


def _lzma_sketched(width: int, data: Buffer) -> bytes:
    return _lzma2(width, _THOROUGH if len(data) <= _SKETCHED_THOROUGHLY else _SKETCHY, data)


@cache
def has_known_lzma() -> bool:
    """Whether the library writes what the one did that containers were first made with."""
    written = (_lzma2(width, _THOROUGH, _PATTERN) for width in _PROPERTIES)
    return zlib.crc32(b"".join(written)) == _WRITTEN


def _lzma2(width: int, search: tuple[int, int], data: Buffer) -> bytes:
    """The chunks of LZMA2. Raises MemoryError."""
    before, literal_places, places = _PROPERTIES[width]
    nice, depth = search
    # All of it is said, because what a preset stands for may change.
    chunks = {
        "id": lzma.FILTER_LZMA2,
        "dict_size": min(max(1 << (len(data) - 1).bit_length(), _LEAST_REACH), _MOST_REACH),
        "lc": before,
        "lp": literal_places,
        "pb": places,
        "mode": lzma.MODE_NORMAL,
        "mf": lzma.MF_BT4,
        "nice_len": nice,
        "depth": depth,
    }
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[chunks])
