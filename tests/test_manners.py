"""Bad input and bad places: one clear sentence, a documented exit code, and nothing lost."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ring2_orchestrator.commands import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
REDOXA = f"{sys.executable} -m redoxa"
# A superuser without these two is refused what anyone else is refused.
_POWERLESS = "setpriv --bounding-set=-dac_override,-dac_read_search "
ECHO = ("sh", "-c", "cat in.txt; cp in.txt out.txt")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a home beside it."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "in.txt").write_text("21\n")
    monkeypatch.chdir(place)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return place


def shell(line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """One line as a person types it, standard input being empty."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **environment},
        errors="surrogateescape",
        timeout=120,
        check=False,
    )


def sentence(done: "subprocess.CompletedProcess[str]") -> str:
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("redoxa: ")
    return lines[0]


def redoxa(*words: object) -> int:
    return main([os.fspath(word) if isinstance(word, Path) else str(word) for word in words])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a refusal in this process."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("redoxa: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


# Where output goes


@pytest.mark.parametrize("buffering", ["", "1"])
@pytest.mark.parametrize(
    ("place", "says"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
@pytest.mark.parametrize(
    "words", ["--help", "kernel list", "store put in.txt", "jit status --json"]
)
def test_an_output_that_cannot_be_written_is_a_sentence(
    here: Path, words: str, place: str, says: str, buffering: str
) -> None:
    done = shell(f"{REDOXA} {words} {place}", PYTHONUNBUFFERED=buffering)
    assert done.returncode == 5
    assert f"standard output cannot be written ({says})" in sentence(done)


def test_what_is_printed_never_lands_in_a_file_that_took_a_closed_stream_s_place(
    here: Path,
) -> None:
    for words in ("store put in.txt", f"run -- {' '.join(ECHO[:2])} '{ECHO[2]}'", "jit status"):
        for streams in (">&-", "<&- >&-", "2>&-", "<&- >&- 2>&-"):
            shell(f"{REDOXA} {words} {streams}")
    for words in ("store verify", "ledger verify"):
        done = shell(f"{REDOXA} {words}")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["pack - -o a.rdx", "unpack - -o a", "inspect -", "store put -"])
def test_an_input_that_was_closed_is_a_sentence(here: Path, words: str) -> None:
    done = shell(f"{REDOXA} {words} <&-")
    assert done.returncode == 3
    assert "Bad file descriptor" in sentence(done)


@pytest.mark.parametrize("words", ["--help", "gene print bytes", "store get CID"])
def test_a_reader_that_left_is_no_news(here: Path, words: str) -> None:
    # More than a pipe holds, so that the reader has left before everything was written.
    (here / "much").write_bytes(bytes(1 << 20))
    cid = shell(f"{REDOXA} store put much").stdout.strip()
    done = shell(f"{REDOXA} {words.replace('CID', cid)} | head -c 0", PYTHONUNBUFFERED="")
    assert done.returncode in (0, 141)
    assert done.stderr == ""


@pytest.mark.parametrize("place", ["2>/dev/full", "2>&-"])
def test_messages_that_cannot_be_shown_change_nothing(here: Path, place: str) -> None:
    assert shell(f"{REDOXA} pack in.txt -o a.rdx {place}").returncode == 0
    assert shell(f"{REDOXA} unpack a.rdx -o b.txt {place}").returncode == 0
    assert (here / "b.txt").read_text() == "21\n"
    assert shell(f"{REDOXA} unpack a.rdx -o b.txt {place}").returncode == 3
    assert shell(f"{REDOXA} run -- true {place}").returncode == 0


def test_a_run_whose_output_went_nowhere_does_not_end_well(here: Path) -> None:
    line = f"{REDOXA} run -- {' '.join(ECHO[:2])} '{ECHO[2]}'"
    first = shell(f"{line} >/dev/full")
    assert first.returncode in (125, 141)
    assert "standard output could not be written (No space left on device)" in sentence(first)
    assert shell(line).stdout == "21\n"
    again = shell(f"{line} >/dev/full")
    assert again.returncode == 125
    assert "standard output cannot be written" in sentence(again)


def test_a_run_without_a_stream_is_not_reused_with_it(here: Path) -> None:
    line = f"{REDOXA} run -- sh -c 'echo hello; true'"
    assert "standard output was closed" in shell(f"{line} >&-").stderr
    assert shell(line).stdout == "hello\n"


# Names


HOSTILE = {
    "\x1b[31mred": r"\x1b[31mred",
    "two\nlines": r"two\nlines",
    "a\ttab": r"a\ttab",
    os.fsdecode(b"not\xffutf8"): r"not\xffutf8",
    "\x9bcsi": r"\x9bcsi",
}


@pytest.mark.parametrize("name", HOSTILE, ids=HOSTILE.values())
@pytest.mark.parametrize(
    "words",
    [
        ["pack"],
        ["inspect"],
        ["unpack", "-o", "x"],
        ["gene", "check"],
        ["gene", "print"],
        ["kernel", "show"],
        ["kernel", "check"],
        ["kernel", "build"],
        ["store", "put"],
        ["store", "get"],
        ["store", "demote"],
        ["store", "promote"],
        ["why"],
        ["why", "--"],
        ["run", "--"],
        ["run", "--script"],
        ["jit", "hint"],
        ["jit", "loop", "--"],
        ["ledger", "verify", "--checkpoint"],
        ["ledger", "show"],
        [],
    ],
    ids=" ".join,
)
def test_a_hostile_name_is_shown_spelled_out(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], name: str
) -> None:
    assert redoxa(*words, name) in (2, 3, 127)
    text = said(capsys)
    # Within quotation marks a message may spell the backslash of an escape twice.
    assert HOSTILE[name] in text.replace("\\\\", "\\").replace(r"\udcff", r"\xff")


