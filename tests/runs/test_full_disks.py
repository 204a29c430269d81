"""A disk that fills up at any moment of a run: nothing half put back, and nothing false is kept.

The home, the project or both lie on a small disk in memory, and before each run all of it is taken
but so many blocks, which decides when it is full. `python -m pytest -s -m long
tests/runs/test_full_disks.py` does so 300 times, and counts what came of it.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cid_store.errors import UnavailableError
from ring2_orchestrator.commands._doing import CANNOT_RECORD
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs import execute as execution
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.runs.state import RESTORE_PREFIX
from tests.faults.test_full_disk import BLOCK
from tests.faults.test_full_disk import fill as fill_up
from tests.faults.test_places import disk
from tests.runs.conftest import RUN, Done, Person

ROUNDS = 30 if os.environ.get("REDOXA_LONG") == "bounded" else 300
PLACES = ("project", "redoxa", "both")
MOST_BLOCKS = 150
PARTS = range(1, 7)
# It writes beside each output and renames, so whatever stops it leaves whole files.
BUILD = """\
set -e
read -r first < in.txt
trap 'rm -f out/*.new' EXIT
mkdir -p out
for n in 1 2 3 4 5 6; do
  seq $((first * n)) $((first * n + 8000)) > out/$n.new
  mv out/$n.new out/$n.txt
