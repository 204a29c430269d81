"""The compilers' wrappers answer exactly where the compiler would do the same again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.overlap import end_run
from ring2_orchestrator.runs.presence import Candidate, Presence
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.runs.touched import Touched
from ring2_orchestrator.shortcuts import folder
from tests.runs.desk import unheard

INSTALLED = Path(sys.executable).with_name("redoxa-run")
NOT_ANSWERED = 125  # there is no `redoxa` beside the copies that the tests use
HELLO = '#include "word.h"\n#include <stdio.h>\nint main(void) { return puts(WORD) < 0; }\n'
COMPILE = ["-O1", "-Iearly", "-Ilate", "-MD", "-MF", "hello.d", "-c", "hello.c", "-o", "hello.o"]

pytestmark = [
    pytest.mark.skipif(
        not INSTALLED.exists() and not os.environ.get("REDOXA_WHOLE"),
        reason="redoxa-run is not installed here",
    ),
    pytest.mark.skipif(
        shutil.which("cc") is None or shutil.which("gcc") is None, reason="there is no C compiler"
    ),
]


class Bench:
    """A C project, its home, and the wrappers without the Python they would call."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.home = base / "home"
        self.project = base / "project"
        self.tools = base / "tools"
        for name in ("early", "late"):
            (self.project / name).mkdir(parents=True)
        self.write("late/word.h", '#define WORD "hello"\n')
        self.write("hello.c", HELLO)
        self.tools.mkdir()
        for name in ("redoxa-cc", "redoxa-rustc"):
            shutil.copy2(INSTALLED, self.tools / name)
        (self.tools / "gcc").symlink_to("redoxa-cc")
        self.real = self.base / "real"
        self.real.mkdir()
        for name in ("cc", "gcc"):
            self.script(name, f'exec {shutil.which(name)} "$@"')
        self.env = {
            "PATH": f"{self.real}:/usr/bin:/bin",
            "REDOXA_HOME": str(self.home),
            "TMPDIR": str(base),
        }

    def script(self, name: str, text: str) -> None:
        path = self.real / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def record(self, words: list[str] | None = None, **env: str) -> RunResult:
        """What the wrapper's Python does after a call that was not answered."""
        command = [str(self.real / "cc"), *(COMPILE if words is None else words)]
        with Home(self.home) as home, unheard() as stdin:
            return execute(
                command,
                home=home,
                cwd=self.project,
                env={**self.env, **env},
                stdin=stdin,
                compiler=True,
            )

    def call(
        self, words: list[str] | None = None, *, tool: str = "redoxa-cc", **env: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self.tools / tool), *(COMPILE if words is None else words)],
            cwd=self.project,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )

    def answers(self, words: list[str] | None = None, **env: str) -> bool:
        code = self.call(words, **env).returncode
        assert code in (0, NOT_ANSWERED)
        return code == 0

    def made(self) -> dict[str, bytes]:
        return {name: (self.project / name).read_bytes() for name in ("hello.o", "hello.d")}

    def clean(self) -> None:
        for name in ("hello.o", "hello.d"):
            (self.project / name).unlink(missing_ok=True)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="module", autouse=True)
def _installed_from_these_sources() -> None:
    sources = Path(folder.__file__).parent / "front"
    if not compiler.carries(INSTALLED, compiler.digest(sources)):
        pytest.fail("redoxa-run is missing or of older sources; `pip install -e .` renews it")


def test_the_first_call_after_a_recording_is_answered_and_puts_back(bench: Bench) -> None:
    assert bench.record().published
    made = bench.made()
    bench.clean()
    assert bench.answers()
    assert bench.made() == made
    modes = {name: (bench.project / name).stat().st_mode for name in made}
    assert set(modes.values()) == {0o100644}
    with Home(bench.home) as home:
        newest = next(iter(home.ledger.batches(newest_first=True))).entries[0]
    assert isinstance(newest, dict)
    assert (newest["verdict"], newest["restored"]) == ("reused", 2)


def test_what_was_made_is_newer_than_what_it_was_made_of(bench: Bench) -> None:
    bench.record()
    source = bench.project / "hello.c"
    source.touch()
    assert bench.answers()
    assert (bench.project / "hello.o").stat().st_mtime_ns >= source.stat().st_mtime_ns


