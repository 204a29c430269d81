"""A person's files, changed and used in turns, beside the same files without Redoxa."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple, NoReturn

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ring2_orchestrator.clock import SystemClock
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.statcache import RACY_NS
from tests.runs.model.edits import ANY, PROGRAMS, SUDDEN, Edit
from tests.runs.model.lines import LINES, OUTPUTS, Line
from tests.runs.model.meddler import Meddler
from tests.runs.model.snapshot import Snapshot, Tree, put, take, tree_of

NOT_ANSWERED = 125  # there is no `redoxa` beside the copy of `redoxa-run` that is used here
PATIENCE_S = 120
JUMPS_NS = (0, 3_600_000_000_000, -3_600_000_000_000, 150_000_000)
DELAYS_S = (0.0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08)
# What somebody did to the permissions of a line's earlier work is put aside with the work.
USUAL_MODES = f"find {' '.join(OUTPUTS)} -maxdepth 0 -type f -exec chmod 644 {{}} + 2>/dev/null"


class Outcome(NamedTuple):
    """What a line leaves and says."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    tree: Tree

    def __str__(self) -> str:
        return f"exit {self.exit_code}, {self.stdout!r}, {self.stderr!r}"

    def told_of(self, one: Path, other: Path) -> "Outcome":
        """As if it had been printed in the other place: an error may name the file it is in."""
        was, is_now = os.fsencode(one), os.fsencode(other)
        stdout, stderr = (text.replace(was, is_now) for text in (self.stdout, self.stderr))
        return self._replace(stdout=stdout, stderr=stderr)


class Answer(NamedTuple):
    """What Redoxa made of a line, and how."""

    outcome: Outcome
    verdict: str
    message: str

    @property
    def is_reuse(self) -> bool:
        return self.verdict in ("reused", "native")


class Meanwhile(NamedTuple):
    """What may come of a line while another process edits: each file is seen before or after.

    So is each file that a plain execution reads. `outcome` is the line's in the world as `seen`,
    `edited` the world after the edit alone, `last` the same after the line and then the edit.
    """

    outcome: Outcome
    seen: Tree
    edited: Tree
    last: Tree

    def allows(self, got: Outcome) -> bool:
        """Whether it is the outcome, with each file of the edit's either way."""
        if got._replace(tree={}) != self.outcome._replace(tree={}):
            return False
        names = got.tree.keys() | self.outcome.tree.keys() | self.edited.keys() | self.last.keys()
        return all(got.tree.get(name) in self._allowed(name) for name in names)

    def _allowed(self, name: str) -> set[tuple[int, bytes | str] | None]:
        """What may stand there: what the line left, or the edit, whichever came last."""
        seen, left = self.seen.get(name), self.outcome.tree.get(name)
        edited, last = self.edited.get(name), self.last.get(name)
        by_line = {left} if left != seen else set[tuple[int, bytes | str] | None]()
        by_edit = {edited, last} if edited != seen or last != left else {left}
        return by_line | by_edit


class SkewedClock(SystemClock):
    """The machine's clock, set wrong by so much."""

    def __init__(self, skew_ns: int) -> None:
        self._skew_ns = skew_ns

    def now_ns(self) -> int:
        return super().now_ns() + self._skew_ns


