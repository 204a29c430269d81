"""Better encoders in place of a kernel's own: what they make stands where the kernel undoes it.

A codec's inverse fixes what its streams mean, and another encoder may write shorter ones. Such
bytes are a step's output only for packing, where the container keeps them; what is remembered of
executions tells of the kernel itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cid_store.cid import Cid
from cid_store.store import Buffer
from ring0.abi import Op
from ring0.boundary import Boundary
from ring0.execution import Caller
from ring0.kernel import Kernel
from ring0.outcome import Outcome, Result
from ring0.program import Program, Ran
from ring2_orchestrator.kernels import KernelSet

Encode = Callable[[Buffer], bytes]

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


def native_encoders(kernels: KernelSet, *, sketching: bool = False) -> dict[Cid, Encode]:
    """The encoders of this installation for the shipped kernels, by the kernel's CID.

    Those for sketching are quicker, and their bytes mostly longer.
    """
    if "zstd" not in kernels or not _has_zstandard():
        return {}
    return {kernels.by_name("zstd").cid: _sketched if sketching else _zstandard}


@dataclass(frozen=True)
class EncodingCaller:
    """A host whose forward calls may be answered by an encoder instead of the kernel.

    An encoder's bytes are believed only when the kernel's own inverse, in the sandbox, made exactly
    the input of them; else the kernel's forward operation is called, as it is for all others.
    """

    host: Caller
    kernels: KernelSet
    sketching: bool = False

    @cached_property
    def encoders(self) -> Mapping[Cid, Encode]:
        """The encoders, found when the first call is made."""
        return native_encoders(self.kernels, sketching=self.sketching)

    def call(
        self, kernel: Kernel, op: Op, params: bytes, inputs: Sequence[Buffer], boundary: Boundary
    ) -> Outcome:
        """Call one kernel, or the encoder in its place."""
        encode = self.encoders.get(kernel.cid) if op is Op.FORWARD else None
        if encode is not None and len(inputs) == 1 and not params and len(inputs[0]):
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
            link.op is Op.FORWARD and link.kernel.cid in self.encoders for link in program.links
        ):
            return None
        return self.host.run(program, given, boundary, work_bytes)


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
