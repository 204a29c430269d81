"""Write a recorded run as one archive that can be run again elsewhere, and says what differs.

It holds what the run saw in its own folders, what it left and printed, its command and its
environment, and a program that needs nothing but Python 3. Secrets stay here. Files of the system
are left out and listed with their digests; --with-system takes them along.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cid_store.errors import InputError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._runs import RUN_HELP, command_text
from ring2_orchestrator.runs.environment import given_environment

if TYPE_CHECKING:
    from ring2_orchestrator.replaying.bundle import Bundler
    from ring2_orchestrator.runs.past import Run

EXAMPLES: Sequence[str] = (
    "redoxa export @ -o run.tar",
    "redoxa export 5f3a09 -o run.tar --with-system",
    "tar xf run.tar && ./run-5f3a09c1d2/replay",
)
SCHEMA = "redoxa.export/1"
_MOST_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which run, and where to."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the tar file to write"
    )
    parser.add_argument(
        "--with-system",
        action="store_true",
        help="with every file that the run read: programs, libraries, the system's settings",
    )
    parser.add_argument(
        "--anyway", action="store_true", help="write it even if something cannot be re-created"
    )
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)


def run(args: argparse.Namespace, context: Context) -> int:
    """Write the archive. Raises InputError where what the run saw is not to be had any more."""
    from ring2_orchestrator.replaying.archive import write_archive  # noqa: PLC0415 - start-up
    from ring2_orchestrator.replaying.bundle import Bundler, Wanted  # noqa: PLC0415
    from ring2_orchestrator.runs.scratch import scratch_folder  # noqa: PLC0415
    from ring2_orchestrator.runs.which import find_run  # noqa: PLC0415

    output = cast("Path", args.output)
    if output.is_dir():
        raise InputError(f"{output} is a directory; name the file to write")
    wanted = Wanted(elsewhere=True, whole=args.with_system)
    with context.open_home() as home, scratch_folder(home.path) as folder:
        found = find_run(home, args.run)
        bundler = Bundler(home, found, folder, env=given_environment(), wanted=wanted)
        bundler.make()
        if bundler.lacks and not args.anyway:
            _refuse(context, found, bundler.lacks)
        name = f"run-{found.short}"
        readme = _readme(found, bundler, whole=args.with_system)
        size = write_archive(folder, output, name=name, readme=readme)
    context.report.data(
        {
            "id": found.id,
            "lacks": bundler.lacks,
            "name": name,
            "notes": bundler.notes,
            "path": os.fspath(output),
            "schema": SCHEMA,
            "size_bytes": size,
            "system": bundler.left_out,
        }
    )
    context.report.line(f"wrote {output}: {size:,} bytes; tar xf {output} && ./{name}/replay")
    for line in (*bundler.lacks, *bundler.notes):
        context.report.line(f"  {line}")
    if bundler.left_out:
        context.report.line(
            f"  {len(bundler.left_out):,} files of the system are not in it, and must be the same "
            "where it is run; --with-system takes them along"
        )
    return 0


def _refuse(context: Context, found: "Run", lacks: Sequence[str]) -> None:
    for line in lacks[1:_MOST_SHOWN]:
        context.report.say(f"  {line}")
    more = f", and {len(lacks) - 1} more" if len(lacks) > 1 else ""
    raise InputError(
        f"run {found.short} cannot be re-created: {lacks[0]}{more}; --anyway exports what there is"
    )


def _readme(found: "Run", bundler: "Bundler", *, whole: bool) -> str:
    """What a stranger reads who gets the archive."""
    lines = [
        "One recorded run, to be run again",
        "",
        f"    {command_text(found.command)}",
        "",
        "./replay runs it in a scratch folder, in namespaces of its own where the system allows",
        "that, and says whether it prints and leaves the same. It needs Python 3.8 or later, and",
        "Linux for the namespaces. The exit code is 0 if all is the same, 1 if not, 3 if the run",
        "cannot be re-created here; ./replay --anyway runs it all the same, ./replay --json gives",
        "the answer for programs.",
        "",
        "It runs the command above. Run it only if you would run that.",
        "",
        "run.json says what the run saw and left, objects/ holds the contents by their SHA-256",
        "digest, program/ compares.",
    ]
    if bundler.lacks or bundler.notes:
        lines += ["", "What is not as it was:", "", *(f"- {it}" for it in bundler.lacks)]
        lines += [f"- {note}" for note in bundler.notes]
    if whole:
        lines += [
            "",
            "The files of the system that the run read are in here; their licences apply.",
        ]
    elif bundler.left_out:
        lines += ["", "Files that are not in here, and must be the same where it is run:", ""]
        lines += [f"    {digest}  {path}" for path, digest in bundler.left_out.items()]
    return "\n".join(lines) + "\n"
