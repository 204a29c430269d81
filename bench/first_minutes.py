"""A stranger's first minutes, from `git clone` on: what is typed, and how long until a reuse.

    python bench/first_minutes.py [--only README] [--folder DIR] [--write]

Three ways in, each in a clone of its own of the commit checked out here, with an empty home folder
and no variable but PATH, HOME, LANG and those that lead to the package index: the README's first
command, the tutorial (docs/tutorial.md) after README's link to it, and a kernel of one's own
(docs/kernels.md). Every line is taken from the page and typed into one shell; nothing is typed that
is not there, but for the clone and going to it. pip's cache is empty, so what is fetched is fetched
anew; how quickly that comes is the network's. `--write` renews bench/results/first_minutes.md.
"""

import argparse
import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULT = Path(__file__).parent / "results" / "first_minutes.md"
TUTORIAL_FOLDER = "redoxa-tutorial"
INDEX = re.compile(r"PIP_(?!CACHE)\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|(?i:https?|all|no)_proxy")
REUSED = re.compile(r"^redoxa: reused: ")
# Reads lines to type from descriptor 3 and evaluates each here, so that `cd` and `export` last.
SHELL = 'while IFS= read -r line <&3; do eval "$line" 3<&-; printf "\\036%d\\n" $?; done'

PAGE = """\
# A stranger's first minutes

Measured by `python bench/first_minutes.py --write` on {day}: Python {python}, {system}, {machine},
{cores} cores; load {before:.1f} before, {after:.1f} after.

Each way begins with `git clone` in an empty home folder, with an empty cache of pip. Lines are
those that a person types, and files those that the page has a person write. The first reuse is the
first line `redoxa: reused: …`; that of the kernel tutorial is its kernel found again in the store.

| way | lines | files | clone | first reuse | to the end of the page | on disk |
|---|---:|---:|---:|---:|---:|---:|
{rows}

## Line by line

Lines that took less than a second are left out.

{details}
"""


class Step(NamedTuple):
    """One thing a person does: a line typed (and its exit code), or a file written."""

    line: str
    code: int = 0
    file: tuple[str, str] | None = None


class Typed(NamedTuple):
    """What became of a step, in seconds since the clone was begun."""

    step: Step
    taken_s: float
    reused_at_s: float | None


class Way(NamedTuple):
    """A way in, as it was gone."""

    name: str
    clone_s: float
    typed: tuple[Typed, ...]
    disk_mb: int

    @property
    def reuse_s(self) -> float:
        """The first reuse."""
        return next(at.reused_at_s for at in self.typed if at.reused_at_s is not None)

    @property
    def end_s(self) -> float:
        """The end of the page."""
        return self.clone_s + sum(each.taken_s for each in self.typed)


def readme_steps() -> Iterator[Step]:
    """The README's first command."""
    text = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"^ {4}(python3 scripts/start\.py \w+)$", text, re.MULTILINE)
    assert found, "the README begins with a command"
    yield Step(found[1])


def tutorial_steps() -> Iterator[Step]:
    """Every line of the tutorial, and its script."""
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    install, _, rest = text.partition("## A result that is used again")
    yield from map(Step, re.findall(r"^ {4}(.+)$", install, re.MULTILINE))
    either = r"^ {4}\$ (?P<line>[^\n]+)$|^`(?P<name>[\w.]+)`:\n\n```\w*\n(?P<text>.*?)^```"
    for at in re.finditer(either, rest, re.MULTILINE | re.DOTALL):
        if at["name"]:
            yield Step(f"(an editor) {at['name']}", file=(at["name"], at["text"]))
        else:
            # These say with their exit code that there is a change.
            answers = at["line"].startswith(("redoxa why", "redoxa diff"))
            yield Step(at["line"], code=int(answers))


def kernel_steps() -> Iterator[Step]:
    """The tutorial's installation, then the kernel tutorial to the kernel that is found again."""
    for step in tutorial_steps():
        if step.line.startswith("mkdir data"):
            break
        yield step
    text = (ROOT / "docs" / "kernels.md").read_text("utf-8").partition("## Into a clone")[0]
    either = (
        r"^```sh\n(?P<line>.+?)\n```"
        r"|^`(?P<name>reverse/[\w.]+)`[.:].*?^```\w*\n(?P<text>.*?)^```"
    )
    for at in re.finditer(either, text, re.MULTILINE | re.DOTALL):
        if at["name"]:
            yield Step(f"(an editor) {at['name']}", file=(at["name"], at["text"]))
        else:
            yield Step(at["line"])
    yield Step("redoxa kernel show reverse")


WAYS = {"README": readme_steps, "tutorial": tutorial_steps, "kernel tutorial": kernel_steps}


