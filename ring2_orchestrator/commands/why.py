"""Say what a run depends on and what prevents its reuse.

The exit code is 0 when the command would be reused now, and 1 when it would run.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError, UsageError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._moving import add_moving, moving_in
from ring2_orchestrator.commands._net import add_net_arguments, policy_in
from ring2_orchestrator.runs.environment import given_environment

if TYPE_CHECKING:
    from ring2_orchestrator.report import Report
    from ring2_orchestrator.runs.why import Explanation

EXAMPLES: Sequence[str] = (
    "redoxa why clean.py data.csv",
    "redoxa why -- make -j2",
    "redoxa why --all -- make -j2",
    "redoxa why --net=record --net-allow example.org -- ./fetch.sh",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A script with its arguments, or a command after `--`."""
    parser.add_argument("--all", action="store_true", help="name every input and output")
    parser.add_argument(
        "--cache-failures",
        action="store_true",
        help="answer for a run with --cache-failures",
    )
    add_moving(parser)
    add_net_arguments(parser)
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="SCRIPT [ARGS] | -- COMMAND",
        help="what was run: a script, or a command after --",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Explain; 0 when the command would be reused, 1 when it would run."""
    from ring2_orchestrator.runs.why import explain  # noqa: PLC0415 - start-up is performance

    command = _command(args.words)
    with context.open_home(to_read=True) as home:
        found = explain(
            command,
            home=home,
            cwd=Path.cwd(),
            env=given_environment(),
            cache_failures=args.cache_failures,
            moving=moving_in(args),
            network=policy_in(args),
        )
    if found.trace is None and found.last is None:
        _require_program(command)
    context.report.data(_as_json(command, found, everything=args.all))
    _tell(context.report, found, everything=args.all)
    return 0 if found.reusable else 1


def _command(words: Sequence[str]) -> list[str]:
    from ring2_orchestrator.runs.errors import (  # noqa: PLC0415
        NoSuchCommandError,
        NotExecutableError,
    )
    from ring2_orchestrator.runs.script import script_command  # noqa: PLC0415

    if not words:
        raise UsageError("nothing to explain; name a script, or a command after --")
    if words[0] == "--":
        if not words[1:]:
            raise UsageError("no command after --; name one, as in: redoxa why -- make")
        return list(words[1:])
    try:
        return script_command(words[0], words[1:])
    except (NoSuchCommandError, NotExecutableError) as error:
        # Nothing is run here, so the exit code is that of any input that cannot be used.
        raise InputError(str(error)) from error


def _require_program(command: Sequence[str]) -> None:
    """Raise InputError where a command that never ran could not run either."""
    from ring2_orchestrator.runs.errors import (  # noqa: PLC0415
        NoSuchCommandError,
        NotExecutableError,
    )
    from ring2_orchestrator.runs.program import find_program  # noqa: PLC0415

    try:
        find_program(command, cwd=Path.cwd(), env=given_environment())
    except (NoSuchCommandError, NotExecutableError) as error:
        raise InputError(str(error)) from error


def _tell(report: "Report", found: "Explanation", *, everything: bool) -> None:
    would = "be reused" if found.reusable else "run"
    report.line(f"would {would}: {found.reason}")
    if found.decision.elsewhere:
        report.line(found.decision.elsewhere)
    for change in found.changed:
        report.line(f"  {change.path}: {change.was} -> {change.now}")
    if found.trace is None:
        return
    _tell_dependencies(report, found, everything=everything)


def _tell_dependencies(report: "Report", found: "Explanation", *, everything: bool) -> None:
    from ring2_orchestrator.runs.why import dependencies, made  # noqa: PLC0415

    assert found.trace is not None, "the caller has looked"
    rows = dependencies(found.trace)
    counts = Counter(word for word, _ in rows)
    # What was missing has nothing to be told by.
    parts = ", ".join(
        f"{number:,} {'' if word.startswith('missing') else 'by '}{word}"
        for word, number in counts.items()
    )
    report.line(f"depends on {_count(len(rows), 'path')}: {parts}")
    if everything:
        for word, path in rows:
            report.line(f"  {word}: {path}")
    outputs = made(found.trace)
    report.line(f"leaves {_count(len(outputs), 'output')}")
    if everything:
        for word, path in outputs:
            report.line(f"  {word}: {path}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _as_json(
    command: Sequence[str], found: "Explanation", *, everything: bool
) -> dict[str, object]:
    from ring2_orchestrator.runs.why import dependencies, made  # noqa: PLC0415

    decision, trace = found.decision, found.trace
    answer: dict[str, object] = {
        "changed": [change._asdict() for change in found.changed],
        "command": list(command),
        "elsewhere": decision.elsewhere,
        "from": found.origin,
        "known_runs": decision.known,
        "last_run": None if found.last is None else found.last.as_json(),
        "prevented_by": [{"detail": text, "kind": kind} for kind, text in found.prevented_by],
        "reason": found.reason,
        "reusable": decision.reuse,
        "subject": decision.subject,
        "trace": None if decision.trace is None else str(decision.trace),
    }
    if everything and trace is not None:
        answer["inputs"] = [{"path": path, "use": word} for word, path in dependencies(trace)]
        answer["outputs"] = [{"path": path, "what": word} for word, path in made(trace)]
    return answer
