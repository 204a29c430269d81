"""Load an address, or run a script or reuse its results, and say in the same words what came of it.

An address is what begins with http:// or https://; all else is a script, and the words after it are
its own. What a script prints goes to standard output, and the probe to standard error.
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cid_store.errors import UsageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._fetching import (
    add_fetch_arguments,
    check_words,
    load_wish,
    probe_json,
    wish_in,
)
from ring2_orchestrator.report import seconds_text, size_text

if TYPE_CHECKING:
    from ring2_orchestrator.probe import Probe

EXAMPLES: Sequence[str] = (
    "redoxa probe https://example.org/data.csv",
    "redoxa probe --offline --json https://example.org/data.csv",
    "redoxa probe clean.py data.csv",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is to be loaded or run."""
    add_fetch_arguments(parser)
    parser.add_argument("target", metavar="URL|SCRIPT", help="an address, or a script")
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="WORD", help="what the script is given"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Probe it; the exit code of the script, or 3 where an address is not to be had."""
    if args.target.lower().startswith(("http://", "https://")):
        return _address(args, context)
    check_words(args)
    return _script(args, context)


def _address(args: argparse.Namespace, context: Context) -> int:
    if args.words:
        raise UsageError("an address takes no further words; put the options in front of it")
    wish, report = wish_in(args, args.target), context.report
    with context.open_home() as home:
        loaded = load_wish(home, wish, report)
    if loaded.file is not None:
        loaded.file.close()
    probe = loaded.probe
    for name, value in _lines(probe):
        report.parts((f"{name:<11}", "dim"), (value, None))
    for step in probe.provenance:
        report.parts((f"{'from':<11}", "dim"), (step, None))
    report.data(probe_json(loaded))
    return probe.exit_code


def _script(args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.probing import Loaded, probe_local  # noqa: PLC0415 - start-up

    with context.open_home() as home:
        probe = probe_local(home, args.target, args.words)
    for name, value in _lines(probe):
        context.report.say(f"{name} {value}")
    context.report.data_aside(probe_json(Loaded(probe)))
    return probe.exit_code


def _lines(probe: "Probe") -> list[tuple[str, str]]:
    return [
        ("realm", probe.realm.value),
        ("cid", "-" if probe.cid is None else str(probe.cid)),
        ("size", size_text(probe.size_bytes)),
        ("moved", size_text(probe.moved_bytes)),
        ("latency", seconds_text(probe.latency_s)),
        ("jitter", seconds_text(probe.jitter_s)),
        ("retries", f"{probe.retries:,}"),
        ("reason", probe.reason),
    ]
