"""Whether the recorder sees every path that `strace` sees, over real programs of many kinds.

    python bench/completeness.py [--only NAME ...] [--write]

Each program runs once, under both: the recorder records `strace`, which traces the program. So both
saw the very same calls, and every path that `strace` saw opened, probed, listed or executed must be
among the recorder's events, as what it was. Needs strace, a C compiler and the package index;
programs whose tools are missing are left out, and named. The exit code is 1 when a path is missing.
"""

import argparse
import os
import platform
import re
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import program_set
import strace_log
from program_set import PROGRAMS, Program
from strace_log import Deed, Touch

from ring2_orchestrator.recorder.event import Event, Kind
from ring2_orchestrator.recorder.record import record

RESULTS = Path(__file__).parent / "results" / "completeness.md"
# A folder that is opened is no content yet: that comes with its listing.
ENOUGH = {
    Deed.OPENED: {Kind.READ, Kind.WRITE, Kind.EXEC, Kind.STAT, Kind.LIST},
    Deed.LISTED: {Kind.LIST},
    Deed.EXECUTED: {Kind.EXEC},
    Deed.PROBED: set(Kind),
}
CONTENT = {Kind.READ, Kind.WRITE, Kind.EXEC}
OWN = re.compile(rb"/proc/\d+")


@dataclass
class Row:
    """One program: how many paths were seen in each way, and which the recorder missed."""

    program: Program
    code: int | None = None
    seen: Counter[Deed] = field(default_factory=Counter[Deed])
    missed: dict[tuple[Deed, bytes], str] = field(default_factory=dict[tuple[Deed, bytes], str])
    events: int = 0


def examine(program: Program, folder: Path, env: Mapping[str, str]) -> Row:
    """Run it once, and compare."""
    place, scratch, logs = folder / "source", folder / "scratch", folder / "strace"
    program_set.lay_out(program, place, env)
    scratch.mkdir()
    logs.mkdir()
    traced = ["strace", *strace_log.OPTIONS, "-o", str(logs / "log"), *program.words]
    recording = record(traced, cwd=place, env=env, scratch=scratch, forward=False)
    assert recording.complete, "the stream of events has its end"
    kinds = by_path(recording.events)
    row = Row(program, recording.exit.code, events=len(recording.events))
    done: set[tuple[Deed, bytes]] = set()
    for touch in strace_log.touches(logs / "log", place):
        key = touch.deed, spelled(touch.path)
        if key not in done:
            done.add(key)
            row.seen[touch.deed] += 1
            if not recorded(touch, kinds):
                row.missed[key] = touch.call
    return row


def by_path(events: Sequence[Event]) -> Mapping[bytes, set[Kind]]:
    """What the recorder says was done with each path."""
    kinds: defaultdict[bytes, set[Kind]] = defaultdict(set)
    for event in events:
        kinds[spelled(event.path)].add(event.kind)
        if event.path2 is not None:
            kinds[spelled(event.path2)].add(event.kind)
    return kinds


def recorded(touch: Touch, kinds: Mapping[bytes, set[Kind]]) -> bool:
    """Whether the recorder has it; a file that was opened must have been read or written."""
    found = kinds.get(spelled(touch.path), set[Kind]())
    if touch.deed is Deed.OPENED and Path(os.fsdecode(touch.path)).is_file():
        return bool(found & CONTENT)
    if touch.deed is Deed.PROBED and not found:
        return spelled(first_missing(touch.path)) in kinds
    return bool(found & ENOUGH[touch.deed])


def first_missing(path: bytes) -> bytes:
    """Where the system stopped looking: what it then says depends on no name beyond."""
    place = Path(os.fsdecode(path))
    above = (folder for folder in [*reversed(place.parents), place] if not folder.exists())
    return os.fsencode(next(above, place))


def spelled(path: bytes) -> bytes:
    """A process's own folder has one name, whichever process it is."""
    return OWN.sub(b"/proc/self", path)


# ---- the page ----

PAGE = """\
# Every path that strace sees

Made by `python bench/completeness.py --write` on {day}: {machine}. Each program
ran once, under `strace` and the recorder together. The columns count different paths that `strace`
saw opened, probed (looked at, or looked for and missing, changed, or passed as a link), listed and
executed; the last one counts those among them that the recorder did not have as such.

| program | command | opened | probed | listed | executed | missed |
|---|---|--:|--:|--:|--:|--:|
{rows}

{notes}"""


def report(rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """The results as a page."""
    missed = [
        f"- {row.program.name}: {deed} {os.fsdecode(path)!r} ({call})"
        for row in rows
        for (deed, path), call in row.missed.items()
    ]
    notes = [f"Left out for lack of a tool: {', '.join(left_out)}.\n"] if left_out else []
    notes += ["Missed:\n", *missed, ""] if missed else []
    return PAGE.format(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=f"{platform.system()} {platform.release()}, {platform.machine()}",
        rows="\n".join(_line(row) for row in [*rows, total(rows)]),
        notes="\n".join(notes),
    )


def total(rows: Sequence[Row]) -> Row:
    """All programs together."""
    together = Row(Program("all", ""))
    for row in rows:
        together.seen += row.seen
        together.missed |= {
            (deed, row.program.name.encode() + path): call
            for (deed, path), call in row.missed.items()
        }
    return together


def _line(row: Row) -> str:
    command = f"`{row.program.command}`".replace("|", "\\|") if row.program.command else ""
    counts = " | ".join(f"{row.seen[deed]:,}" for deed in Deed)
    return f"| {row.program.name} | {command} | {counts} | {len(row.missed)} |"


def main() -> int:
    """Examine every program, and keep the page where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", choices=[program.name for program in PROGRAMS])
    parser.add_argument("--write", action="store_true", help=f"replace {RESULTS.name}")
    args = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is missing; install it, for example: sudo apt install strace")
    rows: list[Row] = []
    left_out: list[str] = []
    with tempfile.TemporaryDirectory(prefix="completeness-") as name:
        top = Path(name).resolve()
        env = program_set.surroundings(top)
        for at, program in enumerate(PROGRAMS):
            if args.only and program.name not in args.only:
                continue
            if tool := program_set.lacks(program, env):
                left_out.append(f"{program.name} ({tool})")
                continue
            row = examine(program, top / str(at), env)
            rows.append(row)
            print(_line(row), f"exit {row.code}", file=sys.stderr, flush=True)
    text = report(rows, left_out)
    print(text, end="")
    if args.write:
        RESULTS.write_text(text, encoding="utf-8")
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
