"""Whether a run is ever reused although one thing it depends on changed.

    python bench/one_input.py [--trials N] [--seed N] [--only NAME ...] [--write]

Each real program is recorded. Then, trial by trial, one thing that it saw in its own folder or in
its Python is changed as an editor, an installer or an adversary would: a byte in place with size
and time put back, other bytes under the same name, nothing any more, another mode, something where
it found nothing, one more name in a folder it listed, a link that leads elsewhere. Both that
decide, `redoxa why` and the native front end, must say that the run cannot be reused; put back, it
must be reusable again. The exit code is 1 when one was not.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import program_set
from program_set import PROGRAMS, Program

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.past import trace_of
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.which import find_run

RESULTS = Path(__file__).parent / "results" / "one_input.md"
REDOXA = (sys.executable, "-m", "redoxa")
FRONT_END = Path(sys.executable).with_name("redoxa-run")
NO_HIT = 204
AGAIN = 10  # after so many trials it must be reusable again
Chance = np.random.Generator
Edit = Callable[[Path, Chance], None]


# ---- edits ----


def in_place(path: Path, chance: Chance) -> None:
    """One bit of one byte; size and time as before."""
    old, data = path.stat(), bytearray(path.read_bytes())
    data[int(chance.integers(len(data)))] ^= 1 << int(chance.integers(8))
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))


def replaced(path: Path, chance: Chance) -> None:
    """Another file of the same name, size, mode and time."""
    other = path.with_name(f"{path.name}.new")
    shutil.copy2(path, other)
    in_place(other, chance)
    other.replace(path)


def longer(path: Path, _: Chance) -> None:
    """A line more."""
    with path.open("ab") as file:
        file.write(b"\n")


def emptied(path: Path, _: Chance) -> None:
    """Nothing in it."""
    path.write_bytes(b"")


def gone(path: Path, _: Chance) -> None:
    """No longer there."""
    path.unlink()


def hidden(path: Path, _: Chance) -> None:
    """A folder in its place."""
    path.unlink()
    path.mkdir()


def another_mode(path: Path, _: Chance) -> None:
    """One permission more or less."""
    path.chmod(path.stat().st_mode ^ 0o010)


def appears(path: Path, chance: Chance) -> None:
    """A file, or a folder, where nothing was."""
    missing = [path, *(folder for folder in path.parents if not os.path.lexists(folder))]
    if len(missing) > 1 or chance.random() < 0.3:
        path.mkdir(parents=True)
    else:
        path.write_bytes(b"# new\n")


def one_more(path: Path, _: Chance) -> None:
    """A name that the listing did not have."""
    path.joinpath("one-more-name").write_bytes(b"")


def elsewhere(path: Path, _: Chance) -> None:
    """A link with another target."""
    path.unlink()
    path.symlink_to("one-more-name")


EDITS: Mapping[int, Sequence[Edit]] = {
    What.FILE: (in_place, replaced, longer, emptied, gone, hidden, another_mode),
    What.TIMED: (in_place, replaced, longer, emptied, gone, hidden, another_mode),
    What.MISSING: (appears,),
    What.NAMES: (one_more,),
    What.LINK: (elsewhere, gone),
}
OF_CONTENT = (in_place, replaced, emptied)


@contextmanager
def as_it_was(path: Path, aside: Path) -> Generator[None]:
    """Whatever is done to the path meanwhile is undone."""
    top = path
    while not os.path.lexists(top.parent):
        top = top.parent
    kept = None
    if os.path.lexists(path):
        kept = aside / "kept"
        if path.is_dir() and not path.is_symlink():
            kept.mkdir()
        else:
            shutil.copy2(path, kept, follow_symlinks=False)
    try:
        yield
    finally:
        put_back(path, top, kept)


def put_back(path: Path, top: Path, kept: Path | None) -> None:
    """Undo one edit: remove what came, and bring back what went."""
    if kept is not None and kept.is_dir() and not kept.is_symlink():
        path.joinpath("one-more-name").unlink(missing_ok=True)
        kept.rmdir()
        return
    target = path if kept is not None else top
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    if kept is not None:
        kept.rename(path)


def can_be(path: Path) -> bool:
    """Whether something may stand there: nothing stands below a file."""
    return next(folder for folder in path.parents if os.path.lexists(folder)).is_dir()


# ---- trials ----


@dataclass
class Row:
    """One program: how many trials of each edit, and what went wrong."""

    program: Program
    inputs: int = 0
    done: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    reason: str = ""  # why it is not reusable as recorded


class Workshop:
    """A program that was recorded, and the questions about it."""

    def __init__(self, program: Program, folder: Path, env: Mapping[str, str]) -> None:
        self.program = program
        self.place = folder / "source"
        self.env = {**env, "REDOXA_HOME": str(folder / "home")}
        program_set.lay_out(program, self.place, self.env)
        self._ask(*REDOXA, "run", "--", *program.words)
        # Once more where its own leavings were inputs of the first time.
        self._ask(*REDOXA, "run", "--", *program.words)

    def reusable(self) -> bool:
        """What `redoxa why` says."""
        return not self.why_not()

    def why_not(self) -> str:
        """The reason that `redoxa why` gives; empty where it would be reused."""
        found = self._ask(*REDOXA, "why", "--json", "--", *self.program.words)
        said = json.loads(found.stdout)
        return "" if said["reusable"] else str(said["reason"])

    def answered(self) -> bool:
        """Whether the front end reuses it now."""
        done = self._ask("redoxa-run?", "--", *self.program.words, program=FRONT_END)
        return done.returncode != NO_HIT

    def would_reuse(self) -> list[str]:
        """Who of both would reuse the run."""
        asked = {"why": self.reusable, "redoxa-run": self.answered}
        return [name for name, answer in asked.items() if answer()]

    def inputs(self, within: Path) -> list[tuple[Path, int]]:
        """What the recorded run saw below that folder and did not make itself."""
        roots = Roots.around(self.place, self.env)
        with Home(Path(self.env["REDOXA_HOME"]), to_read=True) as home:
            trace = trace_of(home, find_run(home, "@"))
        made = {output.path for output in trace.outputs}
        found = [
            (Path(os.fsdecode(roots.full(row.path))), row.state.what)
            for row in trace.inputs
            if not row.product and row.path not in made and row.state.what in EDITS
        ]
        return [row for row in found if row[0].is_relative_to(within) and can_be(row[0])]

    def _ask(
        self, *words: str, program: Path | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            words,
            executable=program,
            cwd=self.place,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )


def examine(shop: Workshop, top: Path, chance: Chance, trials: int) -> Row:
    """So many trials of one program."""
    row = Row(shop.program)
    if reason := shop.why_not():
        row.reason = reason
        return row
    aside = shop.place.with_name("aside")
    aside.mkdir()
    inputs = shop.inputs(top)
    row.inputs = len(inputs)
    while row.done.total() < trials:
        path, what = inputs[int(chance.integers(len(inputs)))]
        edit = draw(path, what, chance)
        with as_it_was(path, aside):
            edit(path, chance)
            said = shop.would_reuse()
        row.done[edit.__name__] += 1
        row.wrong += [f"{name} reuses it, {edit.__name__}: {path}" for name in said]
        if row.done.total() % AGAIN == 0 and not shop.reusable():
            row.wrong.append(f"not reusable when put back, {edit.__name__}: {path}")
            break
    return row


def draw(path: Path, what: int, chance: Chance) -> Edit:
    """One of the edits that such an input can have."""
    edits = EDITS[what]
    if what in (What.FILE, What.TIMED) and not path.stat().st_size:
        edits = [edit for edit in edits if edit not in OF_CONTENT]
    return edits[int(chance.integers(len(edits)))]


# ---- the page ----

PAGE = """\
# One input changed