def test_a_hostile_name_that_works_is_shown_spelled_out(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(HOSTILE):
        (here / name).write_text("x")
        assert redoxa("pack", name, "-o", f"{number}.rdx") == 0
        assert HOSTILE[name] in said(capsys)


def test_a_path_in_an_explanation_stays_on_its_line(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "two\nlines").write_text("x")
    command = ("--", "sh", "-c", "cat two*")
    assert redoxa("run", "-q", *command) == 0
    capfd.readouterr()
    assert redoxa("why", "--all", *command) == 0
    assert "  content: two\\nlines\n" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["pack", ""], 2),
        (["pack", "."], 2),
        (["pack", "/"], 2),
        (["unpack", ""], 3),
        (["unpack", "absent"], 3),
        (["pack", "in.txt", "-o", ""], 3),
        (["inspect", ""], 3),
        (["gene", "check", ""], 3),
        (["kernel", "check", ""], 3),
        (["store", "put", ""], 3),
        (["store", "put", "/dev/zero"], 3),
        (["store", "get", ""], 3),
        (["store", "demote", ""], 3),
        (["store", "promote", ""], 3),
        (["store", "demote", "--auto", "--free", ""], 2),
        (["run", "--", ""], 127),
        (["run", "--script", ""], 127),
        (["why", ""], 3),
        (["why", "--", "no-such-program"], 3),
        (["jit", "hint", ""], 3),
        (["--home", "", "store", "stat"], 2),
        (["ledger", "verify", "--checkpoint", ""], 3),
        (["run", "--", "a" * 300], 127),
        (["run", "--script", "a" * 300], 126),
        (["pack", "a" * 5000], 3),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else str(value),
)
def test_a_name_that_is_none_is_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    before = sorted(here.iterdir())
    assert redoxa(*words) == code
    assert "internal error" not in said(capsys)
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "code"),
    [("run -- true", 125), ("why -- true", 5), ("jit hint -- true", 5), ("--home h store stat", 5)],
)
def test_a_folder_that_was_deleted_is_named(here: Path, words: str, code: int) -> None:
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; {REDOXA} {words}")
    assert done.returncode == code
    assert "the folder you are in has been deleted; change to another one" in sentence(done)


def test_a_home_that_others_may_enter_holds_nothing_that_they_may_read(here: Path) -> None:
    home = Path(os.environ["REDOXA_HOME"])
    home.mkdir(mode=0o755)
    for text in ("1", "2"):
        (here / "in.txt").write_text(text)
        assert redoxa("run", "-q", "--", *ECHO) == 0
    assert (home / "stat.db").exists()
    shown = {path.name for path in home.rglob("*") if path.stat().st_mode & 0o077}
    assert shown == set()


