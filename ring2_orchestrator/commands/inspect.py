"""Say what a container holds, without unpacking it.

Its header and the sizes of its parts are checked; the data is not: only unpacking verifies it.
The plan is shown as gene text: packing with that gene makes the same plan again.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ring2_orchestrator.commands._files import open_input

if TYPE_CHECKING:
    from ring2_orchestrator.commands import Context
    from ring2_orchestrator.container import Container
    from ring2_orchestrator.toolbox import Toolbox

EXAMPLES = ("redoxa inspect samples.rdx", "redoxa inspect samples.rdx --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The container."""
    parser.add_argument(
        "file", type=Path, metavar="IN.rdx", help="the container; '-' is standard input"
    )


def run(args: argparse.Namespace, context: "Context") -> int:
    """Inspect one container; 0 when its header and sizes are sound."""
    from cid_store.cid import Cid, Codec  # noqa: PLC0415 - start-up
    from ring2_orchestrator import mdl  # noqa: PLC0415 - start-up
    from ring2_orchestrator.container import Container  # noqa: PLC0415 - start-up
    from ring2_orchestrator.toolbox import open_toolbox  # noqa: PLC0415 - start-up

    with open_input(args.file) as source, open_toolbox() as tools:
        container = Container(source, tools.kernels)
        header, size = container.header, source.size
        gene, parts = _gene(container, tools), _parts(container)
    original = str(Cid(Codec.RAW, header.digest))
    plan = None if header.method is None else str(header.method.plan.cid)
    report = context.report
    report.line(f"original   {header.length:,} bytes, {original}")
    report.line(
        f"container  {size:,} bytes, MDL {mdl.bits(size):,} bits, ratio {header.length / size:.3f}"
    )
    report.line("verified   header and sizes; the data only when it is unpacked")
    report.line(f"blocks     {header.block_count}" if plan else "blocks     none: stored as it is")
    if plan is not None:
        report.line(f"plan       {plan}")
        report.line()
        report.text(gene.rstrip())
    report.line()
    report.table(["part", "type", "bytes"], [list(part) for part in parts])
    report.data(
        {
            "file": str(args.file),
            "original": original,
            "original_bytes": header.length,
            "container_bytes": size,
            "mdl_bits": mdl.bits(size),
            "blocks": header.block_count,
            "block_bytes": header.block_bytes if plan else None,
            "plan": plan,
            "gene": gene,
            "data_verified": False,
            "parts": [{"part": name, "type": kind, "bytes": count} for name, kind, count in parts],
        }
    )
    return 0


def _gene(container: "Container", tools: "Toolbox") -> str:
    from ring2_orchestrator.gene import print_plan  # noqa: PLC0415 - start-up

    method = container.header.method
    return "" if method is None else print_plan(method.plan, tools.manifests)


def _parts(container: "Container") -> list[tuple[str, str | None, int]]:
    """Where the container's bytes go; the sizes sum to its own."""
    header = container.header
    if header.method is None:
        return [("header", None, container.overhead), ("stored", "u8", header.length)]
    plan = header.method.plan
    streams = [0] * len(plan.streams)
    stored = framing = 0
    for extent in container.extents():
        if extent.streams is None:
            stored += extent.length
        else:
            streams = [a + b for a, b in zip(streams, extent.streams, strict=True)]
            stored += extent.length % plan.input.width
        framing += extent.size
    framing -= stored + sum(streams)
    parts: list[tuple[str, str | None, int]] = [("header and plan", None, container.overhead)]
    for at, (value, size) in enumerate(zip(plan.streams, streams, strict=True)):
        parts.append((f"stream {at}", plan.values[value].value, size))
    if stored:
        parts.append(("stored", "u8", stored))
    return [*parts, ("lengths and checks", None, framing)]
