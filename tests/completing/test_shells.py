"""Tab is pressed in real shells, and the line is completed."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ring2_orchestrator.completing import scripts
from tests.manners.shell import ROOT, redoxa

BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")
LINES = [
    ("redoxa unp", "redoxa unpack "),
    ("redoxa unpack sam", "redoxa unpack samples.rdx"),
    ("redoxa pack --profile=ba", "redoxa pack --profile=balanced"),
    ("redoxa unpack --output=sam", "redoxa unpack --output=samples.rdx"),
    ("redoxa store checkout x su", "redoxa store checkout x sub"),
    ("redoxa gene print audio_m", "redoxa gene print audio_mono"),
    ("redoxa diff @~", "redoxa diff @~1"),
    ("redoxa run -- redoxa unp", "redoxa run -- redoxa unpack"),
    ("redoxa run --timeout 3 -- cat sam", "redoxa run --timeout 3 -- cat samples.rdx"),
]


def having(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file, a folder and a home of two runs."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "sub").mkdir()
    (folder / "samples.rdx").touch()
    for word in ("true", "false"):
        redoxa("--home", folder / ".home", "run", "-q", "--", word)
    return folder


@pytest.fixture
def environment(place: Path) -> dict[str, str]:
    """That of the shells, where `redoxa` is a command, whatever environment this is."""
    commands = place / ".bin"
    commands.mkdir(exist_ok=True)
    if not (commands / "redoxa").exists():
        (commands / "redoxa").write_text(f'#!/bin/sh\nexec {sys.executable} -m redoxa "$@"\n')
        (commands / "redoxa").chmod(0o755)
    return {
        "HOME": str(place),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PS1": "> ",
        "PYTHONPATH": str(ROOT),
        "REDOXA_HOME": str(place / ".home"),
        "TERM": "dumb",
    }


class Terminal:
    """A shell at a terminal; what it shows can be waited for."""

    def __init__(self, words: list[str], place: Path, environment: dict[str, str]) -> None:
        ours, theirs = pty.openpty()
        self._shell = subprocess.Popen(
            words,
            cwd=place,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._ours = ours

    def type(self, text: str, until: str) -> str:
        """Type it, and give all that is shown until `until` is among it."""
        os.write(self._ours, text.encode())
        shown, ends_at = "", time.monotonic() + 60
        while until not in shown:
            assert time.monotonic() < ends_at, f"{until!r} never came: {shown!r}"
            if select.select([self._ours], [], [], 1)[0]:
                shown += os.read(self._ours, 65536).decode("utf-8", "replace")
        return shown

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)


def starts() -> Iterator[object]:
    bash = 'source .script; echo rea"dy"'
    zsh = 'autoload -Uz compinit; compinit -u -D; source .script; print rea"dy"'
    yield pytest.param("bash", ["--norc", "--noprofile"], bash, id="bash")
    yield pytest.param(
        "bash", ["--norc", "--noprofile"], f"source {BASH_COMPLETION}; {bash}",
        id="bash, with bash-completion",
        marks=pytest.mark.skipif(
            not BASH_COMPLETION.exists(), reason="bash-completion is not installed"
        ),
    )  # fmt: skip
    yield pytest.param("zsh", ["-f", "-i"], zsh, id="zsh")


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "options", "begin"), list(starts()))
def test_a_line_is_completed_at_the_terminal(
    shell: str, options: list[str], begin: str, place: Path, environment: dict[str, str]
) -> None:
    program = having(shell)
    (place / ".script").write_text(scripts.script(shell))
    terminal = Terminal([program, *options], place, environment)
    try:
        terminal.type(f"{begin}\n", "ready")
        for typed, completed in LINES:
            if shell == "bash" and "bash-completion" not in begin and "-- redoxa" in typed:
                continue  # only bash-completion knows what other programs can be told
            terminal.type(f"{typed}\t", completed[len(typed) :])
            terminal.type("\x15echo do''ne\n", "done")
    finally:
        terminal.close()


@pytest.mark.slow
def test_a_line_is_completed_by_fish(place: Path, environment: dict[str, str]) -> None:
    (place / ".script").write_text(scripts.script("fish"))
    for typed, completed in LINES:
        done = subprocess.run(
            [having("fish"), "-N", "-c", "source .script; complete -C $argv[1]", typed],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        last = completed.rstrip().rpartition(" ")[2]
        words = [line.partition("\t")[0].rstrip("/") for line in done.stdout.splitlines()]
        assert last in words, (typed, done.stdout, done.stderr)


@pytest.mark.parametrize("shell", scripts.SHELLS)
def test_a_script_is_printed_and_its_shell_can_read_it(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert redoxa("completion", shell) == 0
    text = capsys.readouterr().out
    assert "@PROGRAM@" not in text
    (tmp_path / "script").write_text(text)
    program = having(shell)
    subprocess.run([program, "-n", tmp_path / "script"], check=True, capture_output=True)


@pytest.mark.parametrize("shell", scripts.SHELLS)
def test_a_strange_path_is_one_word_of_the_script(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "it's $HOME \\ `id`"
    folder.mkdir()
    (folder / "redoxa").write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    line = next(at for at in scripts.script(shell).splitlines() if "program" in at and "it" in at)
    show: dict[str, Callable[[str], str]] = {
        "bash": lambda text: (
            text.replace("local -a ", "").split(" words=()")[0] + '\nprintf %s "${program[0]}"'
        ),
        "zsh": lambda text: (
            text.replace("local -a ", "").split(" typed")[0] + '\nprintf %s "${program[1]}"'
        ),
        "fish": lambda text: text + "\nprintf %s $program[1]",
    }
    said = subprocess.run(
        [having(shell), "-c", show[shell](line)], capture_output=True, text=True, check=True
    )
    assert said.stdout == str(folder / "redoxa")
