"""Streams that are closed or full: one clear sentence, a documented exit code, nothing lost."""

from pathlib import Path

import pytest

from tests.manners.shell import ECHO, REDOXA, sentence, shell


@pytest.mark.parametrize("buffering", ["", "1"])
@pytest.mark.parametrize(
    ("place", "says"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
@pytest.mark.parametrize(
    "words", ["--help", "kernel list", "store put in.txt", "jit status --json", "log --json"]
)
def test_an_output_that_cannot_be_written_is_a_sentence(
    here: Path, words: str, place: str, says: str, buffering: str
) -> None:
    done = shell(f"{REDOXA} {words} {place}", PYTHONUNBUFFERED=buffering)
    assert done.returncode == 5
    assert f"standard output cannot be written ({says})" in sentence(done)


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_an_output_that_lacks_a_character_gets_another(here: Path, locale: dict[str, str]) -> None:
    done = shell(f"seq 9999 > n; {REDOXA} pack -q n -o n.rdx; {REDOXA} explain n.rdx", **locale)
    assert (done.returncode, done.stderr) == (0, "")
    assert "`- " in done.stdout


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
    assert shell(f"{REDOXA} pack in.txt -g bytes -o a.rdx {place}").returncode == 0
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
