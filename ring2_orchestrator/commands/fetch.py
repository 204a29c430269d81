"""Load an address over HTTP or HTTPS into the store, or use what is kept of it where that holds.

Fresh answers are used as they are; others are asked for again by their validators. What breaks off
is kept and gone on with next time, and never put together from two versions. Only the address's
own host is asked, and private addresses only where --allow grants them.
"""

import argparse
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from cid_store.cid import Cid
from cid_store.errors import UsageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._fetching import (
    add_fetch_arguments,
    load_wish,
    probe_json,
    wish_in,
)
from ring2_orchestrator.commands._files import STREAM, add_output, check_stream, open_output
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from ring2_orchestrator.home import Home
    from ring2_orchestrator.probing import Loaded

EXAMPLES: Sequence[str] = (
    "redoxa fetch https://example.org/data.csv -o data.csv",
    "redoxa fetch https://example.org/data.csv --offline -o - | head",
    "redoxa fetch https://example.org/a.tar.gz --expect sha256:0f1e... --allow cdn.example.org",
    "redoxa fetch http://127.0.0.1:8000/x --allow 127.0.0.1:8000",
    "redoxa fetch https://example.org/data.csv --forget",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is to be loaded, on what terms, and where to."""
    parser.add_argument("url", metavar="URL", help="an http or https address")
    add_output(parser, "FILE", "nowhere: it is kept in the store, and its CID is said")
    add_fetch_arguments(parser)
    parser.add_argument(
        "--forget", action="store_true", help="drop what is kept of the address, and ask nobody"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Load it; 3 where it is not to be had."""
    output = cast("Path | None", args.output)
    if output == STREAM:
        check_stream(json=context.report.json)
    if args.force and output is None:
        raise UsageError("--force replaces an output; name it with -o")
    if args.forget and output is not None:
        raise UsageError("--forget loads nothing that could be written; leave -o out")
    wish = wish_in(args, args.url)
    with context.open_home() as home:
        if args.forget:
            return _forget(args, home, context)
        loaded = load_wish(home, wish, context.report)
        probe = loaded.probe
        if loaded.file is not None:
            with loaded.file:
                _write(loaded, home, output, args)
        elif probe.exit_code == 0:
            _write(loaded, home, output, args)
        context.report.data(
            {**probe_json(loaded), "output": None if output is None else str(output)}
        )
    return _say(loaded, output, context)


def _forget(args: argparse.Namespace, home: "Home", context: Context) -> int:
    from ring2_orchestrator.probing import open_fetcher  # noqa: PLC0415 - start-up

    found = open_fetcher(home).forget(wish_in(args, args.url))
    context.report.say("forgotten" if found else "nothing was kept of that address")
    context.report.data({"forgotten": found, "schema": "redoxa.fetch/1"})
    return 0


def _write(loaded: "Loaded", home: "Home", output: "Path | None", args: argparse.Namespace) -> None:
    if output is None:
        return
    from pathlib import Path  # noqa: PLC0415 - start-up

    with open_output(output, Path(args.url), force=args.force) as out:
        _copy(loaded, home, out)


def _copy(loaded: "Loaded", home: "Home", out: "IO[bytes]") -> None:
    if loaded.file is not None:
        shutil.copyfileobj(loaded.file, out)
        return
    for block in home.store.get_stream(cast("Cid", loaded.probe.cid)):
        out.write(block)


def _say(loaded: "Loaded", output: "Path | None", context: Context) -> int:
    probe, report = loaded.probe, context.report
    if probe.exit_code:
        report.warn(f"{probe.target}: {probe.reason}")
        if probe.cid is not None:
            report.say(f"{size_text(probe.size_bytes)} are kept; the same command goes on there")
        return probe.exit_code
    report.say(f"{probe.target}: {size_text(probe.size_bytes)}, {probe.reason}")
    if probe.cid is None and output is None:
        report.warn("nothing may be kept of it; -o FILE writes it")
        return 1
    if output is None:
        report.line(str(probe.cid))
    elif output != STREAM:
        report.say(f"wrote {output}")
    return 0
