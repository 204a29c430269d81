"""Rebuild the file a container holds, checked.

The output takes its name only after its hash was found to be the one the container states.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ring2_orchestrator.commands._files import (
    STREAM,
    add_output,
    open_input,
    open_output,
    output_path,
)

if TYPE_CHECKING:
    from ring2_orchestrator.commands import Context

EXAMPLES = (
    "redoxa unpack samples.rdx -o samples.i16",
    "redoxa unpack samples.i16.rdx",
    "redoxa unpack - -o - < in.rdx | consumer",
)

_SUFFIX = ".rdx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The container, and where to put what it holds."""
    parser.add_argument(
        "file", type=Path, metavar="IN.rdx", help="the container; '-' is standard input"
    )
    add_output(parser, "FILE", "IN.rdx without '.rdx'")


def run(args: argparse.Namespace, context: "Context") -> int:
    """Unpack one container; 0 when its file stands."""
    from cid_store.cid import Cid, Codec  # noqa: PLC0415 - start-up
    from ring2_orchestrator.container import Container, check_room  # noqa: PLC0415 - start-up
    from ring2_orchestrator.packing import unpack  # noqa: PLC0415 - start-up
    from ring2_orchestrator.report import size_text  # noqa: PLC0415 - start-up
    from ring2_orchestrator.toolbox import open_toolbox  # noqa: PLC0415 - start-up

    output = output_path(args.output, args.file, _default, json=context.report.json)
    with (
        open_input(args.file) as source,
        open_output(output, args.file, force=args.force) as out,
        open_toolbox() as tools,
    ):
        container = Container(source, tools.kernels)
        if output != STREAM:
            check_room(output.absolute().parent, container.header.length)
        written = unpack(container, out, tools)
    context.report.say(f"{args.file}: {size_text(written)} verified; wrote {output}")
    context.report.data(
        {
            "file": str(args.file),
            "output": str(output),
            "original": str(Cid(Codec.RAW, container.header.digest)),
            "original_bytes": written,
        }
    )
    return 0


def _default(path: Path) -> Path | None:
    return path.with_suffix("") if path.suffix == _SUFFIX else None
