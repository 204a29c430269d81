"""Find the smallest plan for a file or a directory and write its container.

Plans are searched for on a sample of the file, within a profile: how quickly the container must
decode, and how long the search may take. The best are tried on all of it, and plain storing always.
The container is accepted only after it was decoded and gave the same bytes.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import UsageError
from ring2_orchestrator.commands._files import (
    STREAM,
    add_output,
    check_stream,
    ended_tidily,
    open_input,
    open_output,
    output_path,
)
from ring2_orchestrator.commands._search import BAR_AFTER_S, add_bounds, bounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from ring2_orchestrator.commands import Context
    from ring2_orchestrator.gene import Gene
    from ring2_orchestrator.packing import Packed
    from ring2_orchestrator.planner import Profile
    from ring2_orchestrator.toolbox import Toolbox
    from ring2_orchestrator.winners import Winners

EXAMPLES = (
    "redoxa pack samples.i16 -o samples.rdx",
    "redoxa pack samples.i16 -o samples.rdx --profile max",
    "redoxa pack samples.i16 -o samples.rdx --gene audio_mono",
    "redoxa pack table.bin --gene mine.gene --json",
    "producer | redoxa pack - -o - > out.rdx",
    "redoxa pack results -o results.rdx",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, where to put the container, and how to choose."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE|DIR",
        help="the file or the directory; '-' is standard input, kept in a file in TMPDIR meanwhile",
    )
    add_output(parser, "OUT.rdx", "FILE.rdx")
    add_bounds(parser)
    parser.add_argument(
        "--learned",
        action="store_true",
        help="try first what won on data like this before, as the ledger tells; where it does as "
        "well, search no further; enter what wins in the ledger",
    )
    parser.add_argument(
        "-g",
        "--gene",
        metavar="NAME|FILE",
        help="try only this gene: a name of `redoxa gene list`, a .gene file, or 'store'",
    )
    parser.add_argument(
        "-k",
        "--kernel",
        type=Path,
        action="append",
        default=[],
        metavar="FILE.wasm",
        help="a kernel that genes may use, too; it travels in the container, and unpacking needs "
        "--allow-foreign-kernels (repeatable)",
    )


@ended_tidily()
def run(args: argparse.Namespace, context: "Context") -> int:
    """Pack one file or directory; 0 when its container stands."""
    if _is_directory(args.file):
        return _directory(args, context)
    from ring2_orchestrator.commands._winners import learned_data  # noqa: PLC0415 - start-up
    from ring2_orchestrator.finalists import FINALISTS  # noqa: PLC0415 - start-up
    from ring2_orchestrator.packing import pack  # noqa: PLC0415 - start-up
    from ring2_orchestrator.toolbox import open_toolbox  # noqa: PLC0415 - start-up

    output = output_path(args.output, args.file, _default, json=context.report.json)
    with (
        open_input(args.file) as source,
        open_output(output, args.file, force=args.force) as out,
        open_toolbox(own_process=True) as shipped,
        context.report.progress(
            f"packing {source.name}", FINALISTS * source.size, after_s=BAR_AFTER_S
        ) as advance,
    ):
        tools = _with_kernels(shipped, args.kernel)
        genes, profile = _genes(args.gene, tools), _profile(args)
        with _winners(args, context, tools, genes, profile) as winners:
            packed = pack(
                source, out, genes, tools, profile=profile, winners=winners, advance=advance
            )
    _tell(context, str(args.file), str(output), packed, learned_data(winners))
    return 0


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # what keeps it from being looked at is said when it is opened


def _directory(args: argparse.Namespace, context: "Context") -> int:
    """Pack a directory: files of one kind, and each large file, get a plan of their own."""
    from ring2_orchestrator.commands._winners import learned_data  # noqa: PLC0415 - start-up
    from ring2_orchestrator.container import Contents  # noqa: PLC0415 - start-up
    from ring2_orchestrator.directories import directory_source  # noqa: PLC0415 - start-up
    from ring2_orchestrator.finalists import FINALISTS  # noqa: PLC0415 - start-up
    from ring2_orchestrator.packing import pack  # noqa: PLC0415 - start-up
    from ring2_orchestrator.toolbox import open_toolbox  # noqa: PLC0415 - start-up

    output = _directory_output(args, json=context.report.json)
    with (
        directory_source(args.file) as source,
        open_output(output, args.file, force=args.force) as out,
        open_toolbox(own_process=True) as shipped,
        context.report.progress(
            f"packing {source.name}", FINALISTS * source.size, after_s=BAR_AFTER_S
        ) as advance,
    ):
        tools = _with_kernels(shipped, args.kernel)
        genes, profile = _genes(args.gene, tools), _profile(args)
        with _winners(args, context, tools, genes, profile) as winners:
            packed = pack(
                source,
                out,
                genes,
                tools,
                profile=profile,
                contents=Contents.TREE,
                winners=winners,
                advance=advance,
            )
    _tell_directory(context, str(args.file), str(output), packed, learned_data(winners))
    return 0


def _directory_output(args: argparse.Namespace, *, json: bool) -> Path:
    """Where the container of a directory goes. Raises UsageError or InputError."""
    from ring2_orchestrator.container import check_destination  # noqa: PLC0415 - start-up

    name = args.file.name
    if args.output is None and name in ("", ".."):
        raise UsageError(f"where should the output of {args.file} go? name it with -o")
    output: Path = args.output if args.output is not None else _default(args.file)
    if output == STREAM:
        check_stream(json=json)
    else:
        check_destination(output, force=args.force)  # before a large directory is read
    return output


def _default(path: Path) -> Path:
    return path.with_name(f"{path.name}.rdx")


def _with_kernels(tools: "Toolbox", paths: "Sequence[Path]") -> "Toolbox":
    """The tools, and the kernels of these files. Raises InputError where one is none."""
    from ring0.kernel import Kernel  # noqa: PLC0415 - start-up
    from ring2_orchestrator.container import open_source  # noqa: PLC0415 - start-up

    brought: list[Kernel] = []
    for path in paths:
        with open_source(path) as source:
            brought.append(Kernel.from_wasm(source.read(0, source.size)))
    return tools.finding(tools.kernels.knowing(brought)) if brought else tools


def _profile(args: argparse.Namespace) -> "Profile | None":
    """What the search is bounded by; None where a gene was named, which leaves nothing to seek."""
    if args.gene is None:
        return bounds(args)
    if args.profile is not None or args.budget is not None or args.learned:
        raise UsageError(
            "--gene leaves nothing to search for; drop --profile, --budget and --learned"
        )
    return None


def _winners(
    args: argparse.Namespace,
    context: "Context",
    tools: "Toolbox",
    genes: "Sequence[Gene]",
    profile: "Profile | None",
) -> "AbstractContextManager[Winners | None]":
    """What won before, where that is asked for."""
    from contextlib import nullcontext  # noqa: PLC0415 - start-up

    from ring2_orchestrator.commands._winners import learning  # noqa: PLC0415 - start-up

    if not args.learned or profile is None:
        return nullcontext()
    return learning(context, tools, genes, profile)


def _genes(name: str | None, tools: "Toolbox") -> "list[Gene]":
    from ring2_orchestrator.packing import STORE  # noqa: PLC0415 - start-up
    from ring2_orchestrator.planner import find_gene, library  # noqa: PLC0415 - start-up

    if name is None:
        return library(tools.palette)
    return [] if name == STORE else [find_gene(name, tools.palette)]


def _tell(
    context: "Context",
    name: str,
    output: str,
    packed: "Packed",
    learned: "Mapping[str, object] | None",
) -> None:
    from cid_store.cid import Cid, Codec  # noqa: PLC0415 - start-up
    from ring2_orchestrator import mdl  # noqa: PLC0415 - start-up
    from ring2_orchestrator.report import size_text  # noqa: PLC0415 - start-up

    report = context.report
    _warn_of_wrong(context, packed)
    ratio = packed.original_bytes / packed.container_bytes
    how = f"under '{packed.gene}'"
    if len(packed.segments) > 1:
        how = f"as {len(packed.segments)} parts of a file of {packed.gene}"
    report.say(
        f"{name}: {size_text(packed.original_bytes)} became {size_text(packed.container_bytes)} "
        f"(ratio {ratio:.3f}) {how}, verified; wrote {output}"
    )
    report.data(
        {
            "file": name,
            "output": output,
            "gene": packed.gene,
            "plan": None if packed.plan is None else str(packed.plan.cid),
            "segments": [
                {
                    "original_bytes": segment.length,
                    "plan": None if segment.plan is None else str(segment.plan.cid),
                }
                for segment in packed.segments
            ],
            "original": str(Cid(Codec.RAW, packed.digest)),
            "original_bytes": packed.original_bytes,
            "container_bytes": packed.container_bytes,
            "mdl_bits": mdl.bits(packed.container_bytes),
            "trials": [
                {
                    "gene": trial.gene,
                    "plan": None if trial.plan is None else str(trial.plan.cid),
                    "expected_bytes": trial.expected_bytes,
                    "container_bytes": trial.container_bytes,
                }
                for trial in packed.trials
            ],
            "learned": learned,
        }
    )


def _tell_directory(
    context: "Context",
    name: str,
    output: str,
    packed: "Packed",
    learned: "Mapping[str, object] | None",
) -> None:
    from cid_store.cid import Cid, Codec  # noqa: PLC0415 - start-up
    from ring2_orchestrator import mdl  # noqa: PLC0415 - start-up
    from ring2_orchestrator.report import size_text  # noqa: PLC0415 - start-up

    _warn_of_wrong(context, packed)
    ratio = packed.original_bytes / packed.container_bytes
    count = max(len(packed.segments), 1)
    context.report.say(
        f"{name}: {size_text(packed.original_bytes)} in {count} part{'s' * (count > 1)} became "
        f"{size_text(packed.container_bytes)} (ratio {ratio:.3f}), verified; wrote {output}"
    )
    plans = dict.fromkeys(part.plan for part in packed.segments if part.plan is not None)
    context.report.data(
        {
            "file": name,
            "output": output,
            "original": str(Cid(Codec.RAW, packed.digest)),
            "original_bytes": packed.original_bytes,
            "container_bytes": packed.container_bytes,
            "mdl_bits": mdl.bits(packed.container_bytes),
            "segments": count,
            "plans": [str(plan.cid) for plan in plans],
            "learned": learned,
        }
    )


def _warn_of_wrong(context: "Context", packed: "Packed") -> None:
    for trial in packed.trials:
        if trial.verified is False:
            context.report.warn(
                f"the gene {trial.gene} did not give the bytes back, so it was dropped; "
                "a kernel is wrong: please report it"
            )
