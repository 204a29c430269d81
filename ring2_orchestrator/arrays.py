"""Arrays as containers: elements, element type, shape and order, packed and checked.

What is packed is a file of numpy's format `.npy`, its header and its data each under a plan, so
`redoxa unpack` gives a file that numpy reads.
"""

import io
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from cid_store.errors import InputError, UsageError
from cid_store.store import Buffer
from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.packing import unpack
from ring2_orchestrator.packing_parts import PlanOf, best_plan, pack_parts
from ring2_orchestrator.planner import BALANCED, library
from ring2_orchestrator.toolbox import Toolbox, shared_toolbox


def pack_array(
    array: npt.NDArray[Any], tools: Toolbox | None = None, *, plan_of: PlanOf | None = None
) -> bytes:
    """The container of an array, verified.

    Raises InputError for one that holds Python objects or is masked: a file has no place for these;
    UsageError for what is no array of numpy's.

    `plan_of` says which plan a part is packed under; unless given, the best is looked for.
    """
    tools = tools if tools is not None else shared_toolbox()
    if not isinstance(array, np.ndarray | np.generic):  # pyright: ignore[reportUnnecessaryIsInstance] - anybody calls this
        raise UsageError(
            f"expected an array, and not a value of type {type(array).__name__}; "
            "numpy.asarray makes one of it"
        )
    if array.dtype.hasobject:
        raise InputError(
            f"an array of {array.dtype} holds Python objects, which are not bytes; give it "
            "another element type"
        )
    if isinstance(array, np.ma.MaskedArray):
        raise InputError(
            "a masked array would lose its mask; pack its .data and its .mask, each as an array"
        )
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    source = BytesSource(file.getbuffer(), "the array")
    out = io.BytesIO()

    genes = library(tools.palette)
    searched = partial(best_plan, genes=genes, tools=tools, profile=BALANCED)
    chosen = plan_of if plan_of is not None else searched
    pack_parts(source, [source.size - array.nbytes, array.nbytes], out, tools, chosen)
    return out.getvalue()


def unpack_array(container: Buffer, tools: Toolbox | None = None) -> npt.NDArray[Any]:
    """The array of a container. Raises DamagedContainerError; InputError where it holds none."""
    tools = tools if tools is not None else shared_toolbox()
    out = io.BytesIO()
    unpack(Container(BytesSource(container, "the container"), tools.kernels), out, tools)
    out.seek(0)
    try:
        array: npt.NDArray[Any] = np.lib.format.read_array(out, allow_pickle=False)
    except Exception as error:
        # Numpy's reader of headers lets through whatever Python's own parser raises.
        raise InputError(f"the container holds no array, but other bytes: {error}") from error
    if out.read(1):
        raise InputError("the container holds no array, but an array and more bytes after it")
    return array
