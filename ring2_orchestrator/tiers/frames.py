"""Frames as recipes: which frame makes which object, what it reads, and executing it once more."""

from collections.abc import Container

from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import DamageError, InputError, UnavailableError
from cid_store.nodes import get_node
from cid_store.store import Store
from ring0.abi import Op
from ring0.execution import Limits, StepFailedError, WorkLimitError
from ring0.frame import Frame, Operation
from ring0.kernel import Kernel
from ring0.outcome import OutOfMemory, Result, TimedOut
from ring0.plan import Plan
from ring2_orchestrator.tiers.recipe import FromFrame
from ring2_orchestrator.toolbox import Toolbox

_FRAMES = "frame/"
_AT_ONCE = 256


def makers(store: Store, wanted: Container[Cid]) -> dict[Cid, list[tuple[Cid, int]]]:
    """For each wanted object that a kept frame makes: the frames, and which output it is.

    The frame that takes and gives the fewest bytes comes first.
    """
    names = list(dict.fromkeys(cid for _, cid in store.roots(_FRAMES)))
    found: dict[Cid, list[tuple[int, Cid, int]]] = {}
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        for cid, data in zip(some, _frames(store, some), strict=True):
            frame = _parsed(data)
            if frame is None:
                continue
            work = frame.cost.bytes_in + frame.cost.bytes_out
            for output, made in enumerate(frame.outputs):
                if made in wanted and made not in frame.request.inputs:
                    found.setdefault(made, []).append((work, cid, output))
    return {
        made: [(frame, output) for _, frame, output in sorted(ways)] for made, ways in found.items()
    }


def frame_way(store: Store, frame: Cid, output: int) -> FromFrame:
    """The way that executes this frame. Raises DamageError where it, or its plan, is not there."""
    request = Frame.from_node(get_node(store, frame)).request
    reads = [request.what]
    if request.what.codec is Codec.NODE:
        reads += Plan.from_bytes(store.get(request.what)).kernels
    return FromFrame(frame, output, (*reads, *request.inputs))


def with_stored(tools: Toolbox, store: Store, kernels: tuple[Cid, ...]) -> Toolbox:
    """The same tools, and those of these kernels that this Redoxa does not ship.

    They are taken from the store. The host runs them as it runs any foreign kernel.
    """
    foreign = [Kernel.from_wasm(store.get(cid)) for cid in kernels if cid not in tools.kernels.cids]
    return Toolbox(tools.kernels.knowing(foreign), tools.host) if foreign else tools


def execute(frame: Frame, store: Store, tools: Toolbox) -> list[bytes]:
    """The outputs of the frame's request, made anew from its inputs: no memo is asked.

    Raises DamageError where it does not execute, UnavailableError where this machine lacks time
    or memory.
    """
    try:
        return _outputs(frame, store, tools)
    except (StepFailedError, WorkLimitError) as error:
        what = f"frame {frame.cid}"
        if isinstance(error, StepFailedError) and isinstance(error.outcome, TimedOut | OutOfMemory):
            raise UnavailableError(
                f"{what} asks for more than this machine gave: {error}; try again when it is idle"
            ) from error
        raise DamageError(f"{what} does not execute any more: {error}") from error


def _outputs(frame: Frame, store: Store, tools: Toolbox) -> list[bytes]:
    request = frame.request
    inputs = [store.view(cid) for cid in request.inputs]
    forward = request.operation is Operation.FORWARD
    if request.what.codec is Codec.NODE:
        plan = Plan.from_bytes(store.get(request.what))
        executor = with_stored(tools, store, plan.kernels).executor
        if forward:
            return executor.forward(plan, inputs[0]).outputs
        return executor.inverse(plan, inputs).outputs
    kernel = with_stored(tools, store, (request.what,)).kernel(request.what)
    op = Op.FORWARD if forward else Op.INVERSE
    outcome = tools.host.call(kernel, op, request.parameters, inputs, Limits().boundary())
    if not isinstance(outcome, Result):
        raise StepFailedError(kernel, outcome)
    return outcome.outputs


def _frames(store: Store, cids: list[Cid]) -> list[bytes]:
    """The bytes of these frames; none where they cannot be read."""
    try:
        return store.get_many(cids)
    except DamageError:
        return [_readable(store, cid) for cid in cids]


def _readable(store: Store, cid: Cid) -> bytes:
    try:
        return store.get(cid)
    except DamageError:
        return b""


def _parsed(data: bytes) -> Frame | None:
    # What is damaged or no frame makes nothing; `store verify` is who says so.
    try:
        return Frame.from_node(decode(data))
    except InputError:
        return None