class World(RuleBasedStateMachine):
    """Edits, and runs of two lines in between; each run gives what plain execution gives.

    `front` is a copy of `redoxa-run` that is asked first in some worlds, where there is one.
    """

    counts: ClassVar[Counter[str]] = Counter()
    front: ClassVar[Path | None] = None
    # What was wrong. A world that others edit fails once and not again, of which Hypothesis says
    # only that its drawing is not what it was.
    findings: ClassVar[list[str]] = []
    meddler: ClassVar[Meddler]
    meddles: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="redoxa-model-"))
        self.real, self.plain = self.place / "real", self.place / "plain"
        self.before: Snapshot = {}
        for name in ("project/d", "project/e", "person", "temp"):
            (self.real / name).mkdir(parents=True)
        self.lines: tuple[Line, Line] = (LINES[0], LINES[0])
        self.asks_front = False
        self.skew_ns = 0

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    @property
    def project(self) -> Path:
        return self.real / "project"

    # What happens.

    @initialize(
        lines=st.tuples(st.sampled_from(LINES), st.sampled_from(LINES)), asks_front=st.booleans()
    )
    def begin(self, lines: tuple[Line, Line], asks_front: bool) -> None:
        self.lines, self.asks_front = lines, asks_front
        for name, text in {
            "a.txt": "one\n",
            "d/x.txt": "one\n",
            "e/x.txt": "two\n",
            "e/y.txt": "",
            **{name: texts[0] for name, texts in PROGRAMS.items()},
        }.items():
            (self.project / name).write_text(text)
        for name, target in (("chain", "hop"), ("hop", "a.txt"), ("way", "e")):
            (self.project / name).symlink_to(target)

    @rule(edit=ANY)
    def edit(self, edit: Edit) -> None:
        self.counts["edits"] += 1
        edit(self.project)

    @rule(edits=st.lists(ANY, min_size=2, max_size=4))
    def several_edits(self, edits: list[Edit]) -> None:
        self.counts["edits"] += len(edits)
        for edit in edits:
            edit(self.project)

    @rule(first=st.booleans(), failures=st.booleans())
    def run(self, first: bool, failures: bool) -> None:
        self.compare(self.lines[first], failures=failures)

    @rule(skew_ns=st.sampled_from(JUMPS_NS))
    def clock_jumps(self, skew_ns: int) -> None:
        self.skew_ns = skew_ns

    @rule()
    def all_stands_still(self) -> None:
        """Long enough for every shortcut and every cache of digests to trust what it sees."""
        time.sleep(RACY_NS * 1.2e-9)
        self.compare(self.lines[0])

    @precondition(lambda self: self.meddles)
    @rule(first=st.booleans(), edit=SUDDEN, delay_s=st.sampled_from(DELAYS_S))
    def run_while_another_edits(self, first: bool, edit: Edit, delay_s: float) -> None:
        """Whatever the run saw of it, what is reused then is right, with the edit and without."""
        line = self.lines[first]
        self.counts["meanwhile"] += 1
        self.save()
        self.meddler.order(delay_s, self.project, edit)
        # Looked at half-way, an edit shows what neither it nor the run ever leaves.
        answer = self.ask(line, before_looking=self.meddler.wait)
        if answer.is_reuse:
            legal: list[Outcome] = []
            for each in self.legal_meanwhile(line, edit):
                if each.allows(answer.outcome):
                    break
                legal.append(each.outcome)
            else:
                what = f"{line.text}\nwhile after {delay_s} s {edit}\n"
                self.fail(what + explain(answer, legal))
        self.compare(line)
        self.bring_back()
        self.compare(line)

    @invariant()
    def run_after_every_step(self) -> None:
        self.compare(self.lines[0])

    # What must hold.

    def compare(self, line: Line, *, failures: bool = False) -> None:
        self.save()
        self.prepare()
        wanted = self.plainly(line.text)
        answer = self.ask(line, failures=failures)
        if answer.outcome == wanted:
            return
        legal = [wanted, *(self.as_good(line) if answer.is_reuse else ())]
        if answer.outcome not in legal:
            self.fail(explain(answer, legal))

    def fail(self, what: str) -> NoReturn:
        self.findings.append(what)
        raise AssertionError(what)

    def as_good(self, line: Line) -> Iterator[Outcome]:
        for snippet in (USUAL_MODES, *line.as_good):
            self.prepare(snippet)
            yield self.plainly(line.text)

    def legal_meanwhile(self, line: Line, edit: Edit) -> Iterator["Meanwhile"]:
        """What may come of the line and the edit at the same time."""
        for snippet in ("", USUAL_MODES, *line.as_good):
            views = (None, edit, *edit.halves())
            for view in views if self.changes(edit) else (None,):
                self.prepare(snippet)
                edited = self.edited(edit)
                self.prepare(snippet)
                if view is not None:
                    view(self.plain / "project")
                seen = tree_of(self.plain)
                outcome = self.plainly(line.text)
                yield Meanwhile(outcome, seen, edited, self.edited(edit))

    def changes(self, edit: Edit) -> bool:
        """Whether the edit did anything to the world as it was."""
        self.prepare()
        was = tree_of(self.plain)
        return self.edited(edit) != was

    def edited(self, edit: Edit) -> Tree:
        """The plain world after the edit."""
        edit(self.plain / "project")
        return tree_of(self.plain)

    # Redoxa.

    def ask(
        self,
        line: Line,
        *,
        failures: bool = False,
        before_looking: Callable[[], None] = lambda: None,
    ) -> Answer:
        """The answer, with the files as they are after `before_looking`."""
        env = env_of(self.real) | {"REDOXA_HOME": str(self.place / "home")}
        words = ["sh", "-c", line.text]
        answer = None
        if self.asks_front and self.front is not None:
            answer = self.ask_front(words, env)
        if answer is None:
            answer = self.ask_python(words, env, failures=failures)
        before_looking()
        outcome = answer.outcome.told_of(self.real, self.plain)._replace(tree=tree_of(self.real))
        answer = answer._replace(outcome=outcome)
        self.counts["runs"] += 1
        self.counts[answer.verdict] += 1
        note(f"{answer.verdict}: {answer.message}")
        return answer

    def ask_front(self, words: list[str], env: dict[str, str]) -> Answer | None:
        """The answer of `redoxa-run`, the files aside; None where it leaves it to Python."""
        assert self.front is not None, "the caller has looked"
        done = run([str(self.front), "--", *words], cwd=self.project, env=env)
        if done.returncode == NOT_ANSWERED and b"cannot be started" in done.stderr:
            return None
        said, mark, message = done.stderr.rpartition(b"redoxa: reused: ")
        assert mark, done.stderr
        outcome = Outcome(done.returncode, done.stdout, said, {})
        return Answer(outcome, "native", message.decode())

    def ask_python(self, words: list[str], env: dict[str, str], *, failures: bool) -> Answer:
        """The answer of `execute`, the files aside."""
        with (
            Home(self.place / "home", clock=SkewedClock(self.skew_ns)) as home,
            outputs_to(self.place) as (stdout, stderr),
            Path(os.devnull).open() as nothing,
        ):
            result = execute(
                words,
                home=home,
                cwd=self.project,
                env=env,
                stdin=nothing.fileno(),
                shortcut=self.asks_front,
                cache_failures=failures,
            )
        self.counts["restored"] += result.restored
        self.counts["published"] += result.published
        outcome = Outcome(result.exit_code, stdout.read_bytes(), stderr.read_bytes(), {})
        return Answer(outcome, result.verdict, result.message)

    # Plain execution.

    def plainly(self, text: str) -> Outcome:
        done = self.shell(text)
        return Outcome(done.returncode, done.stdout, done.stderr, tree_of(self.plain))

    def shell(self, text: str) -> subprocess.CompletedProcess[bytes]:
        return run(["sh", "-c", text], cwd=self.plain / "project", env=env_of(self.plain))

    def prepare(self, snippet: str = "") -> None:
        """Make the plain world what the real one was, and do a snippet there."""
        put(self.plain, self.before)
        if snippet:
            self.shell(snippet)

    def save(self) -> None:
        self.before = take(self.real)

    def bring_back(self) -> None:
        put(self.real, self.before)


