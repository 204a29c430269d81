"""Killed at any moment, runs leave whole files, a sound home, and all that they acknowledged.

Killed are the recorder alone, all of a run at once, or any one other process of it: the script,
what it called, the helper that watches. The front end without Python is killed like the others.
With `python -m pytest -s -m long tests/runs/test_kills.py` that is done 300 times, and counted.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import weak_key
from ring2_orchestrator.runs.result import LEDGER_KIND
from ring2_orchestrator.runs.state import RESTORE_PREFIX

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = range(2, 6)  # what in.txt may hold
PARTS = range(1, 13)
PATIENCE_S = 60.0
KILLS = 60 if os.environ.get("REDOXA_LONG") == "bounded" else 300
FRONT = Path(sys.executable).with_name("redoxa-run")

# Both write beside each output and rename, as careful programs do: then no kill may tear a file.
# What a kill leaves beside is overwritten unseen by the next run, so neither may list its folders.
BUILD = """\
set -e
read -r first < in.txt
mkdir -p out/parts
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
  seq $((first * n)) $((first * n + 15000)) > out/parts/$n.new
  mv out/parts/$n.new out/parts/$n.txt
done
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do cat out/parts/$n.txt; done > out/all.new
mv out/all.new out/all.txt
echo "built $first"
"""
REPORT = """\
import os
first = int(open("in.txt").read())
for name in ("squares", "cubes"):
    power = 2 if name == "squares" else 3
    with open(name + ".new", "w") as file:
        file.writelines(f"{at} {at ** power}\\n" for at in range(first, first + 8000))
    os.replace(name + ".new", name + ".csv")
