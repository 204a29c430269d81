"""The session that a person started: it finds the test files, and tells how each one ended."""

import os
import selectors
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import default_home
from ring2_orchestrator.nesting import inside_recording
from ring2_orchestrator.pytest_plugin.aside import Aside
from ring2_orchestrator.pytest_plugin.places import Places
from ring2_orchestrator.pytest_plugin.suite import Done, Suite
from ring2_orchestrator.pytest_plugin.telling import Telling
from ring2_orchestrator.pytest_plugin.words import child_environment, head_of, options_of
from ring2_orchestrator.runs.worker import Worker


def take_over(config: pytest.Config, parser: pytest.Parser, given: Mapping[str, str]) -> None:
    """Have each test file run by itself, or none and say why."""
    if config.getoption("collectonly"):
        return  # nothing runs, and what is printed may be read by a program
    jobs = _jobs_of(config)
    head, options = head_of(config), options_of(config, parser)
    reason = _reason_against(config)
    if not reason and head is None:
        reason = "pytest was started by another program"
    if not reason and options is None:
        reason = "files are named in addopts"
    if reason or head is None or options is None:
        config.pluginmanager.register(Aside(reason), "redoxa-aside")
        return
    _leave_alone_xdist(config)
    env = child_environment(config, given)
    controller = Controller(config, [*head, *options], env, jobs)
    config.pluginmanager.register(controller, "redoxa-controller")


def _reason_against(config: pytest.Config) -> str:
    """Why test files cannot run apart in this session; empty where they can."""
    reasons = {
        "setupshow": "fixtures are shown",
        "usepdb": "a debugger is asked for",
        "trace": "a debugger is asked for",
        "lf": "what failed last time is asked for, and that is never skipped",
        "failedfirst": "the order of tests is asked for",
        "newfirst": "the order of tests is asked for",
        "stepwise": "the order of tests is asked for",
        "cov_source": "coverage is measured",
        "looponfail": "failing tests are watched",
    }
    for name, reason in reasons.items():
        if config.getoption(name, None):
            return reason
    if config.getoption("pyargs") and any("::" in arg for arg in config.args):
        return "tests are named by module"
    return "this session is itself part of a recorded run" if inside_recording() else ""


def _jobs_of(config: pytest.Config) -> int:
    """How many files may run at a time."""
    asked = config.getoption("numprocesses", None)
    if asked in ("auto", "logical"):
        asked = config.hook.pytest_xdist_auto_num_workers(config=config)
    jobs = cast("int", asked or config.getoption("redoxa_jobs"))
    if jobs < 1:
        raise pytest.UsageError(f"--redoxa-jobs {jobs} would never end; name 1 or more")
    return jobs


def _leave_alone_xdist(config: pytest.Config) -> None:
    """Its workers would share a process between files."""
    if config.pluginmanager.hasplugin("xdist"):
        config.option.numprocesses, config.option.dist, config.option.tx = 0, "no", []


class _Found(pytest.File):
    """Stands for a test file that this process does not import."""

    chosen: dict[Path, tuple[str, ...]]

    def collect(self) -> Sequence[pytest.Item]:
        """Only what was chosen is collected. The tests themselves are found where they run."""
        self.chosen.setdefault(self.path, ())
        return []