def explain(answer: Answer, legal: Sequence[Outcome]) -> str:
    """What came of a line, and how it differs from what it was to be."""
    lines = [f"{answer.verdict}: {answer.message}", f"got {answer.outcome}"]
    for outcome in legal:
        lines.append(f"not {outcome}")
        got, wanted = answer.outcome.tree, outcome.tree
        lines += [
            f"    {name}: {got.get(name)} and not {wanted.get(name)}"
            for name in sorted(got.keys() | wanted.keys())
            if got.get(name) != wanted.get(name)
        ]
    return "\n".join(lines)


def env_of(world: Path) -> dict[str, str]:
    """An environment in which the project's own programs come first."""
    return {
        "PATH": "bin:/usr/bin:/bin",
        "HOME": str(world / "person"),
        "TMPDIR": str(world / "temp"),
        "LC_ALL": "C",
    }


def run(
    words: Sequence[str], *, cwd: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """With nothing on standard input and each of the other streams in a file of its own."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        wait_for(process)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read())
    return subprocess.CompletedProcess(words, process.returncode, *said)


def wait_for(process: "subprocess.Popen[bytes]") -> None:
    """Until it has ended; `wait` with a time limit would look every now and then, and sleep."""
    descriptor = os.pidfd_open(process.pid)
    try:
        if not select.select([descriptor], [], [], PATIENCE_S)[0]:
            process.kill()
    finally:
        os.close(descriptor)
    process.wait()
    assert process.returncode != -signal.SIGKILL, f"{process.args} took over {PATIENCE_S} s"


@contextmanager
def outputs_to(folder: Path) -> Generator[tuple[Path, Path]]:
    """Our own standard output and error go to two files for a while."""
    kept = os.dup(1), os.dup(2)
    names = folder / "stdout", folder / "stderr"
    try:
        for number, name in enumerate(names, start=1):
            with name.open("wb") as file:
                os.dup2(file.fileno(), number)
        yield names
    finally:
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
