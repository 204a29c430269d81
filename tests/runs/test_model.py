"""Whatever happens to the files between them, runs give what plain execution would have given."""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from ring2_orchestrator.recorder import compile as compiler
from tests.runs.conftest import Person

# Each line depends on its files in another way; none asks whether its own outputs exist.
LINES = (
    "cat a.txt b.txt > out.txt 2>/dev/null; ls d > list.txt; test -e c.txt && echo there; true",
    "mkdir -p made/deep; cp a.txt made/deep/copy; rm -f b.txt; echo done",
    "echo more >> log.txt",
    'for f in d/*; do echo "$f"; wc -c < "$f"; done > sizes.txt; echo warned >&2',
    "ln -sf a.txt link; cat link > behind.txt; chmod 640 behind.txt",
    "cat c.txt > c.out",
    "sort -o a.txt a.txt d/x.txt",
    "mv c.txt b.txt; echo moved",
    "sh sub.sh",
)
SOURCES = ("a.txt", "b.txt", "c.txt", "d/x.txt", "d/y.txt")
OUTPUTS = ("out.txt", "list.txt", "sizes.txt", "behind.txt", "link", "c.out", "log.txt", "made")
TEXTS = ("", "one\n", "two\n", "three lines\nof\ntext\n")
Tree = Mapping[str, tuple[int, bytes | str]]


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


class World(RuleBasedStateMachine):
    """A person edits, touches, deletes and brings back files, and runs two lines in between."""

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="redoxa-model-"))
        for name in ("project/d", "person", "temp", "printed"):
            (self.place / name).mkdir(parents=True)
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.place / "person"),
            "TMPDIR": str(self.place / "temp"),
        }
        self.person = Person(self.place / "project", self.place / "redoxa", env)
        self.lines: tuple[str, str] = (LINES[0], LINES[0])

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    @initialize(lines=st.tuples(st.sampled_from(LINES), st.sampled_from(LINES)))
    def begin(self, lines: tuple[str, str]) -> None:
        self.lines = lines
        self.person.write("a.txt", "one\n")
        self.person.write("sub.sh", "cat b.txt 2>/dev/null > from-sub.txt; echo sub")

    @rule(name=st.sampled_from(SOURCES), text=st.sampled_from(TEXTS))
    def write(self, name: str, text: str) -> None:
        path = self.person.project / name
        if path.is_symlink():
            path.unlink()
        self.person.write(name, text)

    @rule(text=st.sampled_from(["cat a.txt > from-sub.txt", "echo other > from-sub.txt; exit 3"]))
    def program(self, text: str) -> None:
        self.person.write("sub.sh", text)

    @rule(name=st.sampled_from(OUTPUTS))
    def spoil(self, name: str) -> None:
        path = self.person.project / name
        if path.is_file() and not path.is_symlink():
            path.write_text("spoilt by hand\n")

    @rule(name=st.sampled_from([*SOURCES, *OUTPUTS]))
    def delete(self, name: str) -> None:
        path = self.person.project / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @rule(name=st.sampled_from([*SOURCES, *OUTPUTS]), seconds=st.sampled_from([0, 1_000_000_000]))
    def touch(self, name: str, seconds: int) -> None:
        if (self.person.project / name).exists():
            os.utime(self.person.project / name, (seconds, seconds))

    @rule(name=st.sampled_from(SOURCES), mode=st.sampled_from([0o600, 0o644]))
    def chmod(self, name: str, mode: int) -> None:
        path = self.person.project / name
        if path.is_file() and not path.is_symlink():
            path.chmod(mode)

    @rule(name=st.sampled_from(["b.txt", "c.txt"]))
    def link(self, name: str) -> None:
        path = self.person.project / name
        path.unlink(missing_ok=True)
        path.symlink_to("d/x.txt")

    @rule(first=st.booleans())
    def run(self, first: bool) -> None:
        self.compare(self.lines[first])

    @invariant()
    def run_after_every_step(self) -> None:
        self.compare(self.lines[0])

    def compare(self, line: str) -> None:
        plain = Person(self.place / "plain", self.place, self.person.env)
        shutil.copytree(self.person.project, plain.project, symlinks=True)
        wanted = subprocess.run(
            ["sh", "-c", line],
            cwd=plain.project,
            env=plain.env,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        with (
            outputs_to(self.place / "printed") as (out, err),
            Path(os.devnull).open() as nothing,
        ):
            result = self.person.run(line, stdin=nothing.fileno())
        self.counts[result.verdict] += 1
        assert result.exit_code == wanted.returncode
        assert (out.read_bytes(), err.read_bytes()) == (wanted.stdout, wanted.stderr)
        assert self.person.tree() == plain.tree(), result.message
        shutil.rmtree(plain.project)


def play(worlds: int) -> Counter[str]:
    """So many worlds; how often each verdict was given."""
    World.counts.clear()
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=worlds, stateful_step_count=12, deadline=None, suppress_health_check=checks
        ),
    )
    return World.counts


pytestmark = pytest.mark.skipif(
    not compiler.can_record(), reason="programs are recorded on Linux only"
)


@pytest.mark.slow
def test_runs_give_what_plain_execution_gives() -> None:
    assert play(10)["reused"] > 0


@pytest.mark.long
def test_runs_give_what_plain_execution_gives_in_many_worlds() -> None:
    print(dict(play(200)))  # noqa: T201 - the figure
