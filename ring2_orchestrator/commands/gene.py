"""List, check and print genes; search for one that suits a file, and run one on a file.

A gene is the text of a pipeline of kernels; docs/formats/gene.md is its reference.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ring2_orchestrator.commands import add_verbs
from ring2_orchestrator.commands._search import BAR_AFTER_S, add_bounds, bounds

if TYPE_CHECKING:
    from ring2_orchestrator.commands import Context
    from ring2_orchestrator.gene import Gene
    from ring2_orchestrator.planner import Proposal
    from ring2_orchestrator.toolbox import Toolbox

EXAMPLES = (
    "redoxa gene list",
    "redoxa gene check mine.gene",
    "redoxa gene print audio_mono",
    "redoxa gene search samples.i16 > mine.gene",
    "redoxa gene run mine.gene samples.i16",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which genes."""
    verbs = add_verbs(
        parser,
        list="the genes that `redoxa pack` tries",
        check="whether genes are sound; exit code 1 when one is not",
        print="a gene's text and the plan it comes to",
        search="the gene that suits a file best, as text: of a search, and of the library",
        run="what a gene makes of a file, stream by stream, undone again and compared",
    )
    verbs["check"].add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a file with a gene's text"
    )
    verbs["print"].add_argument(
        "gene", metavar="NAME|FILE", help="a gene of the library, or a .gene file"
    )
    verbs["run"].add_argument(
        "gene", metavar="NAME|FILE", help="a gene of the library, or a .gene file"
    )
    for verb in ("search", "run"):
        verbs[verb].add_argument(
            "file", type=Path, metavar="FILE", help="the data; '-' is standard input"
        )
    add_bounds(verbs["search"])


def run(args: argparse.Namespace, context: "Context") -> int:
    """Do what was asked; 1 when a checked gene is wrong."""
    from ring2_orchestrator.toolbox import open_toolbox  # noqa: PLC0415 - start-up

    with open_toolbox() as tools:
        if args.verb == "list":
            return _list(context, tools)
        if args.verb == "check":
            return _check(args.files, context, tools)
        if args.verb == "search":
            return _search(args, context, tools)
        if args.verb == "run":
            return _run(args.gene, args.file, context, tools)
        return _print(args.gene, context, tools)


def _list(context: "Context", tools: "Toolbox") -> int:
    from ring2_orchestrator.planner import library  # noqa: PLC0415 - start-up

    genes = library(tools.palette)
    context.report.table(
        ["gene", "input", "for"],
        [[gene.name, gene.program.dtype.value, gene.summary] for gene in genes],
    )
    context.report.data({"genes": [_described(gene) for gene in genes]})
    return 0


def _check(files: list[Path], context: "Context", tools: "Toolbox") -> int:
    from ring2_orchestrator.gene import GeneError, read_gene  # noqa: PLC0415 - start-up

    results: list[dict[str, object]] = []
    for path in files:
        try:
            gene = read_gene(path, tools.palette)
        except GeneError as error:
            context.report.refuse(error)
            results.append(
                {
                    "gene": str(path),
                    "sound": False,
                    "fault": error.message,
                    "line": error.at.line,
                    "column": error.at.column,
                }
            )
            continue
        context.report.line(f"{path}: sound; {_counts(gene)}")
        results.append({**_described(gene), "sound": True})
    context.report.data({"genes": results})
    return 0 if all(result["sound"] for result in results) else 1


def _print(name: str, context: "Context", tools: "Toolbox") -> int:
    from ring2_orchestrator.gene import print_plan  # noqa: PLC0415 - start-up
    from ring2_orchestrator.planner import find_gene  # noqa: PLC0415 - start-up

    gene = find_gene(name, tools.palette)
    plan = print_plan(gene.plan(), tools.manifests)
    context.report.text(gene.text.rstrip())
    if gene.is_open:
        context.report.line()
        context.report.line("# with the first alternative of every choice, and holes left empty:")
        context.report.text(plan.rstrip())
    context.report.data({**_described(gene), "text": gene.text, "first_plan": plan})
    return 0


