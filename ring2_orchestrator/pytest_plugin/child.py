"""In the process of one test file: everything is reported to a file in a private folder."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from warnings import WarningMessage

import pytest

from ring2_orchestrator.pytest_plugin import results

SHOWN = "REDOXA_PYTEST_SHOWN"


class Child:
    """Writes what a session's terminal would be told, and more, line by line."""

    def __init__(self, config: pytest.Config, folder: str) -> None:
        self._config = config
        self._folder = Path(folder)
        # What stands in brackets is a parameter, whatever it looks like.
        names = {arg.partition("[")[0].partition("::")[0] for arg in config.args}
        files = {Path(os.path.abspath(config.invocation_params.dir / name)) for name in names}  # noqa: PTH100 - as pytest does
        self._on_the_way = {path for file in files for path in (file, *file.parents)}
        self._clean = False
        self._file = (self._folder / results.NAME).open("x", encoding="utf-8")
        # How much a failure tells changes no test's end, so it does not count as an input.
        for name, value in json.loads(os.environ.pop(SHOWN, "{}")).items():
            setattr(config.option, name, value)
        manager = config.pluginmanager
        if (reporter := manager.get_plugin("terminalreporter")) is not None:
            manager.unregister(reporter)
            # Failures are worded by whoever writes to a terminal; nobody reads this one.
            nobody = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as we
            manager.register(pytest.TerminalReporter(config, nobody), "terminalreporter")

    def _say(self, kind: str, **values: object) -> None:
        self._file.write(results.line(kind, **values))
        self._file.flush()

    def _plain(self, report: pytest.TestReport | pytest.CollectReport) -> object:
        return self._config.hook.pytest_report_to_serializable(config=self._config, report=report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Look at no other file of the folder: what was looked at counts by its content."""
        return None if collection_path in self._on_the_way else True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Only what is no success: the tests themselves are reported when they run."""
        if not report.passed:
            self._say("collect", data=self._plain(report))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Tests that were left out."""
        self._say("deselected", count=len(items))

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        """A test begins; whoever dies within it is known by that."""
        self._say("start", nodeid=nodeid, location=location)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """How one phase of a test ended."""
        self._say("report", data=self._plain(report))

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        """A test is over."""
        self._say("finish", nodeid=nodeid, location=location)

    def pytest_warning_recorded(
        self,
        warning_message: WarningMessage,
        when: str,
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        """A warning, by what is shown of it."""
        self._say(
            "warning",
            category=warning_message.category.__name__,
            file=warning_message.filename,
            line=warning_message.lineno,
            location=location,
            message=str(warning_message.message),
            nodeid=nodeid,
            when=when,
        )

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Somebody ended the session: a person, or `pytest.exit`."""
        self._say("stopped", reason=str(excinfo.value) or excinfo.typename)

    def pytest_internalerror(self, excrepr: object) -> None:
        """The session broke."""
        self._say("internal", text=str(excrepr))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """The session is over; a file of which every test was left out has done all it was to."""
        nothing = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if nothing:
            session.exitstatus = pytest.ExitCode.OK
        if session.testsfailed and session.exitstatus == pytest.ExitCode.OK:
            # A plugin may forgive failures; a file that had some is never skipped all the same.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._clean = session.exitstatus == pytest.ExitCode.OK
        self._say("end", exitstatus=int(session.exitstatus), tests=session.testscollected)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Leave no temporary files of tests that passed: they would be taken for results."""
        self._file.close()
        shutil.rmtree(self._folder / results.CACHE, ignore_errors=True)
        if self._clean:
            shutil.rmtree(self._folder / results.TEMPORARY, ignore_errors=True)
