"""Draw a container's plans as trees, with the stored bytes beneath every step.

What a step took away or left shows where a file's information is. The sizes are those of the
container's own parts; nothing is unpacked but headers, for the names of the parts of a file.
"""

import argparse
from typing import TYPE_CHECKING

from ring2_orchestrator.commands._containers import add_container, looked_into, manifests_of

if TYPE_CHECKING:
    from ring2_orchestrator.commands import Context
    from ring2_orchestrator.explaining import Explained

EXAMPLES = ("redoxa explain samples.rdx", "redoxa explain samples.rdx --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The container."""
    add_container(parser)


def run(args: argparse.Namespace, context: "Context") -> int:
    """Explain one container; 0 when its header and sizes are sound."""
    from ring2_orchestrator.explaining import explain  # noqa: PLC0415 - start-up
    from ring2_orchestrator.explaining_parts import named_parts  # noqa: PLC0415 - start-up
    from ring2_orchestrator.toolbox import shared_toolbox  # noqa: PLC0415 - start-up

    with looked_into(args.file) as (container, size):
        header, plans = container.header, explain(container, manifests_of(container))
        divided = header.is_divided
        parts = named_parts(container, shared_toolbox().executor) if divided else []
    report = context.report
    planned = sum(plan.root.stored_bytes for plan in plans)
    report.line(f"{header.length:,} bytes became {size:,}, ratio {header.length / size:.3f}")
    numbers = {plan.plan: number for number, plan in enumerate(plans, 1)}
    if parts:
        report.line()
        rows = [
            [part.name, part.original_bytes, part.stored_bytes, part.plan and numbers[part.plan]]
            for part in parts
        ]
        report.table(["part", "bytes", "became", "plan"], rows)
    for number, plan in enumerate(plans, 1):
        _draw(context, number, plan)
    rest = size - planned
    report.line()
    report.line(f"header, lengths, checks and what is stored as it is: {rest:,} bytes")
    report.data(
        {
            "file": str(args.file),
            "original_bytes": header.length,
            "container_bytes": size,
            "rest_bytes": rest,
            "parts": [
                {
                    "name": part.name,
                    "original_bytes": part.original_bytes,
                    "stored_bytes": part.stored_bytes,
                    "plan": None if part.plan is None else str(part.plan.cid),
                }
                for part in parts
            ],
            "plans": [
                {
                    "plan": str(plan.plan.cid),
                    "original_bytes": plan.original_bytes,
                    "tree": plan.root.to_dict(),
                }
                for plan in plans
            ],
        }
    )
    return 0


def _draw(context: "Context", number: int, plan: "Explained") -> None:
    from ring2_orchestrator.explaining import drawn  # noqa: PLC0415 - start-up

    total = max(plan.root.stored_bytes, 1)
    context.report.line()
    context.report.line(f"plan {number}: {plan.original_bytes:,} bytes")
    rows = [(text, each) for text, each in drawn(plan.root)]
    width = max(len(text) for text, _ in rows)
    for text, each in rows:
        share = 100 * each.stored_bytes / total
        figures = f"{each.dtype:<4}{each.stored_bytes:>14,} {share:5.1f} %"
        context.report.line(f"{text:<{width}}  {figures}")
