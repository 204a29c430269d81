"""Several scripts of `redoxa run --scripts`: which, in what order, and what became of each."""

import argparse
import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cid_store.encoding import NodeLike, decode, encode
from cid_store.errors import RedoxaError
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._doing import CANNOT_RECORD, exit_code_of, result_of
from ring2_orchestrator.commands._scripts import learn, scripts_named
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import one_line, printing, seconds_text
from ring2_orchestrator.runs.answer import answer_of
from ring2_orchestrator.runs.asked import Asked
from ring2_orchestrator.runs.environment import given_environment
from ring2_orchestrator.runs.marks import Marks, forget_marks
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.round import Round, Script, Told
from ring2_orchestrator.steering.several import Several
from ring2_orchestrator.writing import write_all

if TYPE_CHECKING:
    from ring2_orchestrator.runs.result import RunResult

SCHEMA = "redoxa.round/1"
_BRIEF_S = 0.0005


def run_scripts(
    words: Sequence[str], asked: Asked, args: argparse.Namespace, context: Context
) -> int:
    """Run all scripts that the words name; the exit code is that of the first that failed."""
    scripts = scripts_named(words)
    if args.dry_run:
        from ring2_orchestrator.commands._asking import dry_run  # noqa: PLC0415 - if asked for

        return dry_run([script.command for script in scripts], args, context)
    several = Several.unknown(len(scripts)) if asked.plain else learn(scripts, context)
    return go_round(scripts, several, asked, args, context)[1]


def go_round(
    scripts: Sequence[Script],
    several: Several,
    asked: Asked,
    args: argparse.Namespace,
    context: Context,
) -> tuple[Round, int]:
    """Run them all and tell of it; the round as it went, and its exit code."""
    _load()
    telling = _Telling(scripts, several, args, context)
    going = Round(
        scripts,
        width=args.jobs,
        fail_fast=args.fail_fast,
        act=lambda script, again: _act(script, asked, context, again=again),
        read=_read,
        show=telling.show,
        say=telling.say,
        status=telling.status,
        rank=None if args.as_named or args.jobs == 1 else several.rank,
        fits=several.fits,
    )
    going.run()
    code = _exit_code(going)
    telling.sum_up(going, code)
    return going, code


def _load() -> None:
    """Once for all, what the process of each script would load by itself."""
    for name in ("runs.execute", "runs.observe", "runs.overlap", "runs.restore", "recorder.record"):
        importlib.import_module(f"ring2_orchestrator.{name}")


# In the process of one script.


def _act(script: Script, asked: Asked, context: Context, *, again: bool) -> bytes:
    """Run it, and tell what became of it; one that comes again need not run where all holds."""
    if again and not asked.plain and _holds(script, asked, context):
        return encode({"again": False})
    if again:
        asked = asked._replace(reuse=True, verify=0.0)
    try:
        result = result_of(script.command, asked, context)
    except RedoxaError as error:
        context.report.refuse(error)
        result = error.exit_code
    except KeyboardInterrupt:
        result = 130
    if isinstance(result, int):
        return encode({"exit_code": result})
    marks = _marks_of(result, context)
    return encode(
        {
            "answer": cast("NodeLike", answer_of(script.command, result)),
            "exit_code": exit_code_of(result),
            "marks": None if marks is None else cast("NodeLike", marks.lists_of_bytes()),
            "wrote": not result.reused or result.restored > 0,
        }
    )


def _holds(script: Script, asked: Asked, context: Context) -> bool:
    """Whether what it did still stands, and would be done again."""
    with context.open_home() as home:
        decision = Memo(home).decide(
            script.command,
            cwd=Path.cwd(),
            env=given_environment(),
            cache_failures=asked.cache_failures,
            network=asked.network,
        )
    return decision.reuse and not decision.stale


def _marks_of(result: "RunResult", context: Context) -> Marks | None:
    """What it read and wrote; of one that left no trace it is kept for the next round."""
    touched = None if result.touched is None else Marks.of_touched(result.touched)
    if result.trace is None and touched is None:
        return None
    with suppress(RedoxaError), Home(context.home_path) as home:
        roots = Roots.around(Path.cwd(), given_environment())
        if result.trace is None and touched is not None:
            touched.within(roots).remember(home.store, result.subject)
        elif result.trace is not None:
            forget_marks(home.store, result.subject)
            return Marks.of_kept(home.store, result.trace, roots)
    return touched


# Back in our own.


def _read(answer: bytes, status: int) -> Told:
    """What the process of a script told."""
    if not answer:
        return Told(CANNOT_RECORD if status >= 0 else 128 - status, wrote=True)
    node = cast("dict[str, object]", decode(answer))
    if not node.get("again", True):
        return Told(0, again=False)
    marks = node.get("marks")
    return Told(
        cast("int", node["exit_code"]),
        cast("Mapping[str, object] | None", node.get("answer")),
        None if marks is None else Marks.from_lists(cast("Mapping[str, bytes]", marks)),
        wrote=node.get("wrote", True) is True,
    )


def _exit_code(going: Round) -> int:
    if going.interrupted_by is not None:
        return 128 + going.interrupted_by
    codes = (script.told.exit_code for script in going.scripts if script.told is not None)
    return next((code for code in codes if code), 0)


def outcome_of(script: Script) -> str:
    """One stable word for how it went."""
    if script.skipped_for is not None:
        return "skipped"
    if script.told is None:
        return "not started"
    if script.told.answer is None:
        return "failed"
    verdict = str(script.told.answer["verdict"])
    return "failed" if script.told.exit_code and verdict != "reused" else verdict


