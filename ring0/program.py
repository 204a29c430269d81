"""A plan made ready to run one way: its calls in order, parameters encoded, values by place.

Bitcasts are gone: the same bytes under another type are the same value.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from cid_store.cid import Cid
from ring0.abi import Op
from ring0.kernel import Kernel
from ring0.outcome import Outcome
from ring0.plan import Plan
from ring0.signature import parameter_bytes


class Link(NamedTuple):
    """One call: the plan's step it is, which values it takes, and which it makes."""

    step: int
    kernel: Kernel
    op: Op
    params: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Program:
    """Calls that make the values `wanted` of the values `given`; there are `values` places."""

    links: tuple[Link, ...]
    values: int
    given: tuple[int, ...]
    wanted: tuple[int, ...]

    @classmethod
    def of(cls, plan: Plan, op: Op, find: Callable[[Cid], Kernel]) -> "Program":
        """The plan's steps, forward or backwards. Raises ParameterError and what `find` raises."""
        types = plan.values
        place = [*range(len(types))]
        links: list[Link] = []
        made = 1
        for at, step in enumerate(plan.steps):
            outputs = range(made, made + len(step.outputs))
            made = outputs.stop
            if step.kernel is None:
                place[outputs[0]] = place[step.inputs[0]]
                continue
            kernel = find(step.kernel)
            params = parameter_bytes(kernel.manifest, step, [types[one] for one in step.inputs])
            taken = tuple(place[one] for one in step.inputs)
            links.append(Link(at, kernel, op, params, taken, (*outputs,)))
        ends = tuple(place[one] for one in plan.streams)
        if op is Op.FORWARD:
            return cls((*links,), len(types), (0,), ends)
        backwards = (
            link._replace(inputs=link.outputs, outputs=link.inputs) for link in reversed(links)
        )
        return cls((*backwards,), len(types), ends, (0,))


class Ran(NamedTuple):
    """What running a program came to: its outputs, or the link that did not give a result.

    Without an outcome, it was the limit on the work of all links together that ended it.
    """

    outputs: list[bytes]
    work_bytes: int
    failed: Link | None = None
    outcome: Outcome | None = None