def test_the_store_and_the_ledger_may_lie_elsewhere(here: Path, tmp_path: Path) -> None:
    home = Path(os.environ["REDOXA_HOME"])
    home.mkdir()
    for name in ("store", "ledger"):
        (tmp_path / "large disk" / name).mkdir(parents=True)
        (home / name).symlink_to(tmp_path / "large disk" / name)
    for _ in range(2):
        assert redoxa("run", "-q", "--", *ECHO) == 0
    assert redoxa("store", "verify") == 0
    assert redoxa("ledger", "verify") == 0
    pack = home / "store" / "packs" / "00000001.pack"
    pack.rename(tmp_path / "moved")
    pack.symlink_to(tmp_path / "moved")
    assert redoxa("store", "verify") != 0


# The command line


def wrong_lines() -> list[list[str]]:
    verbs = [["gene", "list"], ["kernel", "list"], ["store", "stat"], ["ledger", "log"]]
    return [
        ["teleport"],
        ["--frobnicate"],
        *([name, "--frobnicate"] for name in COMMANDS if name not in ("run", "why")),
        *([name] for name in COMMANDS),
        *([name, "explode"] for name in ("gene", "kernel", "jit", "ledger", "store")),
        *([*words, "more", "words"] for words in verbs),
        ["run", "--frobnicate", "--", "true"],
        ["why", "--frobnicate"],
        ["ledger", "show", "first"],
        ["ledger", "log", "-n", "many"],
    ]


@pytest.mark.parametrize("words", wrong_lines(), ids=" ".join)
def test_a_wrong_command_line_is_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    if words == ["why", "--frobnicate"]:
        assert redoxa(*words) in (2, 3)  # it may be a script's name
    else:
        assert redoxa(*words) == 2
    said(capsys)


def test_a_script_may_be_typed_wrongly(here: Path) -> None:
    for line, code in (
        ("scripts/run.py", 2),
        ("scripts/run.py --frobnicate in.txt", 2),
        ("scripts/run.py absent.py", 127),
        ("scripts/jit.py", 2),
        ("scripts/jit.py guess", 2),
        ("scripts/jit.py hint absent.py", 3),
    ):
        done = shell(f"{sys.executable} {ROOT}/{line}")
        assert done.returncode == code
        sentence(done)


def test_a_missing_interpreter_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = here / "tool"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert redoxa("run", "--", "./tool") == 126
    assert "the program that runs ./tool is missing; correct its #! line" in said(capsys)


# Places that refuse


def powerless(line: str) -> "subprocess.CompletedProcess[str]":
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("the superuser may read everything, and setpriv is missing")
    return shell(f"{_POWERLESS if os.getuid() == 0 else ''}{line}")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("pack secret", 3),
        ("unpack secret -o x", 3),
        ("inspect secret", 3),
        ("gene check secret", 3),
        ("gene print ./secret", 3),
        ("kernel show secret", 3),
        ("kernel check secret", 3),
        ("store put secret", 3),
        ("run --script secret", 126),
        ("run -- ./secret", 126),
        ("why secret", 3),
        ("jit hint secret", 3),
        ("ledger verify --checkpoint secret", 3),
        ("pack in.txt -o locked/x", 3),
        ("pack locked/x", 3),
    ],
)
def test_what_may_not_be_read_or_written_is_a_sentence(here: Path, words: str, code: int) -> None:
    (here / "secret").write_text("x")
    (here / "secret").chmod(0)
    (here / "locked").mkdir(mode=0)
    done = powerless(f"{REDOXA} {words}")
    (here / "locked").chmod(0o700)
    assert done.returncode == code
    sentence(done)


STATEFUL = [
    ("store stat", 3),
    ("store put in.txt", 3),
    ("store demote --auto", 3),
    ("ledger log", 3),
    ("ledger verify", 3),
    ("jit status", 3),
    ("jit hint -- true", 3),
    ("why -- true", 3),
    ("run -- true", 125),
]


@pytest.mark.parametrize(("words", "code"), STATEFUL)
def test_a_home_that_is_a_file_is_a_sentence(here: Path, words: str, code: int) -> None:
    done = shell(f"{REDOXA} {words}", REDOXA_HOME=str(here / "in.txt"))
    assert done.returncode == code
    assert "name another with --home or REDOXA_HOME" in sentence(done)
    assert (here / "in.txt").read_text() == "21\n"