done
rm -f old.txt
echo "built $first"
"""
Tree = dict[str, tuple[int, bytes | str]]


def built(first: int) -> dict[str, bytes]:
    """What BUILD leaves."""
    return {
        f"out/{n}.txt": b"".join(b"%d\n" % at for at in range(first * n, first * n + 8001))
        for n in PARTS
    }


@dataclass
class Filling:
    """One project and one home, of which some lies on a disk that is full now and then."""

    place: Path
    draw: np.random.Generator
    where: str
    counts: Counter[str] = field(default_factory=Counter[str])
    kept: set[int] = field(default_factory=set[int])
    before: Tree = field(default_factory=dict[str, tuple[int, bytes | str]])

    def __post_init__(self) -> None:
        self.disk = self.place / "disk"
        on_disk, aside = self.disk / "world", self.place / "world"
        for folder in (on_disk, aside):
            folder.mkdir()
        project = (aside if self.where == "redoxa" else on_disk) / "project"
        home = (aside if self.where == "project" else on_disk) / "redoxa"
        for folder in (project, aside / "temp", aside / "person"):
            folder.mkdir()
        env = {"PATH": "/usr/bin:/bin", "HOME": str(aside / "person")}
        self.person = Person(project, home, {**env, "TMPDIR": str(aside / "temp")})
        self.person.write("build.sh", BUILD)

    def round(self) -> None:
        """One run while the disk fills up, and then one with room."""
        known = sorted(self.kept)
        old = bool(known) and self.draw.random() < 0.5
        first = int(self.draw.choice(known) if old else self.draw.integers(2, 60))
        self.prepare(first)
        with self.nearly_full():
            result = self.run()
        self.judge(first, result)
        self.check_whole(first)
        self.tidy()
        self.prepare(first, again=True)
        again = self.run()
        assert again is not None
        assert (again.exit_code, self.outputs()) == (0, built(first)), again.message
        assert again.published or again.verdict == "reused", again.message
        self.kept.add(first)

    def prepare(self, first: int, *, again: bool = False) -> None:
        """The input, and something of what an earlier run left."""
        self.person.write("in.txt", f"{first}\n")
        for name in self.outputs():
            if not again and self.draw.random() < 0.3:
                (self.person.project / name).unlink()
        self.before = self.person.tree()

    @contextmanager
    def nearly_full(self) -> Generator[None]:
        """All is taken but some blocks, few more often than many."""
        free = int(MOST_BLOCKS * self.draw.random() ** 2)
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, BLOCK * (os.statvfs(self.disk).f_bavail - free))
        try:
            yield
        finally:
            filler.unlink()

    def run(self) -> RunResult | None:
        """What came of the run; None where the home was refused before anything was run."""
        try:
            return self.person.command("sh", "build.sh")
        except UnavailableError as error:
            # SQLite calls it an error of the disk where it cannot begin a file beside its own.
            if not any(words in str(error) for words in ("No space left", "full", "make room")):
                raise
            return None

    # What must be true.

    def judge(self, first: int, result: RunResult | None) -> None:
        if result is None:
            self.counts["refused"] += 1
            assert self.person.tree() == self.before
            return
        kept = "published" if result.published else "not kept"
        self.counts[result.verdict if result.verdict == "reused" else f"ran, {kept}"] += 1
        self.counts["not in the ledger"] += "not in the ledger" in result.message
        self.counts["with room enough"] += "space" not in result.message and result.exit_code == 0
        if result.exit_code == 0:
            assert self.outputs() == built(first), result.message
        else:
            self.counts["failed by itself"] += 1  # never reused unless asked for: see round

    def check_whole(self, first: int) -> None:
        """Each output is its old or its new self, and nothing else is left."""
        now, new = self.outputs(), built(first)
        for name in new:
            mode_and_old = self.before.get(name, (0, None))
            assert now.get(name) in (mode_and_old[1], new[name]), f"{name} is torn"
        assert not list(self.person.project.rglob(f"{RESTORE_PREFIX.decode()}*"))
        with Home(self.person.home_path) as home:
            report = home.store.verify()
            assert (report.damage, report.notes) == ((), ())
            home.ledger.verify()

    def begun_to_run(self, reason: str) -> None:
        """Called when a program is about to be recorded: a reuse that failed has left no trace."""
        if "its results are not to be had" in reason:
            self.counts["reuses given up"] += 1
            assert self.person.tree() == self.before

    def outputs(self) -> dict[str, bytes]:
        return {
            f"out/{path.name}": path.read_bytes()
            for path in sorted((self.person.project / "out").glob("*.txt"))
        }

    def tidy(self) -> None:
        """What is no longer needed goes, or the disk would be full for good."""
        with Home(self.person.home_path) as home:
            home.store.gc(live=home.needed, grace_s=0)


def fill(place: Path, rounds: int, where: str, patch: pytest.MonkeyPatch) -> Counter[str]:
    """So many rounds on one disk."""
    (place / "disk").mkdir(parents=True)
    with disk(place / "disk", "24m"):
        it = Filling(place, np.random.Generator(np.random.PCG64(PLACES.index(where))), where)
        record = execution._Run._record

        def note_and_record(
            run: Any, memo: Any, decision: Any, *rest: Any, **options: Any
        ) -> RunResult:
            it.begun_to_run(decision.reason)
            return record(run, memo, decision, *rest, **options)

        patch.setattr(execution._Run, "_record", note_and_record)
        for _ in range(rounds):
            it.round()
    shutil.rmtree(place)
    return it.counts


@pytest.mark.slow
@pytest.mark.parametrize("where", PLACES)
def test_a_disk_fills_up_and_nothing_is_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    counts = fill(tmp_path / "world", 3, where, monkeypatch)
    assert counts


@pytest.mark.slow
def test_a_round_and_a_verified_run_on_a_full_disk_end_in_sentences(
    person: Person, typed: Callable[..., Done], tmp_path: Path
) -> None:
    place = tmp_path / "redoxa"
    place.mkdir()
    with disk(place, "6m"):
        for name in ("a", "b", "c"):
            person.write(f"work/{name}.sh", f"cat in.txt > work/{name}.out\n")
        commands = ((RUN, "-j2", "work"), ("run", "--verify=1", "--", "sh", "work/a.sh"))
        for at, text in enumerate(("one\n", "two\n", "three\n")):
            person.write("in.txt", text)
            if at == 1:
                for words in commands:  # something to verify, and something to reuse
                    assert typed(*words).returncode == 0
                fill_up(place)
            for words in commands:
                done = typed(*words)
                said = done.stderr.decode()
                assert "Traceback" not in said, said
                assert done.returncode in (0, CANNOT_RECORD), said
                if not at:
                    assert "space" not in said, said
                if done.returncode == 0:
                    assert person.read("work/a.out") == text
        (place / "filler").unlink()
        for words in commands:
            assert typed(*words).returncode == 0
            assert {person.read(f"work/{name}.out") for name in ("a", "b", "c")} == {"three\n"}
        with Home(person.home_path) as home:
            assert not home.store.verify().damage
            home.ledger.verify()


@pytest.mark.long
def test_a_disk_fills_up_at_many_moments_and_nothing_is_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    for where in PLACES:
        with monkeypatch.context() as patch:
            counts += fill(tmp_path / where, ROUNDS // len(PLACES), where, patch)
    print(f"{ROUNDS} full disks: {dict(counts)}")  # noqa: T201 - the figure
    assert counts["reuses given up"] > ROUNDS // 20
    assert counts["failed by itself"] > ROUNDS // 20
