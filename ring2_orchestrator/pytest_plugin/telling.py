"""How the tests of each file ended, told to pytest as if they had run in this process."""

import os
import signal
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import pytest

from ring2_orchestrator.pytest_plugin.results import Line, Seen, tests_in
from ring2_orchestrator.pytest_plugin.suite import Done

if TYPE_CHECKING:
    from ring2_orchestrator.runs.why import Explanation

_ORDINARY = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
_PHASES_OF_A_SKIP: tuple[tuple[Literal["setup", "teardown"], Literal["skipped", "passed"]], ...] = (
    ("setup", "skipped"),
    ("teardown", "passed"),
)
_MOST_CHANGES = 5


class Telling:
    """Replays reports, and keeps count for the summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._skipped: list[tuple[Path, int, float]] = []
        self._ran: list[tuple[Path, Done]] = []
        self._broken = 0
        self._code = 0

    def tell(self, file: Path, done: Done, session: pytest.Session) -> None:
        """Every test of a file, to all plugins."""
        self._without_progress()
        if done.since is not None:
            tests = tests_in(done.lines)
            self._skipped.append((file, len(tests), done.saved_s))
            for test in tests:
                self._tell_skipped(file, test, done.since)
            session.testscollected += sum(not test.collector for test in tests)
            self._tell_deselected(done.lines)
            return
        self._ran.append((file, done))
        for line in done.lines:
            self._replay(line, session)
            if session.shouldfail:
                return
        self._judge_end(file, done)

    # A file that was skipped.

    def _tell_skipped(self, file: Path, test: Seen, since: str) -> None:
        then = "" if test.outcome == "passed" else f" ({test.outcome} then)"
        longrepr = (str(file), test.location[1] or 0, f"Skipped: {since}{then}")
        hook = self._config.hook
        if test.collector:
            report = pytest.CollectReport(test.nodeid, "skipped", longrepr, [])
            hook.pytest_collectreport(report=report)
            return
        hook.pytest_runtest_logstart(nodeid=test.nodeid, location=test.location)
        # The mark lets the summary show one line for a file.
        keywords: dict[str, Literal[1]] = {"skip": 1}
        for when, outcome in _PHASES_OF_A_SKIP:
            words = longrepr if outcome == "skipped" else None
            report = pytest.TestReport(test.nodeid, test.location, keywords, outcome, words, when)
            hook.pytest_runtest_logreport(report=report)
        hook.pytest_runtest_logfinish(nodeid=test.nodeid, location=test.location)

    def _tell_deselected(self, lines: Iterable[Line]) -> None:
        for kind, values in lines:
            if kind == "deselected":
                self._count_deselected(cast("int", values["count"]))

    # A file that ran.

    def _replay(self, line: Line, session: pytest.Session) -> None:
        kind, values = line
        hook = self._config.hook
        if kind in ("start", "finish"):
            where = tuple(cast("Sequence[object]", values["location"]))
            tell = (
                hook.pytest_runtest_logstart if kind == "start" else hook.pytest_runtest_logfinish
            )
            tell(nodeid=values["nodeid"], location=where)
        elif kind in ("report", "collect"):
            data = _with_tuples(cast("Mapping[str, object]", values["data"]))
            report = hook.pytest_report_from_serializable(config=self._config, data=data)
            if kind == "report":
                hook.pytest_runtest_logreport(report=report)
            else:
                self._broken += report.failed
                hook.pytest_collectreport(report=report)
        elif kind == "warning":
            self._warn(values)
        elif kind == "deselected":
            self._count_deselected(cast("int", values["count"]))
        elif kind == "end":
            session.testscollected += cast("int", values["tests"])

    def _warn(self, values: Mapping[str, object]) -> None:
        where = cast("Sequence[object] | None", values["location"])
        # Only its name is shown, so the class of that name will do for one that is not here.
        category = type(str(values["category"]), (Warning,), {})
        message = warnings.WarningMessage(
            category(values["message"]),
            category,
            str(values["file"]),
            cast("int", values["line"]),
        )
        self._config.hook.pytest_warning_recorded.call_historic(
            kwargs={
                "warning_message": message,
                "when": values["when"],
                "nodeid": values["nodeid"],
                "location": None if where is None else tuple(where),
            }
        )

    def _count_deselected(self, count: int) -> None:
        if (reporter := self._reporter()) is not None:
            reporter.stats.setdefault("deselected", []).extend([None] * count)

    def _judge_end(self, file: Path, done: Done) -> None:
        """Stop where the file's session was stopped, and tell of a process that died."""
        name = os.path.relpath(file, self._config.invocation_params.dir)
        kinds = dict(done.lines)
        if "internal" in kinds:
            text = str(kinds["internal"]["text"])
            raise pytest.exit.Exception(f"{name} broke pytest:\n{text}", done.exit_code)
        if "stopped" in kinds:
            raise pytest.exit.Exception(f"{name}: {kinds['stopped']['reason']}", done.exit_code)
        if done.exit_code == pytest.ExitCode.USAGE_ERROR:
            raise pytest.exit.Exception(f"{name} could not be run", done.exit_code)
        if "end" not in kinds:
            self._tell_death(name, done)
        elif done.exit_code not in _ORDINARY:
            self._code = done.exit_code

    def _tell_death(self, name: str, done: Done) -> None:
        """A failed test where the process died, so that somebody looks."""
        nodeid, where = name, (name, None, name)
        for kind, values in done.lines:
            if kind == "start":
                nodeid = str(values["nodeid"])
                where = cast(
                    "tuple[str, int | None, str]", tuple(cast("list[object]", values["location"]))
                )
        words = f"the process of {name} ended within this test, {_ending(done.exit_code)}"
        report = pytest.TestReport(nodeid, where, {}, "failed", words, "call")
        self._config.hook.pytest_runtest_logreport(report=report)

    def stop_if_broken(self, session: pytest.Session) -> None:
        """End as pytest does where files could not be imported: with another exit code."""
        broken = self._broken or session.testsfailed * (not self._ran)
        if broken and not self._config.option.continue_on_collection_errors:
            noun = "error" if broken == 1 else "errors"
            raise session.Interrupted(f"{broken} {noun} during collection")

    def finish(self, session: pytest.Session) -> None:
        """Give the session the exit code that a plugin gave that of a file."""
        if self._code and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = self._code

    # Words.

    def show(self, output: Iterable[tuple[int, bytes]]) -> None:
        """What a file's process printed past pytest, to the streams it printed it to."""
        for stream, data in output:
            if (reporter := self._reporter()) is not None:
                reporter.ensure_newline()
                reporter.flush()
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(stream, rest) :]

    def explain(self, file: Path, found: "Explanation") -> None:
        """Whether a file would be skipped, and what changed."""
        name = os.path.relpath(file, self._config.invocation_params.dir)
        self._line(f"{name} would {'be skipped' if found.reusable else 'run'}: {found.reason}")
        for change in found.changed:
            self._line(f"  {change.path}: {change.was} -> {change.now}")

    def sum_up(self, reporter: "pytest.TerminalReporter") -> None:
        """A line that counts, one for each file that never can be skipped, and more with -v."""
        if not self._skipped and not self._ran:
            return
        tests = sum(count for _, count, _ in self._skipped)
        skipped = f"{_files(len(self._skipped))} skipped as unchanged ({_count(tests, 'test')})"
        reporter.write_line(f"redoxa: {skipped}, {_files(len(self._ran))} run")
        verbose = self._config.get_verbosity() > 0
        for file, done in self._ran:
            name = os.path.relpath(file, self._config.invocation_params.dir)
            if done.doubts:
                reporter.write_line(f"  {name} will run again: {done.doubts[0]}")
            elif verbose:
                reporter.write_line(f"  {name} ran: {done.reason}")
                for change in done.changed[:_MOST_CHANGES]:
                    reporter.write_line(f"    {change}")

    def _line(self, text: str) -> None:
        if (reporter := self._reporter()) is not None:
            reporter.write_line(text)

    def _reporter(self) -> "pytest.TerminalReporter | None":
        return self._config.pluginmanager.get_plugin("terminalreporter")

    def _without_progress(self) -> None:
        """How many tests there will be is not known, so no part of them can be shown as done."""
        if (reporter := self._reporter()) is not None:
            reporter._show_progress_info = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it has no other name


def _with_tuples(data: Mapping[str, object]) -> dict[str, object]:
    """A report's values as pytest makes them: JSON has lists alone."""
    found = dict(data)
    for name in ("location", "longrepr"):
        if isinstance(found.get(name), list):
            found[name] = tuple(cast("list[object]", found[name]))
    for name in ("sections", "user_properties"):
        found[name] = [tuple(pair) for pair in cast("list[list[object]]", found.get(name, ()))]
    return found


def _ending(code: int) -> str:
    try:
        return f"by {signal.Signals(code - 128 if code > 128 else -code).name}"
    except ValueError:
        return f"with exit code {code}"


def _files(number: int) -> str:
    return _count(number, "test file")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