def exchange_compiler(bench: Bench) -> None:
    bench.script("cc", f'exec {shutil.which("cc")} -DOTHER "$@"')


CHANGES: dict[str, Callable[[Bench], object]] = {
    "a header": lambda bench: bench.write("late/word.h", '#define WORD "world"\n'),
    "a header earlier on the way": lambda bench: bench.write("early/word.h", "#define WORD 0\n"),
    "a header beside the source": lambda bench: bench.write("word.h", '#define WORD "near"\n'),
    "a system header hidden": lambda bench: bench.write("early/stdio.h", "int puts();\n"),
    "the source": lambda bench: bench.write("hello.c", HELLO + "int more;\n"),
    "the compiler": exchange_compiler,
    "a header is gone": lambda bench: (bench.project / "late/word.h").unlink(),
    "the output is a link": lambda bench: (bench.project / "hello.o").symlink_to("elsewhere"),
    "the output is another's": lambda bench: bench.write("hello.o", "by hand"),
    "a folder in its place": lambda bench: (bench.project / "hello.o").mkdir(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_answered_after(bench: Bench, change: str) -> None:
    bench.record()
    bench.clean()
    CHANGES[change](bench)
    assert not bench.answers()
    link = bench.project / "hello.o"
    assert change != "the output is a link" or link.is_symlink()


def test_a_header_that_is_written_anew_with_its_bytes_is_the_same(bench: Bench) -> None:
    bench.record()
    bench.clean()
    bench.write("late/word.h", '#define WORD "hello"\n')
    assert bench.answers()
    bench.write("late/word.h", '#define WORD "jello"\n')
    assert not bench.answers()


@pytest.mark.parametrize("name", ["CPATH", "C_INCLUDE_PATH", "SOURCE_DATE_EPOCH", "LANG"])
def test_a_variable_of_the_compiler_counts(bench: Bench, name: str) -> None:
    bench.record()
    assert bench.answers()
    assert not bench.answers(COMPILE, **{name: "1"})


def test_what_make_and_cargo_tell_of_their_jobs_does_not_count(bench: Bench) -> None:
    bench.record(MAKEFLAGS="-j2 --jobserver-auth=3,4", MAKELEVEL="1")
    assert bench.answers(MAKEFLAGS="-j8 --jobserver-auth=7,9", MAKELEVEL="2")
    assert bench.answers(CARGO_MAKEFLAGS="-j --jobserver-fds=8,9")


def test_a_response_file_counts_by_its_content(bench: Bench) -> None:
    words = ["@flags", "-c", "hello.c", "-o", "hello.o"]
    bench.write("flags", "-Ilate -O1")
    bench.record(words)
    assert bench.answers(words)
    bench.write("flags", "-Ilate -O2")
    assert not bench.answers(words)


def test_a_failure_is_not_answered(bench: Bench) -> None:
    bench.write("late/word.h", "#error no word\n")
    assert bench.record().exit_code
    assert not bench.answers()


def test_a_precompiled_header_counts(bench: Bench) -> None:
    header = ["-x", "c-header", "-c", "late/word.h", "-o", "late/word.h.gch"]
    assert bench.record(header).published
    assert bench.record().published
    (bench.project / "late/word.h.gch").unlink()
    assert not bench.answers()
    assert bench.answers(header)  # puts it back
    assert bench.answers()
    bench.write("late/word.h.gch", "damaged")
    assert not bench.answers()


def test_coverage_notes_are_put_back(bench: Bench) -> None:
    words = ["--coverage", "-Ilate", "-c", "hello.c", "-o", "hello.o"]
    assert bench.record(words).published
    notes = bench.project / "hello.gcno"
    was = notes.read_bytes()
    notes.unlink()
    (bench.project / "hello.o").unlink()
    assert bench.answers(words)
    assert notes.read_bytes() == was


def test_a_link_of_objects_is_answered_too(bench: Bench) -> None:
    link = ["hello.o", "-o", "hello"]
    bench.record()
    bench.record(link)
    program = bench.project / "hello"
    was = program.read_bytes()
    bench.clean()
    program.unlink()
    assert not bench.answers(link)  # there is nothing to link yet
    assert bench.answers()
    assert bench.answers(link)
    assert program.read_bytes() == was
    assert subprocess.run([program], capture_output=True, check=True).stdout == b"hello\n"


def test_one_source_in_two_folders_is_two_runs(bench: Bench, tmp_path: Path) -> None:
    bench.record()
    twin = tmp_path / "twin"
    shutil.copytree(bench.project, twin)
    (twin / "hello.o").unlink()
    bench.project, first = twin, bench.project
    assert not bench.answers()
    (twin / "late" / "word.h").write_text('#define WORD "twin!"\n')
    bench.record()
    bench.clean()
    assert bench.answers()
    assert b"twin!" in (twin / "hello.o").read_bytes()
    assert b"twin!" not in (first / "hello.o").read_bytes()


def test_what_comes_by_standard_input_is_pythons(bench: Bench) -> None:
    words = ["-x", "c", "-E", "-", "-o", "-"]
    for text in (b"one\n", b"two\n"):
        done = subprocess.run(
            [bench.tools / "redoxa-cc", *words],
            cwd=bench.project,
            env=bench.env,
            input=text,
            capture_output=True,
            check=False,
        )
        assert done.returncode == NOT_ANSWERED


def test_a_damaged_pack_is_never_put_back(bench: Bench) -> None:
    bench.record()
    bench.clean()
    for pack in (bench.home / "store" / "packs").glob("*.pack"):
        data = bytearray(pack.read_bytes())
        at = data.find(b"\x7fELF")
        data[at + 100] ^= 1
        pack.write_bytes(data)
    assert not bench.answers()
    assert not (bench.project / "hello.o").exists()


def test_whoever_goes_on_meanwhile_learns_what_was_put_back(bench: Bench) -> None:
    result = bench.record()
    assert result.trace is not None
    bench.clean()
    made = os.fsencode(bench.project / "hello.o")
    with Presence(bench.home) as presence:
        assert bench.answers()
        parting = presence.part(
            Touched(read=frozenset({made})), Candidate(result.subject, result.trace)
        )
    assert parting.harm is not None


@pytest.mark.parametrize("harmed", [False, True])
def test_a_shortcut_answers_when_its_trace_is_published(bench: Bench, harmed: bool) -> None:
    made = os.fsencode(bench.project / "hello.o")
    with Home(bench.home) as home, Presence(bench.home) as presence:
        assert bench.record().waits
        assert not bench.answers()
        touched = Touched(wrote=frozenset({made} if harmed else ()))
        end_run(home, Memo(home), presence, touched)
    assert bench.answers() != harmed
    assert not list((bench.home / "shortcuts").glob("*.*"))


def test_a_masquerade_runs_the_next_of_its_name(bench: Bench) -> None:
    path = f"{bench.tools}:{bench.env['PATH']}"
    command = [str(bench.real / "gcc"), "--version"]
    with Home(bench.home) as home, unheard() as stdin:
        execute(
            command,
            home=home,
            cwd=bench.project,
            env={**bench.env, "PATH": path},
            stdin=stdin,
            compiler=True,
        )
    assert bench.call(["--version"], tool="gcc", PATH=path).returncode == 0


def refusal(bench: Bench, *words: str, path: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(bench.tools / words[0]), *words[1:]],
        env={**bench.env, "PATH": path},
        cwd=bench.project,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_wrapper_never_runs_itself(bench: Bench) -> None:
    code, said = refusal(bench, "gcc", "--version", path=str(bench.tools))
    assert (code, "no such program on PATH but this wrapper" in said) == (127, True)
    code, said = refusal(bench, "redoxa-rustc", str(bench.tools / "gcc"), path="/bin")
    assert (code, "it is the wrapper itself" in said) == (126, True)


def test_a_compiler_that_calls_its_wrapper_is_refused(bench: Bench) -> None:
    # As inside a recording, where wrappers step aside: incremental compilers are run plainly.
    bench.script("cc", f'exec {bench.tools / "redoxa-cc"} "$@"')
    code, said = refusal(bench, "redoxa-cc", "-Cincremental=x", path=str(bench.real))
    assert (code, "calls its own wrapper again and again" in said) == (126, True)


def test_a_compiler_with_a_state_of_its_own_is_left_alone(bench: Bench) -> None:
    bench.script("rustc", 'echo "$@"')
    done = subprocess.run(
        [bench.tools / "redoxa-rustc", "rustc", "-C", "incremental=cache", "x.rs"],
        env=bench.env,
        cwd=bench.project,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"-C incremental=cache x.rs\n"
    assert not bench.home.exists()
