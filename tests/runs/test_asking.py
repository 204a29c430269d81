"""--dry-run, --list, --force and --no-ce1 as a person types them."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.conftest import RUN, Done, Person, environment, sentence

pytestmark = pytest.mark.slow


def below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, but what SQLite's readers agree in."""
    files = (
        path for path in sorted(folder.rglob("*")) if path.is_file() and "-shm" not in path.name
    )
    return {str(path): path.read_bytes() for path in files if "-shm" not in path.name}


@pytest.mark.parametrize("option", ["-n", "--dry-run"])
def test_a_dry_run_says_what_would_be_and_does_nothing(
    person: Person, typed: Callable[..., Done], option: str
) -> None:
    person.write("in.txt", "one")
    person.write("work.sh", "cat in.txt > out.txt; echo done\n")
    never = typed(RUN, option, "work.sh")
    assert (never.returncode, never.stderr) == (0, b"")
    assert never.stdout == b"would run: no run of it has been kept for reuse yet\n"
    assert not person.home_path.exists(), "it made a home"
    typed(RUN, "work.sh")
    (person.project / "out.txt").unlink()
    before = below(person.home_path)
    said = [typed(RUN, option, "work.sh").stdout]
    person.write("in.txt", "two")
    said.append(typed(RUN, option, "-v", "work.sh").stdout)
    said.append(typed(RUN, option, "--force", "work.sh").stdout)
    assert said[0] == (
        b"would be reused: nothing it depends on changed; 1 output would be put back\n"
    )
    assert said[1].startswith(b"would run: in.txt changed\n  in.txt: content ")
    assert said[2] == b"would run: it is to run whatever is known\n"
    assert below(person.home_path) == before
    assert set(person.tree()) == {"in.txt", "work.sh"}


def test_a_dry_run_says_why_a_run_was_not_kept(person: Person, typed: Callable[..., Done]) -> None:
    line = ("--", "bash", "-c", "echo > /dev/udp/127.0.0.1/9")
    typed("run", *line)
    (only,) = json.loads(typed("run", "--json", "-n", *line).stdout)["commands"]
    assert only["reason"].startswith("the last run was not kept for reuse: ")
    assert (only["reusable"], only["command"]) == (False, list(line[1:]))
    failing = ("--", "sh", "-c", "exit 3")
    typed("run", *failing)
    assert b"would run: it failed last time (exit code 3)" in typed("run", "-n", *failing).stdout
    again = typed("run", "-n", "--cache-failures", *failing)
    assert again.stdout.startswith(b"would be reused: ")
    assert typed("run", "-n", "--", "nonesuch").returncode == 127


def test_a_dry_run_leaves_a_pipe_as_it_is(person: Person) -> None:
    line = f"{sys.executable} -m redoxa run -n -- cat >/dev/null; cat"
    done = subprocess.run(
        ["sh", "-c", line], cwd=person.project, input=b"all of it", capture_output=True, check=True,
        env=environment(person),
    )  # fmt: skip
    assert done.stdout == b"all of it"


def test_the_list_says_what_is_known_and_from_where(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("demos/new.py", "")
    person.write("demos/good.sh", "echo good\n")
    person.write("demos/_help.py", "")
    person.write("demos/data.csv", "1\n")
    person.write("gone.sh", "exit 4\n")
    empty = typed(RUN, "--list")
    assert [line.split() for line in empty.stdout.decode().splitlines()[1:]] == [
        ["demos/good.sh", "never", "run", "-", "folder"],
        ["demos/new.py", "never", "run", "-", "folder"],
    ]
    assert not person.home_path.exists(), "it made a home"
    typed(RUN, "demos/good.sh")
    typed(RUN, "demos/good.sh")
    typed(RUN, "gone.sh", "a b")
    typed("run", "--", "true")
    before = below(person.home_path)
    listed = json.loads(typed("run", "--json", "-l").stdout)
    assert below(person.home_path) == before
    rows = {row["name"]: row for row in listed["scripts"]}
    assert {name: (row["source"], row["verdict"]) for name, row in rows.items()} == {
        "demos/good.sh": ("both", "reused"),
        "demos/new.py": ("folder", None),
        "gone.sh 'a b'": ("ledger", "failed"),
        "true": ("ledger", "ran"),
    }
    assert rows["gone.sh 'a b'"]["exit_code"] == 4
    assert rows["demos/good.sh"]["seconds"] > 0
    assert listed["elsewhere"] == 0
    (person.project / "apart").mkdir()
    elsewhere = typed(RUN, "-l", "demos", "apart")
    assert elsewhere.returncode == 0
    assert typed(RUN, "-l", "gone.sh").returncode == 2


def test_force_is_another_name_of_no_reuse(typed: Callable[..., Done]) -> None:
    typed("run", "--", "echo", "1")
    for option in ("-f", "--force", "--no-reuse"):
        assert sentence(typed("run", option, "--", "echo", "1")).startswith(
            "ran again: run again as asked, with the same results"
        )


@pytest.mark.parametrize(("line", "code"), [("exit 0", 0), ("exit 9", 9), ("kill -9 $$", 137)])
def test_plain_execution_leaves_no_trace_of_itself(
    person: Person, typed: Callable[..., Done], line: str, code: int
) -> None:
    done = typed("run", "--no-ce1", "--", "sh", "-c", f"cat; echo trouble >&2; {line}", stdin=b"in")
    assert (done.returncode, done.stdout) == (code, b"in")
    said = f" (exit code {code})" if code else ""
    assert done.stderr.decode() == (
        f"trouble\nredoxa: not recorded: plain execution, as asked{said}\n"
    )
    assert not person.home_path.exists()


def test_what_cannot_be_executed_plainly_is_said(
    person: Person, typed: Callable[..., Done]
) -> None:
    person.write("headless", "echo by the shell\n").chmod(0o755)
    person.write("broken", "#!/no/such/thing\n").chmod(0o755)
    assert typed("run", "--no-ce1", "--", "./headless").stdout == b"by the shell\n"
    broken = typed("run", "--no-ce1", "--", "./broken")
    assert broken.returncode == 126
    assert "check its permissions, and the program that its #! line names" in sentence(broken)
    assert typed("run", "--no-ce1", "--", "nonesuch").returncode == 127


def test_a_signal_to_plain_execution_is_the_programs(person: Person) -> None:
    line = "trap 'echo told; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    child = subprocess.Popen(
        [sys.executable, "-m", "redoxa", "run", "--no-ce1", "--", "sh", "-c", line],
        cwd=person.project, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environment(person),
    )  # fmt: skip
    assert child.stdout is not None
    with child.stdout as out:
        assert out.readline() == b"up\n"
        child.send_signal(signal.SIGTERM)
        assert out.readline() == b"told\n"
    assert child.wait(20) == 5