class Controller:
    """Takes the places of collecting and running."""

    def __init__(
        self, config: pytest.Config, words: Sequence[str], env: Mapping[str, str], jobs: int
    ) -> None:
        self._config, self._words, self._env, self._jobs = config, words, env, jobs
        self._files: dict[Path, tuple[str, ...]] = {}
        self._workers: dict[Path, Worker] = {}
        self._telling = Telling(config)

    # Which files there are.

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Whatever collects the file does so in its own process."""
        found = yield
        if not found:
            return found
        node = _Found.from_parent(parent, path=file_path)  # pyright: ignore[reportUnknownMemberType]
        node.chosen = self._files
        return [node]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> object:
        """Find the files, by the rules of pytest."""
        whole, parts = self._named(self._config.args)
        verbosity = self._config.option.verbose
        try:
            # They are no tests yet, so their number would be told as none.
            self._config.option.verbose = -1
            session.perform_collect([*whole, *parts])
        finally:
            self._config.option.verbose = verbosity
        for name, targets in parts.items():
            path = self._absolute(name)
            if path in self._files and not any(
                self._absolute(each) in (path, *path.parents) for each in whole
            ):
                self._files[path] = tuple(targets)
        return True

    def _named(self, args: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
        """The words that name whole files or folders, and by file those that name tests in one."""
        whole: list[str] = []
        parts: dict[str, list[str]] = {}
        for arg in args:
            # What stands in brackets is a parameter, whatever it looks like.
            name, colons, _ = arg.partition("[")[0].partition("::")
            if colons:
                parts.setdefault(name, []).append(arg)
            else:
                whole.append(arg)
        return whole, parts

    def _absolute(self, name: str) -> Path:
        return Path(os.path.abspath(self._config.invocation_params.dir / name))  # noqa: PTH100

    def _targets(self, file: Path) -> Sequence[str]:
        """The words that make pytest collect the file."""
        if targets := self._files[file]:
            return targets
        folder = self._config.invocation_params.dir
        name = str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
        return [str(file) if name.startswith("-") or "::" in name else name]

    # Running them.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> object:
        """Skip or run each file, and tell how its tests ended."""
        self._stop_where_told(session)
        self._telling.stop_if_broken(session)
        try:
            with self._opened() as suite:
                if self._config.getoption("redoxa_why"):
                    self._explain(suite)
                else:
                    self._go_through(suite, session)
        except RedoxaError as error:
            raise pytest.UsageError(f"redoxa: {error}") from error
        self._telling.stop_if_broken(session)
        return True

    @contextmanager
    def _opened(self) -> Generator[Suite]:
        config = self._config
        if (cache := getattr(config, "cache", None)) is not None:
            # Now, as names that appear later in a folder are a change for whoever listed it.
            cache.mkdir("redoxa")
        places = Places(config.rootpath)
        words = [*self._words, f"--rootdir={config.rootpath}"]
        if config.inipath is not None:
            words += ["-c", str(config.inipath)]
        if config.pluginmanager.hasplugin("xdist"):
            words.append("-n0")
        try:
            with Suite(
                words,
                places=places,
                home=default_home(),
                cwd=config.invocation_params.dir,
                env=self._env,
                has_cache=config.pluginmanager.hasplugin("cacheprovider"),
            ) as suite:
                yield suite
        finally:
            for worker in self._workers.values():
                worker.abandon()
            places.close()

    def _explain(self, suite: Suite) -> None:
        for file in self._files:
            self._telling.explain(file, suite.explain(file, self._targets(file)))
        raise pytest.exit.Exception("nothing was run, as asked", returncode=0)

    def _go_through(self, suite: Suite, session: pytest.Session) -> None:
        waiting = list(self._files)
        to_order = self._config.getoption("redoxa_order") == "likely"
        with selectors.DefaultSelector() as selector:
            while waiting or self._workers:
                while waiting and len(self._workers) < self._jobs:
                    targets = self._targets(waiting[0])
                    if (done := suite.look(waiting[0], targets)) is not None:
                        self._tell(waiting.pop(0), done, session)
                    elif to_order:
                        # Not before one has to run: while nothing does, no order is sooner done.
                        waiting = suite.foresee({file: self._targets(file) for file in waiting})
                        to_order = False
                    else:
                        self._begin(waiting.pop(0), targets, suite, selector)
                if self._workers:
                    self._wait(suite, selector, session)

    def _begin(
        self, file: Path, targets: Sequence[str], suite: Suite, selector: selectors.BaseSelector
    ) -> None:
        suite.rest()
        with warnings.catch_warnings():
            # Threads of plugins stay behind in this process; the other never looks for them.
            warnings.simplefilter("ignore", DeprecationWarning)
            worker = Worker(lambda: suite.act(file, targets), apart=True)
        self._workers[file] = worker
        for descriptor in worker.descriptors:
            selector.register(descriptor, selectors.EVENT_READ, file)

    def _wait(
        self, suite: Suite, selector: selectors.BaseSelector, session: pytest.Session
    ) -> None:
        for key, _ in selector.select():
            file = cast("Path", key.data)
            worker = self._workers.get(file)
            if worker is None:
                continue
            before = set(worker.descriptors)
            ended = worker.read(key.fd)
            for gone in before - set(worker.descriptors):
                selector.unregister(gone)
            output = worker.output()
            if not ended:
                self._telling.show(output)
                continue
            del self._workers[file]
            done = suite.done(file, worker.answer, cast("int", worker.status))
            if done.since is None:
                self._telling.show(output)
            self._tell(file, done, session)

    def _tell(self, file: Path, done: Done, session: pytest.Session) -> None:
        self._telling.tell(file, done, session)
        self._stop_where_told(session)

    def _stop_where_told(self, session: pytest.Session) -> None:
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """The exit code, where a plugin has given a file's process one of its own."""
        self._telling.finish(session)

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """What was skipped, what ran and why."""
        self._telling.sum_up(terminalreporter)
