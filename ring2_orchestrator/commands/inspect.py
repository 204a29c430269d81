"""Say what a container holds, without unpacking it.

Its header and the sizes of its parts are checked; the data is not: only unpacking verifies it.
The plan is shown as gene text: packing with that gene makes the same plan again.
"""

import argparse
from typing import TYPE_CHECKING

from ring2_orchestrator.commands._containers import add_container, looked_into, manifests_of

if TYPE_CHECKING:
    from ring2_orchestrator.commands import Context
    from ring2_orchestrator.container import Container

EXAMPLES = ("redoxa inspect samples.rdx", "redoxa inspect samples.rdx --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The container."""
    add_container(parser)


def run(args: argparse.Namespace, context: "Context") -> int:
    """Inspect one container; 0 when its header and sizes are sound."""
    from cid_store.cid import Cid, Codec  # noqa: PLC0415 - start-up
    from ring2_orchestrator import mdl  # noqa: PLC0415 - start-up

    with looked_into(args.file) as (container, size):
        header, genes, parts = container.header, _genes(container), _parts(container)
    original = str(Cid(Codec.RAW, header.digest))
    plans = [str(plan.cid) for plan in header.plans]
    number = {plan: at for at, plan in enumerate(header.plans, 1)}
    report = context.report
    report.line(f"original   {header.length:,} bytes, {original}")
    report.line(
        f"container  {size:,} bytes, MDL {mdl.bits(size):,} bits, ratio {header.length / size:.3f}"
    )
    report.line("verified   header and sizes; the data only when it is unpacked")
    report.line(f"blocks     {header.block_count}" if plans else "blocks     none: stored as it is")
    if len(header.segments) > 1:
        report.line(f"segments   {len(header.segments)} under {len(plans)} plans")
    for plan, gene in zip(plans, genes, strict=True):
        report.line(f"plan       {plan}")
        report.line()
        report.text(gene)
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
            "block_bytes": (header.block_bytes or header.length) if plans else None,
            "contents": header.contents.name.lower(),
            "plan": plans[0] if len(plans) == 1 else None,
            "gene": f"{genes[0]}\n" if len(plans) == 1 else "",
            "plans": [{"plan": a, "gene": f"{b}\n"} for a, b in zip(plans, genes, strict=True)],
            "segments": [
                {"bytes": one.length, "plan": None if one.plan is None else number[one.plan]}
                for one in header.segments
            ],
            "carried_kernels": [str(one.kernel.cid) for one in header.carried],
            "data_verified": False,
            "parts": [{"part": name, "type": kind, "bytes": count} for name, kind, count in parts],
        }
    )
    return 0


def _genes(container: "Container") -> list[str]:
    from ring2_orchestrator.gene import print_plan  # noqa: PLC0415 - start-up

    manifests = manifests_of(container)
    return [print_plan(plan, manifests).rstrip() for plan in container.header.plans]


def _parts(container: "Container") -> list[tuple[str, str | None, int]]:
    """Where the container's bytes go; the sizes sum to its own."""
    header = container.header
    if not header.has_blocks:
        return [("header", None, container.overhead), ("stored", "u8", header.length)]
    streams = {plan: [0] * len(plan.streams) for plan in header.plans}
    stored = framing = 0
    for extent in container.extents():
        framing += extent.size
        plan = extent.cut.plan
        if extent.streams is None or plan is None:
            stored += extent.length
        else:
            sums = zip(streams[plan], extent.streams, strict=True)
            streams[plan] = [one + more for one, more in sums]
            stored += extent.length % plan.input.width
    framing -= stored + sum(map(sum, streams.values()))
    parts: list[tuple[str, str | None, int]] = [("header and plan", None, container.overhead)]
    for number, (plan, sizes) in enumerate(streams.items(), 1):
        which = f" of plan {number}" if len(streams) > 1 else ""
        for at, (value, size) in enumerate(zip(plan.streams, sizes, strict=True)):
            parts.append((f"stream {at}{which}", plan.values[value].value, size))
    if stored:
        parts.append(("stored", "u8", stored))
    return [*parts, ("lengths and checks", None, framing)]