class _Telling:
    """What a person is told of a round: a line for each script, and a table at the end."""

    def __init__(
        self,
        scripts: Sequence[Script],
        several: Several,
        args: argparse.Namespace,
        context: Context,
    ) -> None:
        self._scripts, self._several = scripts, several
        self._report = context.report
        self._done = 0
        self._line_shown = False
        live = args.jobs > 1 and not (context.report.quiet or context.report.json)
        self._live = live and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, stream: int, data: bytes) -> None:
        """What a script printed, to the stream it printed it to."""
        self._clear()
        with printing("standard output" if stream == 1 else "standard error"):
            write_all(stream, data)

    def say(self, at: int, told: Told) -> None:
        """One script has ended."""
        self._clear()
        script = self._scripts[at]
        self._done += script.runs == 1
        if told.answer is not None:
            message = str(told.answer["message"])
        else:
            message = f"not run (exit code {told.exit_code})"
        again = ", again after what it reads" if script.runs > 1 else ""
        if not self._report.json:
            self._report.say(f"[{self._done}/{len(self._scripts)}] {script.name}{again}: {message}")

    def status(self, running: Iterable[int]) -> None:
        """On a terminal, one line that tells which are going on."""
        if not self._live:
            return
        names = ", ".join(self._scripts[at].name for at in sorted(running))
        width = os.get_terminal_size(2).columns - 1
        text = one_line(f"[{self._done}/{len(self._scripts)}] running: {names}")[: max(width, 20)]
        write_all(2, b"\r" + text.encode("utf-8", "replace") + b"\x1b[K")
        self._line_shown = True

    def _clear(self) -> None:
        if self._line_shown:
            write_all(2, b"\r\x1b[K")
            self._line_shown = False

    def sum_up(self, going: Round, code: int) -> None:
        """The table, what was found out about the order, and one line that counts."""
        self._clear()
        outcomes = [outcome_of(script) for script in going.scripts]
        if self._report.json:
            self._report.data_aside(_as_json(going, self._several, outcomes, code))
            return
        for line in _table(going.scripts, outcomes):
            self._report.say(line)
        for line in _findings(going):
            self._report.say(line)
        counted = ", ".join(
            f"{outcomes.count(word):,} {called}"
            for word, called in _CALLED.items()
            if word in outcomes or word in ("ran", "reused", "failed")
        )
        noun = "script" if len(outcomes) == 1 else "scripts"
        self._report.say(
            f"{len(outcomes):,} {noun}: {counted}; {_seconds(_saved(going.scripts))} saved"
            + ("; interrupted" if going.interrupted_by is not None else "")
        )


_CALLED = {
    "ran": "run", "reused": "reused", "failed": "failed", "drifted": "drifted",
    "skipped": "skipped", "not started": "not started",
}  # fmt: skip


def _table(scripts: Sequence[Script], outcomes: Sequence[str]) -> list[str]:
    rows = [("script", "outcome", "took", "saved")]
    for script, outcome in zip(scripts, outcomes, strict=True):
        code = script.told.exit_code if script.told is not None else 0
        rows.append(
            (
                one_line(script.name),
                f"{outcome} {code}" if code else outcome,
                _seconds(_number(script, "wall_s")) if script.told is not None else "",
                _seconds(_number(script, "saved_s")) if outcome == "reused" else "",
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    return [
        f"{name:{widths[0]}}  {outcome:{widths[1]}}  {took:>{widths[2]}}  {saved:>8}".rstrip()
        for name, outcome, took, saved in rows
    ]


def _findings(going: Round) -> list[str]:
    scripts, order = going.scripts, going.order
    lines = [
        f"{script.name} was not run: it reads what {scripts[script.skipped_for].name} writes "
        f"({shown(order.needs[at].get(script.skipped_for, b'?'))}), which failed"
        for at, script in enumerate(scripts)
        if script.skipped_for is not None
    ]
    lines += [
        f"{_listed([scripts[at].name for at in cycle])} read what each other write; "
        "they were run in the order in which they were named"
        for cycle in order.cycles
    ]
    lines += [
        f"{scripts[one].name} and {scripts[other].name} both write {shown(path)}; "
        f"what is left is {scripts[other].name}'s"
        for one, other, path in order.shared
    ]
    return lines


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _as_json(
    going: Round, several: Several, outcomes: Sequence[str], code: int
) -> dict[str, object]:
    scripts = going.scripts
    return {
        "cycles": [[scripts[at].name for at in cycle] for cycle in going.order.cycles],
        "exit_code": code,
        "interrupted": going.interrupted_by is not None,
        "saved_s": _saved(scripts),
        "schema": SCHEMA,
        "scripts": [
            {
                "after": [scripts[each].name for each in sorted(going.order.before[at])],
                "began_s": _since(going, script.began_ns, script),
                "ended_s": _since(going, script.ended_ns, script),
                "expected_s": several.expected[at].seconds,
                "exit_code": None if script.told is None else script.told.exit_code,
                "name": script.name,
                "outcome": outcome,
                "run": None if script.told is None else script.told.answer,
                "runs": script.runs,
            }
            for at, (script, outcome) in enumerate(zip(scripts, outcomes, strict=True))
        ],
        "shared": [
            {"path": shown(path), "scripts": [scripts[one].name, scripts[other].name]}
            for one, other, path in going.order.shared
        ],
    }


def _since(going: Round, time_ns: int, script: Script) -> float | None:
    return None if script.told is None else (time_ns - going.began_ns) / 1e9


def _saved(scripts: Sequence[Script]) -> float:
    return sum(_number(script, "saved_s") for script in scripts)


def _number(script: Script, key: str) -> float:
    answer = None if script.told is None else script.told.answer
    value = 0.0 if answer is None else answer.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _seconds(seconds: float) -> str:
    if abs(seconds) < _BRIEF_S:
        return "0 s"
    return f"{'-' if seconds < 0 else ''}{seconds_text(abs(seconds))}"
