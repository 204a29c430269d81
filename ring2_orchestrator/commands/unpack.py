"""Rebuild the file or the directory a container holds, checked.

The output takes its name only after its hash was found to be the one the container states.
"""

import argparse
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.commands._files import (
    STREAM,
    add_output,
    ended_tidily,
    open_input,
    open_output,
    output_path,
)

if TYPE_CHECKING:
    from ring2_orchestrator.commands import Context
    from ring2_orchestrator.container import Container
    from ring2_orchestrator.toolbox import Toolbox

EXAMPLES = (
    "redoxa unpack samples.rdx -o samples.i16",
    "redoxa unpack samples.i16.rdx",
    "redoxa unpack - -o - < in.rdx | consumer",
    "redoxa unpack samples.rdx -o part --range 1000000:1004096",
)

_SUFFIX = ".rdx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The container, and where to put what it holds."""
    parser.add_argument(
        "file", type=Path, metavar="IN.rdx", help="the container; '-' is standard input"
    )
    add_output(parser, "FILE", "IN.rdx without '.rdx'")
    parser.add_argument(
        "--range",
        type=_range,
        metavar="START:END",
        help="only these bytes of the file, from START up to END; the blocks that hold them are "
        "decoded and checked, and no others",
    )
    parser.add_argument(
        "--allow-foreign-kernels",
        action="store_true",
        help="run kernels that the container brings itself, in a sandbox: code of whoever made it",
    )


@ended_tidily()
def run(args: argparse.Namespace, context: "Context") -> int:
    """Unpack one container; 0 when its file stands."""
    from cid_store.cid import Cid, Codec  # noqa: PLC0415 - start-up
    from ring2_orchestrator.container import Container, Contents, check_room  # noqa: PLC0415 - start-up
    from ring2_orchestrator.packing import unpack  # noqa: PLC0415 - start-up
    from ring2_orchestrator.report import size_text  # noqa: PLC0415 - start-up
    from ring2_orchestrator.toolbox import open_toolbox  # noqa: PLC0415 - start-up

    if args.range is not None and args.output is None:
        raise UsageError("a range is not the whole file; name where it goes with -o")
    output = output_path(args.output, args.file, _default, json=context.report.json)
    with open_input(args.file) as source, open_toolbox(own_process=True) as tools:
        container = Container(source, tools.kernels, allow_foreign=args.allow_foreign_kernels)
        if container.header.contents is Contents.TREE:
            return _directory(container, output, args, tools, context)
        wanted = _wanted(args.range, container)
        with open_output(output, args.file, force=args.force) as out:
            if output != STREAM:
                check_room(output.absolute().parent, len(wanted))
            written = unpack(container, out, tools, None if args.range is None else wanted)
    context.report.say(f"{args.file}: {size_text(written)} verified; wrote {output}")
    context.report.data(
        {
            "file": str(args.file),
            "output": str(output),
            "original": str(Cid(Codec.RAW, container.header.digest)),
            "original_bytes": container.header.length,
            "range": [wanted.start, wanted.stop],
        }
    )
    return 0


def _directory(
    container: "Container",
    output: Path,
    args: argparse.Namespace,
    tools: "Toolbox",
    context: "Context",
) -> int:
    """Make the directory that the container holds, once all of it was verified."""
    from cid_store.cid import Cid, Codec  # noqa: PLC0415 - start-up
    from ring2_orchestrator.container import check_room  # noqa: PLC0415 - start-up
    from ring2_orchestrator.directories import restore  # noqa: PLC0415 - start-up
    from ring2_orchestrator.packing import unpack  # noqa: PLC0415 - start-up
    from ring2_orchestrator.report import size_text  # noqa: PLC0415 - start-up

    if output == STREAM or args.range is not None:
        raise UsageError(f"{args.file} holds a directory; name where it goes with -o, as a whole")
    with tempfile.TemporaryFile() as file:
        check_room(Path(tempfile.gettempdir()), container.header.length)
        unpack(container, file, tools)
        totals = restore(file, str(args.file), output, force=args.force)
    context.report.say(
        f"{args.file}: {totals.entries:,} entries, {size_text(totals.size_bytes)} verified; "
        f"wrote {output}"
    )
    context.report.data(
        {
            "file": str(args.file),
            "output": str(output),
            "original": str(Cid(Codec.RAW, container.header.digest)),
            "original_bytes": container.header.length,
            "entries": totals.entries,
            "size_bytes": totals.size_bytes,
        }
    )
    return 0


def _range(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"(\d{0,19}):(\d{0,19})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of bytes: write START:END")
    begin, end = (int(part) if part else None for part in match.groups())
    return begin, end


def _wanted(given: tuple[int | None, int | None] | None, container: "Container") -> range:
    """The bytes that are asked for. Raises InputError where the original has no such bytes."""
    length = container.header.length
    begin, end = given if given is not None else (None, None)
    wanted = range(begin or 0, length if end is None else end)
    if not 0 <= wanted.start <= wanted.stop <= length:
        raise InputError(
            f"{container.source.name} holds {length:,} bytes, and none from {wanted.start:,} "
            f"to {wanted.stop:,}; give --range within that"
        )
    return wanted


def _default(path: Path) -> Path | None:
    return path.with_suffix("") if path.suffix == _SUFFIX else None
