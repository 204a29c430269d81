"""Plan to gene text: the one text that names a plan's kernels and values in its own order."""

from collections.abc import Mapping

from cid_store.cid import Cid
from ring0.manifest import Manifest
from ring0.plan import Plan, Step


def print_plan(plan: Plan, manifests: Mapping[Cid, Manifest]) -> str:
    """A gene that checks to exactly this plan."""
    streams = set(plan.streams)
    chains = {0: "x"}
    lines = [f"input x: {plan.input}"]
    made = 1
    for step in plan.steps:
        given = [chains.pop(value) for value in step.inputs]
        call = call_text(step, manifests)
        text = f"{given[0]} |> {call}" if len(given) == 1 else _apply(call, given)
        outputs = range(made, made + len(step.outputs))
        made = outputs.stop
        # A chain of single streams stays one pipeline; only where it splits are names needed.
        if len(outputs) == 1:
            chains[outputs[0]] = text
            continue
        names = [f"v{value}" for value in outputs]
        lines.append(f"{', '.join(names)} = {text}")
        chains.update(zip(outputs, names, strict=True))
    lines += [f"emit {chains[value]}" for value in sorted(streams)]
    return "\n".join(lines) + "\n"


def call_text(step: Step, manifests: Mapping[Cid, Manifest]) -> str:
    """A step as it is written in a gene, without what it is applied to."""
    if step.kernel is None:
        return f"bitcast(to={step.outputs[0]})"
    manifest = manifests[step.kernel]
    settings = [
        f"{parameter.name}={value}"
        for parameter, value in zip(manifest.parameters, step.parameters, strict=True)
        if value != parameter.default
    ]
    return f"{manifest.name}({', '.join(settings)})" if settings else manifest.name


def _apply(call: str, given: list[str]) -> str:
    name, _, settings = call.partition("(")
    return f"{name}({', '.join(given)}{', ' + settings if settings else ')'}"
