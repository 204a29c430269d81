"""The command line as a user types it: real processes, real files, real exit codes."""

import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.commands import COMMANDS, EXIT_CODES, load, main

ROOT = Path(__file__).resolve().parent.parent


def redoxa(
    *words: str, home: Path | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    place = [] if home is None else ["--home", str(home)]
    return subprocess.run(
        [sys.executable, "-m", "redoxa", *place, *words],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )


def sentence(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line of a refusal; anything else on stderr fails the test."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("redoxa: ")
    assert "Traceback" not in lines[0]
    return lines[0]


def test_help_names_every_command_and_every_exit_code() -> None:
    done = redoxa("--help")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert all(f"\n    {name}" in text for name in COMMANDS)
    assert EXIT_CODES.splitlines()[-1] in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str) -> None:
    done = redoxa(name, "--help")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "examples:" in text
    assert all(line.strip() in text for line in load(name).EXAMPLES)


def test_common_options_stand_before_or_after_the_command(tmp_path: Path) -> None:
    before = redoxa("--json", "store", "stat", home=tmp_path / "h")
    after = redoxa("store", "stat", "--json", "--home", str(tmp_path / "h"))
    assert before.returncode == after.returncode == 0
    assert json.loads(before.stdout) == json.loads(after.stdout)


def test_an_unknown_command_is_a_usage_error() -> None:
    assert redoxa("teleport").returncode == 2


def test_the_home_can_be_chosen_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "elsewhere"))
    assert redoxa("store", "stat").returncode == 0
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = redoxa("store", "stat", home=tmp_path / "file" / "home")
    assert done.returncode == 3
    assert "--home or REDOXA_HOME" in sentence(done)


def test_data_goes_to_stdout_and_messages_to_stderr(tmp_path: Path) -> None:
    put = redoxa("store", "put", "-", home=tmp_path, stdin=b"some bytes")
    cid = put.stdout.decode().strip()
    got = redoxa("store", "get", cid, home=tmp_path)
    assert got.stdout == b"some bytes"
    assert got.stderr == b""


def test_the_answer_of_a_run_as_json_leaves_standard_output_to_the_program(tmp_path: Path) -> None:
    command = ("run", "--json", "--", "sh", "-c", "echo data; printf 'no newline' >&2; exit 3")
    first = redoxa(*command, home=tmp_path)
    again = redoxa(*command[:2], "--cache-failures", *command[2:], home=tmp_path)
    assert (first.stdout, again.stdout) == (b"data\n", b"data\n")
    assert (first.returncode, again.returncode) == (3, 3)
    assert first.stderr.startswith(b"no newline\n{")
    recorded, reused = (json.loads(done.stderr.splitlines()[-1]) for done in (first, again))
    assert recorded["message"].startswith("recorded: ")
    assert (recorded["verdict"], reused["verdict"]) == ("failed", "reused")
    assert recorded["trace"] == reused["trace"]
    assert recorded["command"] == list(command[3:])
    # The answers of --dry-run and --list follow, each under a heading of its own.
    page = (ROOT / "docs" / "formats" / "run.md").read_text(encoding="utf-8").split("\n# ")[0]
    for keys in (recorded, reused):
        assert keys["schema"] == "redoxa.run/1"
        assert set(keys) == set(re.findall(r"`(\w+)`", " ".join(table_heads(page)))), "see the page"


def table_heads(page: str) -> list[str]:
    """The first cell of every row of a page's table."""
    return [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]


def test_doubts_and_changes_are_in_the_answer_of_a_run(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for text in ("1", "2"):
        data.write_text(text)
        done = redoxa("run", "--json", "--", "cat", str(data), home=tmp_path / "home")
    (change,) = json.loads(done.stderr)["changed"]
    assert (change["path"], change["kind"]) == (str(data), "content")
    line = "echo > /dev/udp/127.0.0.1/9"
    done = redoxa("run", "--json", "--", "bash", "-c", line, home=tmp_path / "home")
    answer = json.loads(done.stderr)
    assert answer["trace"] is None
    assert {doubt["kind"] for doubt in answer["doubts"]} == {"network"}


def test_bytes_and_json_do_not_share_standard_output(tmp_path: Path) -> None:
    cid = redoxa("store", "put", "-", home=tmp_path, stdin=b"x").stdout.decode().strip()
    done = redoxa("store", "get", cid, "--json", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert "name a file with -o" in sentence(done)


def test_a_python_without_the_packages_is_told_how_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("print(1)\n")
    for words in (["run.py", "x.py"], ["jit.py", "hint", "x.py"]):
        done = subprocess.run(
            # Without the folder of packages, as a Python that was never set up.
            [sys.executable, "-S", str(ROOT / "scripts" / words[0]), *words[1:]],
            capture_output=True,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "REDOXA_HOME": str(tmp_path / "home")},
            check=False,
        )
        assert done.returncode == 5
        assert "lacks the package " in sentence(done)
        assert "python3 scripts/start.py setup" in sentence(done)


def test_every_verb_and_every_argument_is_explained() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert "` |  |" not in page, "an argument has no meaning"
    assert not re.search(r"^### .*\n\n\n", page, re.MULTILINE), "a verb has no sentence"


def test_the_page_of_the_command_line_is_true() -> None:
    spec = importlib.util.spec_from_file_location("manual", ROOT / "scripts" / "manual.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert module.manual() == page, "run: python scripts/manual.py"


def test_the_manual_page_is_true_and_readable() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "man_page.py"))["man_page"]()
    page = (ROOT / "docs" / "redoxa.1").read_text(encoding="utf-8")
    assert made == page, "run: python scripts/man_page.py"
    for line in page.splitlines():
        assert not re.match(r"\.(?![A-Z]{1,2} |[A-Z]{1,2}$|nf$|fi$|br$|\\\")", line), line


def test_quiet_and_verbose_are_levels_of_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ("--home", str(tmp_path / "home"))
    for words in (["log"], ["store", "stat"], ["-v", "gene", "list"]):
        assert main([*home, *words, "-v"]) == 0
        assert re.search(
            r"^redoxa: processor time .*; home ", capsys.readouterr().err, re.MULTILINE
        )
        assert main([*home, *words, "--verbose", "--json"]) == 0
        assert "processor time" not in capsys.readouterr().err
        assert main([*home, *words, "-q", "-v"]) == 2
        assert "ask for opposite things; leave one of them out" in capsys.readouterr().err
    assert main([*home, "log", "-q"]) == 0
    assert capsys.readouterr().err == ""