print("reported", first)
"""


def built(first: int) -> dict[str, bytes]:
    """What BUILD leaves."""
    parts = {
        f"out/parts/{n}.txt": b"".join(b"%d\n" % at for at in range(first * n, first * n + 15001))
        for n in PARTS
    }
    return {**parts, "out/all.txt": b"".join(parts.values())}


def reported(first: int) -> dict[str, bytes]:
    """What REPORT leaves."""
    powers = {"squares.csv": 2, "cubes.csv": 3}
    return {
        name: b"".join(b"%d %d\n" % (at, at**power) for at in range(first, first + 8000))
        for name, power in powers.items()
    }


@dataclass(frozen=True)
class Job:
    """A command as it is typed, what it is to the memo, and what it leaves for each input."""

    typed: tuple[str, ...]
    command: tuple[str, ...]
    said: bytes
    left: Mapping[int, dict[str, bytes]]

    def with_word(self, word: str) -> "Job":
        """The same work under a further argument: another command with a memo of its own."""
        return replace(self, typed=(*self.typed, word), command=(*self.command, word))


BUILDING = Job(
    (sys.executable, "-m", "redoxa", "run", "--", "sh", "build.sh"),
    ("sh", "build.sh"),
    b"built %d\n",
    {first: built(first) for first in VARIANTS},
)
REPORTING = Job(
    (sys.executable, str(ROOT / "scripts" / "run.py"), "report.py"),
    (sys.executable, "report.py"),
    b"reported %d\n",
    {first: reported(first) for first in VARIANTS},
)
FRONTED = replace(BUILDING, typed=(str(FRONT), "--", *BUILDING.command))


@dataclass
class Torment:
    """One project and one home, in which runs are begun, killed and checked."""

    place: Path
    draw: np.random.Generator
    jobs: Sequence[Job]
    counts: Counter[str] = field(default_factory=Counter[str])
    acknowledged: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    verdicts: Counter[str] = field(default_factory=Counter[str])  # by subject, as the ledger has
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        self.project, self.home = self.place / "project", self.place / "redoxa"
        for name in ("project", "person", "temp"):
            (self.place / name).mkdir()
        (self.project / "build.sh").write_text(BUILD)
        (self.project / "report.py").write_text(REPORT)
        self.env = {
            "HOME": str(self.place / "person"),
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "REDOXA_HOME": str(self.home),
            "TMPDIR": str(self.place / "temp"),
        }

    # One round.

    def begin(self, job: Job) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            job.typed,
            cwd=self.project,
            env=self.env,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, job: Job, first: int) -> str:
        """A run that nobody disturbs: checked in everything; what it said."""
        (self.project / "in.txt").write_text(f"{first}\n")
        process = self.begin(job)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err.decode()
        self.acknowledge(job, first, out, err.decode())
        return err.decode()

    def round(self, *, longest_s: float) -> bool:
        """One run with a kill at some moment; whether the kill came in time."""
        number = int(self.draw.integers(len(self.jobs)))
        job, first = self.jobs[number], int(self.draw.choice(VARIANTS))
        (self.project / "in.txt").write_text(f"{first}\n")
        self.meddle(job)
        before, after = self.outputs(job), job.left[first]
        process = self.begin(job)
        due = [name for name in after if before.get(name) != after[name]]
        self.wait_for_the_moment(due, process, longest_s)
        victim = self.kill_some(process)
        out, err = process.communicate(timeout=PATIENCE_S)
        await_end(process.pid)
        if process.returncode == 0:
            # It was quicker, or could do without: what has been said is a promise.
            self.acknowledge(job, first, out, err.decode())
            return False
        assert victim == "another of its processes" or process.returncode == -signal.SIGKILL, err
        known = (number, first) in self.acknowledged
        self.counts["killed in a reuse" if known else "killed in a recording"] += 1
        self.counts[f"killed: {victim}"] += 1
        self.check_whole(job, before, after)
        return True

    def kill_some(self, process: "subprocess.Popen[bytes]") -> str:
        """Kill the first process of a run, another one, or all of them; which it was."""
        victim = str(self.draw.choice(["itself", "its group", "another of its processes"]))
        others = [pid for pid in session_members(process.pid) if pid != process.pid]
        with suppress(ProcessLookupError):
            if victim == "its group":
                os.killpg(process.pid, signal.SIGKILL)
            elif victim == "itself":
                process.kill()
            elif others:
                os.kill(int(self.draw.choice(others)), signal.SIGKILL)
        return victim

    def meddle(self, job: Job) -> None:
        """Leave the outputs, delete some, or delete them all."""
        share = self.draw.choice([0.0, 0.5, 1.0])
        for name in self.outputs(job):
            if self.draw.random() < share:
                (self.project / name).unlink()

    def wait_for_the_moment(
        self, due: Sequence[str], process: "subprocess.Popen[bytes]", longest_s: float
    ) -> None:
        """Some while after the start or, half of the time, when some output has been written."""
        if not due or self.draw.random() < 0.5:
            time.sleep(float(self.draw.uniform(0, longest_s)))
            return
        path = self.project / str(self.draw.choice(due))
        old = inode(path)
        while process.poll() is None and inode(path) == old:
            pass

    # What must be true.

    def acknowledge(self, job: Job, first: int, out: bytes, err: str) -> None:
        said = ("recorded:", "ran again:", "reused:", "not reusable:")
        assert err.startswith(tuple(f"redoxa: {word}" for word in said)), err
        assert err.count("\n") == 1
        assert out == job.said % first
        assert self.outputs(job) == job.left[first]
        verdict = "reused" if err.startswith("redoxa: reused:") else "ran"
        subject = weak_key(job.command, self.project)
        with Home(self.home) as home:
            newest = next(home.ledger.batches(LEDGER_KIND, subject, newest_first=True))
        entry = newest.entries[0]
        assert isinstance(entry, dict)
        assert entry["verdict"] == verdict
        self.counts[f"{verdict}, acknowledged"] += 1
        if entry["published"] or verdict == "reused":
            self.acknowledged.add((self.jobs.index(job), first))
        self.verdicts[subject] += 1

    def outputs(self, job: Job) -> dict[str, bytes]:
        names = [name for name in job.left[2] if (self.project / name).exists()]
        return {name: (self.project / name).read_bytes() for name in names}

    def check_whole(
        self, job: Job, before: Mapping[str, bytes], after: Mapping[str, bytes]
    ) -> None:
        now = self.outputs(job)
        for name in job.left[2]:
            assert now.get(name) in (before.get(name), after[name]), f"{name} is torn"
        news = sum(now.get(name) != before.get(name) for name in job.left[2])
        self.counts["killed between two outputs"] += 0 < news < len(after)

    def check_home(self) -> None:
        """Store and ledger open, are sound, and extend what they were at the last check."""
        with Home(self.home) as home:
            report = home.store.verify()
            assert (report.damage, report.notes) == ((), ())
            home.ledger.verify(self.checkpoint)
            self.checkpoint = home.ledger.checkpoint()
        # The next recording sweeps what killed ones left, so there is never more than the last.
        scratch = self.home / "scratch"
        assert len(list(scratch.iterdir()) if scratch.exists() else []) <= 1

    def check_everything(self) -> None:
        """At the end: nothing acknowledged is lost, and nothing is left over."""
        self.check_home()
        for number, first in sorted(self.acknowledged):
            for name in self.outputs(self.jobs[number]):
                (self.project / name).unlink()
            assert "redoxa: reused: " in self.run(self.jobs[number], first)
        with Home(self.home) as home:
            for subject, number in self.verdicts.items():
                assert sum(1 for _ in home.ledger.batches(LEDGER_KIND, subject)) >= number
        for words in (("store", "verify"), ("ledger", "verify")):
            done = subprocess.run(
                [sys.executable, "-m", "redoxa", *words],
                env=self.env,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        assert not list(self.project.rglob(f"{RESTORE_PREFIX.decode()}*"))
        assert not list((self.place / "temp").iterdir())


def inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def session_members(session: int) -> Iterator[int]:
    """The living processes of a session."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[3]) == session:
            yield int(folder.name)


