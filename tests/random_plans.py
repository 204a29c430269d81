"""Plans drawn at random for property tests."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import strategies as st

from ring0.kernel import Kernel
from ring0.manifest import Manifest, Parameter
from ring0.plan import Dtype, Plan
from ring0.signature import accepted, bind, takes_several
from ring2_orchestrator.planner.moves import Move, defaults, graft
from ring2_orchestrator.toolbox import Toolbox

# Small numbers, and strides that records often have.
LADDER = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@st.composite
def plans(draw: Any, tools: Toolbox) -> Plan:
    """Any plan of up to five steps, each on any of the streams there are."""
    plan = Plan(draw(st.sampled_from(Dtype)), ())
    for _ in range(draw(st.integers(0, 5))):
        stream = draw(st.sampled_from(plan.streams))
        dtype = plan.values[stream]
        choices: list[Move] = list(moves(tools.kernels, dtype))
        plan = graft(plan, stream, draw(st.sampled_from(choices)).plan(dtype))[0]
    return plan


def moves(kernels: Iterable[Kernel], dtype: Dtype) -> Iterator[Move]:
    """Every kernel of one input that fits a stream of that type, and every bitcast."""
    for kernel in kernels:
        manifest = kernel.manifest
        if takes_several(manifest) or dtype not in accepted(manifest):
            continue
        outputs = bind(manifest, [dtype]).outputs
        for parameters in _settings(manifest):
            yield Move(kernel, parameters, outputs)
    same = [each for each in Dtype if each.width == dtype.width and each != dtype]
    for to in same if dtype.width == 1 else [*same, Dtype.U8]:
        yield Move(None, (), (to,))


def _settings(manifest: Manifest) -> Iterator[tuple[int, ...]]:
    """The defaults, then every other value of one parameter at a time."""
    setting = defaults(manifest)
    yield setting
    for at, parameter in enumerate(manifest.parameters):
        for value in _values(parameter):
            if value != parameter.default:
                yield (*setting[:at], value, *setting[at + 1 :])


def _values(parameter: Parameter) -> list[int]:
    signed = itertools.chain(LADDER, (-value for value in LADDER if value))
    return sorted(value for value in signed if parameter.min <= value <= parameter.max)