@pytest.mark.parametrize(("words", "code"), STATEFUL)
def test_a_home_that_may_not_be_written_is_a_sentence(here: Path, words: str, code: int) -> None:
    home = Path(os.environ["REDOXA_HOME"])
    home.mkdir(mode=0o500)
    done = powerless(f"{REDOXA} {words}")
    assert done.returncode in (code, 5)
    assert "Permission denied" in sentence(done)


@pytest.mark.parametrize(("words", "code"), [("store verify", 3), *STATEFUL])
def test_a_full_disk_is_a_sentence(here: Path, words: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "redoxa", *words.split()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # No file may grow: a write fails as on a full disk.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    assert done.returncode == (code if code == 125 else 5)
    sentence(done)


# Damage


def spoilt(home: Path) -> Sequence[tuple[Path, bytes]]:
    """Each file of a home, cut, emptied and with a bit flipped."""
    cases: list[tuple[Path, bytes]] = []
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if not data:
            continue
        middle = len(data.rstrip(b"\0")) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :]
        cases += [(path, data[:middle]), (path, b""), (path, flipped)]
    return cases


def test_a_spoilt_home_is_told_in_a_sentence_and_never_a_crash(
    here: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home = Path(os.environ["REDOXA_HOME"])
    for text in ("1\n", "2\n"):
        (here / "in.txt").write_text(text)
        assert redoxa("run", "-q", "--", *ECHO) == 0
        assert redoxa("store", "put", "in.txt") == 0
    for path, data in spoilt(home):
        copy = tmp_path / "copy"
        shutil.copytree(home, copy)
        (copy / path.relative_to(home)).write_bytes(data)
        for words in (
            ["store", "stat"],
            ["ledger", "verify"],
            ["ledger", "log"],
            ["why", "--", *ECHO],
            ["jit", "status"],
            ["jit", "hint", "--", *ECHO],
        ):
            capfd.readouterr()
            code = redoxa("--home", copy, *words)
            err = capfd.readouterr().err
            assert code in (0, 1, 4), (path, words, err)
            assert err.count("\n") == (1 if code == 4 else 0), (path, words, err)
        # Whatever is lost, the work can still be done, or a sentence says why not.
        (here / "out.txt").unlink(missing_ok=True)
        code = redoxa("--home", copy, "run", "--", *ECHO)
        assert code in (0, 125), (path, capfd.readouterr().err)
        assert code == 125 or (here / "out.txt").read_text() == "2\n"
        shutil.rmtree(copy)


def test_a_damaged_environment_key_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = Path(os.environ["REDOXA_HOME"])
    home.mkdir()
    (home / "environment.key").write_bytes(b"short")
    assert redoxa("why", "--", "true") == 4
    assert "environment.key is damaged: it holds 5 bytes instead of 32; delete it" in said(capsys)


# Interruptions


def interrupted(words: Sequence[str], feed: bytes, ready: bytes) -> tuple[int, str]:
    """Start a command, wait until it is well under way, and press Ctrl-C."""
    child = subprocess.Popen(
        [sys.executable, "-m", "redoxa", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    # More than a pipe holds: when all is written, the command is reading.
    child.stdin.write(feed)
    child.stdin.flush()
    assert child.stdout.read(len(ready)) == ready
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    return child.returncode, err.decode()


def test_ctrl_c_leaves_no_half_file(here: Path) -> None:
    code, err = interrupted(["pack", "-", "-o", "out.rdx"], bytes(1 << 20), b"")
    assert (code, err) == (130, "redoxa: interrupted\n")
    assert [path.name for path in here.iterdir()] == ["in.txt"]


def test_ctrl_c_reaches_the_program_of_a_run(here: Path) -> None:
    line = "echo ready; cat >/dev/null; sleep 60"
    code, err = interrupted(["run", "--", "sh", "-c", line], b"", b"ready\n")
    assert code == 130
    assert err.startswith("redoxa: not reusable: ")
    assert err.count("\n") == 1
    assert redoxa("ledger", "verify") == 0
    assert redoxa("store", "verify") == 0