Made on {day} by

    {command}

Each program was recorded; in every trial one thing that it had seen was changed, `redoxa why` and
the native front end were asked, and the change was undone. Inputs: those in the program's own
folder and in its Python, of which one is drawn for each trial. Wrong: either of them would have
reused the run.

| program | inputs | trials | wrong |
|---|--:|--:|--:|
{rows}

Trials by kind of change: {kinds}.
{notes}"""


def report(rows: Sequence[Row], command: str) -> str:
    """The results as a page, which names the command that made it."""
    kinds = sum((row.done for row in rows), Counter[str]())
    wrong = [f"- {row.program.name}: {text}" for row in rows for text in row.wrong]
    lines = [
        f"| {row.program.name} | {row.inputs:,} | {row.done.total():,} | {len(row.wrong)} |"
        if not row.reason
        else f"| {row.program.name} | not reusable: {row.reason} | 0 | 0 |"
        for row in rows
    ]
    total = f"| all | | {kinds.total():,} | {len(wrong)} |"
    return PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        command=command,
        rows="\n".join([*lines, total]),
        kinds=", ".join(f"{name.replace('_', ' ')} {kinds[name]:,}" for name in sorted(kinds)),
        notes="\n".join(["", "Wrong:", "", *wrong, ""]) if wrong else "",
    )


def main() -> int:
    """Try every program, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=1000, help="of all programs together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=[program.name for program in PROGRAMS])
    parser.add_argument("--write", action="store_true", help=f"replace {RESULTS.name}")
    args = parser.parse_args()
    chosen = [each for each in PROGRAMS if not args.only or each.name in args.only]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="one-input-") as name:
        top = Path(name).resolve()
        env = program_set.surroundings(top)
        chosen = [each for each in chosen if not program_set.lacks(each, env)]
        for at, program in enumerate(chosen):
            chance = np.random.default_rng([args.seed, *program.name.encode()])
            trials = -(-args.trials // len(chosen))
            rows.append(examine(Workshop(program, top / str(at), env), top, chance, trials))
            print(program.name, rows[-1].done.total(), *rows[-1].wrong, file=sys.stderr, flush=True)
    text = report(rows, shlex.join(["python", "bench/one_input.py", *sys.argv[1:]]))
    print(text, end="")
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    sys.exit(main())