def _search(args: argparse.Namespace, context: "Context", tools: "Toolbox") -> int:
    from ring2_orchestrator.commands._files import open_input  # noqa: PLC0415 - start-up
    from ring2_orchestrator.gene import print_plan  # noqa: PLC0415 - start-up
    from ring2_orchestrator.planner import library, propose  # noqa: PLC0415 - start-up

    file, chosen = args.file, bounds(args)
    found: list[Proposal] = []
    genes = library(tools.palette)
    with (
        open_input(file) as source,
        context.report.progress(f"searching {source.name}", after_s=BAR_AFTER_S) as advance,
    ):
        if source.size:
            found = propose(
                source,
                genes,
                tools.packer,
                tools.kernels,
                chosen,
                sketcher=tools.sketcher,
                advance=advance,
            )
        total = source.size
    report = context.report
    found = [each for each in found if each.expected_bytes < total]
    if not found:
        report.say(f"{file}: nothing is expected to make it smaller")
        report.data({"file": str(file), "original_bytes": total, "found": []})
        return 1
    texts = [print_plan(each.plan, tools.manifests) for each in found]
    report.line(f"# {found[0].expected_bytes:,} of {total:,} bytes expected, from {found[0].gene}")
    report.text(texts[0].rstrip())
    report.data(
        {
            "file": str(file),
            "original_bytes": total,
            "found": [
                {
                    "from": each.gene,
                    "plan": str(each.plan.cid),
                    "expected_bytes": each.expected_bytes,
                    "text": text,
                }
                for each, text in zip(found, texts, strict=True)
            ],
        }
    )
    return 0


def _run(name: str, file: Path, context: "Context", tools: "Toolbox") -> int:
    import io  # noqa: PLC0415 - start-up

    from ring2_orchestrator.commands._files import open_input  # noqa: PLC0415 - start-up
    from ring2_orchestrator.container import BytesSource, Container  # noqa: PLC0415 - start-up
    from ring2_orchestrator.explaining import drawn, explain  # noqa: PLC0415 - start-up
    from ring2_orchestrator.packing import pack  # noqa: PLC0415 - start-up
    from ring2_orchestrator.planner import find_gene  # noqa: PLC0415 - start-up

    gene = find_gene(name, tools.palette)
    out = io.BytesIO()
    with open_input(file) as source:
        packed = pack(source, out, [gene], tools)
    plans = explain(Container(BytesSource(out.getvalue()), tools.kernels), tools.manifests)
    report = context.report
    if not plans:
        report.say(f"{file}: '{gene.name}' does not fit these bytes, or does not make them smaller")
    for plan in plans:
        rows = [[text, each.dtype or None, each.stored_bytes] for text, each in drawn(plan.root)]
        report.table(["step", "type", "bytes"], rows)
    report.data(
        {
            "file": str(file),
            "gene": gene.name,
            "original_bytes": packed.original_bytes,
            "container_bytes": packed.container_bytes,
            "plans": [{"plan": str(p.plan.cid), "tree": p.root.to_dict()} for p in plans],
        }
    )
    return 0 if plans else 1


def _described(gene: "Gene") -> dict[str, object]:
    plan = gene.plan()
    return {
        "gene": gene.name,
        "input": gene.program.dtype.value,
        "summary": gene.summary,
        "steps": len(plan.steps),
        "streams": len(plan.streams),
        "choices": len(gene.choices),
        "holes": gene.has_holes,
        "plan": None if gene.is_open else str(plan.cid),
    }


def _counts(gene: "Gene") -> str:
    plan = gene.plan()
    if gene.is_open:
        what = f"{len(gene.choices)} choices" if gene.choices else "a hole"
        return f"{what} to be taken for the data; first plan: {len(plan.steps)} steps"
    return f"steps: {len(plan.steps)}; streams: {len(plan.streams)}; plan {plan.cid}"