class Shell:
    """One shell into which lines are typed one after another."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._begun = time.monotonic()
        read_end, self._write_end = os.pipe()
        self._process = subprocess.Popen(
            ["bash", "--norc", "-c", SHELL + f" 3<&{read_end}"],
            cwd=folder,
            env=environment,
            pass_fds=[read_end],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.close(read_end)
        self._lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None, "it was asked for"
        for line in self._process.stdout:
            self._lines.put((time.monotonic() - self._begun, line.decode("utf-8", "replace")))
        self._lines.put((time.monotonic() - self._begun, "\x1e255\n"))

    def type(self, line: str, code: int = 0) -> tuple[float, float | None]:
        """Seconds that the line took, and when something was reused; ends the bench if it fails."""
        began, reused, said = time.monotonic() - self._begun, None, list[str]()
        os.write(self._write_end, (line + "\n").encode())
        while True:
            at, text = self._lines.get()
            if text.startswith("\x1e"):
                break
            said.append(text)
            if reused is None and REUSED.match(text):
                reused = at
        if int(text[1:]) != code:
            sys.exit(f"`{line}` gave {text[1:].strip()} instead of {code}:\n{''.join(said)}")
        return at - began, reused

    def close(self) -> None:
        """End it."""
        os.close(self._write_end)
        self._process.wait()


def go(name: str, folder: Path) -> Way:
    """Go one way in, in an empty folder that is home and all."""
    home = folder / "home"
    home.mkdir()
    kept = {key: value for key, value in os.environ.items() if INDEX.fullmatch(key)}
    basics = {"PATH": clean_path(), "HOME": str(home), "LANG": "C.UTF-8"}
    shell = Shell(home, kept | basics)
    try:
        clone_s, _ = shell.type(f"git clone -q '{ROOT}' redoxa")
        shell.type("cd redoxa")
        typed: list[Typed] = []
        for step in WAYS[name]():
            if step.file:
                (home / TUTORIAL_FOLDER / step.file[0]).write_text(step.file[1], "utf-8")
                typed.append(Typed(step, 0.0, None))
                continue
            taken_s, reused_s = shell.type(step.line, step.code)
            if step.line == "redoxa kernel show reverse":
                reused_s = clone_s + sum(each.taken_s for each in typed) + taken_s
            typed.append(Typed(step, taken_s, reused_s))
            print(f"{name}: {taken_s:6.1f} s  {step.line}", file=sys.stderr, flush=True)
    finally:
        shell.close()
    return Way(name, clone_s, tuple(typed), disk_mb(home))


def clean_path() -> str:
    """PATH without the environment that this bench may run in."""
    own = {str(Path(sys.prefix) / "bin"), str(Path(sys.executable).parent)}
    kept = [at for at in os.environ.get("PATH", "").split(os.pathsep) if at not in own]
    return os.pathsep.join(kept) if sys.prefix != sys.base_prefix else os.environ["PATH"]


def disk_mb(folder: Path) -> int:
    """What lies in a folder, in MB."""
    sizes = (at.lstat().st_blocks * 512 for at in folder.rglob("*") if not at.is_dir())
    return round(sum(sizes) / 1e6)


def row(way: Way) -> str:
    """A line of the table."""
    files = sum(each.step.file is not None for each in way.typed)
    lines = 2 + len(way.typed) - files  # the clone, and going to it
    seconds = (way.clone_s, way.reuse_s, way.end_s)
    times = " | ".join(f"{value:.1f} s" for value in seconds)
    return f"| {way.name} | {lines} | {files} | {times} | {way.disk_mb:,} MB |"


def detail(way: Way) -> Iterator[str]:
    """What took its time."""
    yield from (f"### {way.name}", "", "| line | seconds |", "|---|---:|")
    for each in way.typed:
        if each.taken_s >= 1:
            yield f"| `{each.step.line.replace('|', chr(92) + '|')}` | {each.taken_s:.1f} |"
    yield ""


def main() -> None:
    """Go the ways, print the page, and keep it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=WAYS, action="append", help="this way in (repeatable)")
    parser.add_argument("--folder", type=Path, help="where to work (default: the system's)")
    parser.add_argument("--write", action="store_true", help=f"keep the page in {RESULT.name}")
    args = parser.parse_args()
    parent: Path | None = args.folder
    before = os.getloadavg()[0]
    ways: list[Way] = []
    chosen: list[str] = [*WAYS] if args.only is None else args.only
    for name in chosen:
        folder = Path(tempfile.mkdtemp(dir=parent)).resolve()
        try:
            ways.append(go(name, folder))
        finally:
            shutil.rmtree(folder)
    page = PAGE.format(
        day=datetime.now(UTC).date(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count(),
        before=before,
        after=os.getloadavg()[0],
        rows="\n".join(map(row, ways)),
        details="\n".join(line for way in ways for line in detail(way)).strip(),
    )
    print(page)
    if args.write:
        RESULT.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
