"""A container's plans as trees: every step, and how many of the stored bytes lie beneath it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cid_store.cid import Cid
from ring0.manifest import Manifest
from ring0.plan import Plan
from ring2_orchestrator.container import Container
from ring2_orchestrator.gene import call_text


@dataclass(frozen=True, slots=True)
class Branch:
    """A step, or a value that several steps or streams follow: its bytes are those beneath it."""

    label: str
    dtype: str
    stored_bytes: int
    branches: "tuple[Branch, ...]" = ()

    def to_dict(self) -> dict[str, object]:
        """The same for JSON."""
        return {
            "label": self.label,
            "type": self.dtype,
            "bytes": self.stored_bytes,
            "branches": [branch.to_dict() for branch in self.branches],
        }


@dataclass(frozen=True, slots=True)
class Explained:
    """One plan of a container: the bytes of the original it stands for, and what they became."""

    plan: Plan
    original_bytes: int
    root: Branch


def explain(container: Container, manifests: Mapping[Cid, Manifest]) -> list[Explained]:
    """The plans in the order of the container, each with its bytes summed over all blocks."""
    header = container.header
    streams = {plan: [0] * len(plan.streams) for plan in header.plans}
    originals = dict.fromkeys(header.plans, 0)
    for extent in container.extents() if header.has_blocks else ():
        plan = extent.cut.plan
        if extent.streams is not None and plan is not None:
            sums = zip(streams[plan], extent.streams, strict=True)
            streams[plan] = [one + more for one, more in sums]
            originals[plan] += extent.length
    return [
        Explained(plan, originals[plan], tree(plan, streams[plan], manifests))
        for plan in header.plans
    ]


def tree(plan: Plan, sizes: Sequence[int], manifests: Mapping[Cid, Manifest]) -> Branch:
    """The plan as a tree, given how many bytes each of its streams takes.

    A step of several inputs stands beneath the last of them.
    """
    stored = dict(zip(plan.streams, sizes, strict=True))
    types = plan.values
    made = len(types)
    beneath: dict[int, Branch] = {}
    for step in reversed(plan.steps):
        made -= len(step.outputs)
        names = _port_names(step.kernel, len(step.outputs), manifests)
        values = range(made, made + len(step.outputs))
        label = call_text(step, manifests)
        parts = [
            _value(name, types[value].value, stored.get(value), beneath.get(value))
            for name, value in zip(names, values, strict=True)
        ]
        last = max(step.inputs)
        total = sum(part.stored_bytes for part in parts)
        one = len(parts) == 1
        branches = parts[0].branches if one else tuple(parts)
        beneath[last] = Branch(label, parts[0].dtype if one else "", total, branches)
    return _value("original", plan.input.value, stored.get(0), beneath.get(0))


def drawn(branch: Branch) -> Iterator[tuple[str, Branch]]:
    """The tree's lines from the top: what to print before a branch's figures, and the branch."""
    yield branch.label, branch
    for at, child in enumerate(branch.branches):
        last = at == len(branch.branches) - 1
        first, rest = ("└─ ", "   ") if last else ("├─ ", "│  ")
        for place, (text, each) in enumerate(drawn(child)):
            yield (rest if place else first) + text, each


def _value(name: str, dtype: str, stored: int | None, step: Branch | None) -> Branch:
    if step is None:
        return Branch(name, dtype, stored or 0)
    return Branch(name, dtype, step.stored_bytes, (step,))


def _port_names(kernel: Cid | None, count: int, manifests: Mapping[Cid, Manifest]) -> list[str]:
    """What the outputs of a step are called; those of a port that repeats are numbered."""
    if kernel is None:
        return ["value"]
    ports = manifests[kernel].outputs
    width = count - len(ports) + 1
    names: list[str] = []
    for port in ports:
        many = port.per_byte
        names += [f"{port.name} {at}" for at in range(width)] if many else [port.name]
    return names