def await_end(session: int) -> None:
    """A program whose recorder was killed goes on to its own end, and its helper with it."""
    deadline = time.monotonic() + PATIENCE_S
    while left := list(session_members(session)):
        assert time.monotonic() < deadline, f"processes {left} live on"
        time.sleep(0.005)


def torment(place: Path, *, kills: int, seed: int, check_every: int, commands: int) -> Torment:
    """So many kills, then everything checked. One command in four is REPORTING, one FRONTED."""
    kinds = [REPORTING, BUILDING, FRONTED if FRONT.exists() else BUILDING, BUILDING]
    jobs = [kinds[number % 4].with_word(str(number)) for number in range(commands)]
    it = Torment(place, np.random.Generator(np.random.PCG64(seed)), jobs)
    it.run(jobs[0], VARIANTS[0])  # may have to build the recorder's helper
    started = time.monotonic()
    it.run(jobs[1], VARIANTS[0])
    longest_s = (time.monotonic() - started) * 2  # so that about every second run is quicker
    done = 0
    while done < kills:
        killed = it.round(longest_s=longest_s)
        done += killed
        if killed and done % check_every == 0:
            it.check_home()
    it.check_everything()
    return it


@pytest.mark.slow
def test_a_few_killed_runs_lose_nothing(tmp_path: Path) -> None:
    it = torment(tmp_path, kills=8, seed=3, check_every=4, commands=3)
    assert sum(it.counts[name] for name in it.counts if name.startswith("killed: ")) == 8


@pytest.mark.long
def test_three_hundred_killed_runs_lose_nothing(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    it = torment(tmp_path, kills=KILLS, seed=300, check_every=5, commands=12)
    record_testsuite_property("killed runs", dict(it.counts))
    print(f"{KILLS} killed runs: {dict(it.counts)}")  # noqa: T201 - the figure
    assert it.counts["killed between two outputs"] > KILLS // 20
    assert it.counts["killed in a recording"] > KILLS // 20
    assert it.counts["killed in a reuse"] > KILLS // 20
