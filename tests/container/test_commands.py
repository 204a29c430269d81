"""pack, unpack, inspect and gene as typed: files appear whole or not at all."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cid_store.errors import UnavailableError
from ring2_orchestrator.commands import main
from ring2_orchestrator.container import spooled

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
AUDIO = SAMPLES / "instrument.i16"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    return tmp_path


def redoxa(*words: object) -> int:
    return main([str(word) for word in words])


def sentence(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("redoxa: ")
    return lines[0]


@pytest.fixture
def container(here: Path) -> Path:
    assert redoxa("pack", AUDIO, "-o", "a.rdx", "-q", "--gene", "audio_mono") == 0
    return here / "a.rdx"


def test_a_file_goes_there_and_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "tone.i16").write_bytes(AUDIO.read_bytes())
    assert redoxa("pack", "tone.i16") == 0
    assert "tone.i16: 16 kB became" in capsys.readouterr().err
    (here / "tone.i16").unlink()
    assert redoxa("unpack", "tone.i16.rdx") == 0
    assert (here / "tone.i16").read_bytes() == AUDIO.read_bytes()
    assert sorted(path.name for path in here.iterdir()) == ["tone.i16", "tone.i16.rdx"]


def test_answers_in_json(container: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert redoxa("pack", AUDIO, "-o", "b.rdx", "--gene", "audio_mono", "--json") == 0
    packed = json.loads(capsys.readouterr().out)
    assert redoxa("inspect", "b.rdx", "--json") == 0
    seen = json.loads(capsys.readouterr().out)
    assert redoxa("unpack", "b.rdx", "-o", "b.out", "--json") == 0
    unpacked = json.loads(capsys.readouterr().out)
    size = container.stat().st_size
    assert packed["container_bytes"] == seen["container_bytes"] == size
    assert packed["mdl_bits"] == seen["mdl_bits"] == 8 * size
    assert packed["plan"] == seen["plan"]
    assert packed["original"] == seen["original"] == unpacked["original"]
    assert sum(part["bytes"] for part in seen["parts"]) == size
    assert seen["data_verified"] is False


def test_inspect_shows_a_gene_that_makes_the_plan_again(
    container: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    redoxa("inspect", container, "--json")
    seen = json.loads(capsys.readouterr().out)
    (here / "seen.gene").write_text(seen["gene"])
    assert redoxa("pack", AUDIO, "-o", "c.rdx", "--gene", "seen.gene", "-q") == 0
    assert (here / "c.rdx").read_bytes() == container.read_bytes()


def test_inspect_speaks_to_people(container: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert redoxa("inspect", container) == 0
    text = capsys.readouterr().out
    assert "original   16,000 bytes, b" in text
    assert "input x: u16\n" in text
    assert "stream 1" in text
    assert "verified   header and sizes; the data only when it is unpacked\n" in text


@pytest.mark.parametrize("command", ["inspect", "explain"])
def test_what_was_cut_short_is_not_shown(
    command: str, container: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for change in (container.read_bytes()[:-1], container.read_bytes() + b"\0"):
        (here / "cut.rdx").write_bytes(change)
        assert redoxa(command, "cut.rdx") == 4
        assert "cut short or damaged" in sentence(capsys)


def test_a_stored_file_is_inspected_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "tiny").write_bytes(b"abc")
    assert redoxa("pack", "tiny", "-q") == 0
    assert redoxa("inspect", "tiny.rdx") == 0
    assert "stored as it is" in capsys.readouterr().out


@pytest.mark.parametrize("size", [0, 1])
def test_the_smallest_files_go_there_and_back(here: Path, size: int) -> None:
    (here / "small").write_bytes(b"x" * size)
    assert redoxa("pack", "small", "-o", "small.rdx", "-q") == 0
    assert redoxa("unpack", "small.rdx", "-o", "back", "-q") == 0
    assert (here / "back").read_bytes() == b"x" * size


def test_an_existing_file_is_left_alone_without_force(
    container: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mine").write_text("precious")
    (here / "mine").chmod(0o640)
    for words in (["pack", AUDIO], ["unpack", container]):
        assert redoxa(*words, "-o", "mine") == 3
        assert "mine exists; give --force to replace it" in sentence(capsys)
        assert (here / "mine").read_text() == "precious"
    assert redoxa("unpack", container, "-o", "mine", "--force", "-q") == 0
    assert (here / "mine").read_bytes() == AUDIO.read_bytes()
    assert (here / "mine").stat().st_mode & 0o777 == 0o640


def test_a_link_that_is_replaced_stays_a_link(container: Path, here: Path) -> None:
    (here / "target").write_text("old")
    (here / "link").symlink_to("target")
    assert redoxa("unpack", container, "-o", "link", "--force", "-q") == 0
    assert (here / "link").is_symlink()
    assert (here / "target").read_bytes() == AUDIO.read_bytes()


def test_the_input_is_never_its_own_output(
    container: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = container.read_bytes()
    assert redoxa("unpack", container, "-o", container, "--force") == 3
    assert "both input and output" in sentence(capsys)
    assert container.read_bytes() == before


@pytest.mark.parametrize("command", ["pack", "unpack", "inspect"])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "does not exist"),
        ("directory", "is a directory; name one file"),
        ("fifo", "is not a regular file"),
        ("device", "is not a regular file"),
        ("under a file", "cannot be opened (Not a directory)"),
        ("bad name", "cannot be opened (embedded null byte)"),
    ],
)
def test_an_input_that_cannot_be_used_is_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str, says: str
) -> None:
    (here / "file").write_bytes(b"")
    (here / "folder").mkdir()
    os.mkfifo(here / "pipe")
    path = {
        "missing": "nothing",
        "directory": "folder",
        "fifo": "pipe",
        "device": "/dev/zero",
        "under a file": "file/below",
        "bad name": "a\0b",
    }[kind]
    if (command, kind) == ("pack", "directory"):
        return  # that can be packed
    words = [command, path] if command == "inspect" else [command, path, "-o", "out"]
    assert redoxa(*words) == 3
    assert says in sentence(capsys)
    assert not (here / "out").exists()


@pytest.mark.usefixtures("powerless")
def test_an_unreadable_file_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "secret").write_bytes(b"x")
    (here / "secret").chmod(0)
    assert redoxa("pack", "secret") == 3
    assert "secret cannot be opened (Permission denied)" in sentence(capsys)


@pytest.mark.parametrize(
    ("output", "code", "says"),
    [
        ("folder", 3, "is a directory"),
        ("nowhere/out", 3, "there is no folder nowhere"),
        ("/dev/null", 3, "is not a regular file"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], output: str, code: int, says: str
) -> None:
    (here / "folder").mkdir()
    assert redoxa("pack", AUDIO, "-o", output, "--force") == code
    assert says in sentence(capsys)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    container: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        code = redoxa("unpack", container, "-o", "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert code == 5
    assert "out cannot be written: File too large" in sentence(capsys)
    assert sorted(path.name for path in here.iterdir()) == ["a.rdx"]


def test_an_input_that_cannot_be_kept_meanwhile_says_where() -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(UnavailableError, match=r"it cannot be kept in .*; make room there"):
            spooled(io.BytesIO(bytes(9_000)), "it").__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("at", [0, 4, 5, 20, 45, 60, 90, 500, -1])
def test_a_flipped_bit_leaves_no_output(
    container: Path, here: Path, capsys: pytest.CaptureFixture[str], at: int
) -> None:
    damaged = bytearray(container.read_bytes())
    damaged[at] ^= 8
    (here / "damaged.rdx").write_bytes(damaged)
    assert redoxa("unpack", "damaged.rdx", "-o", "out") == 4
    assert "damaged.rdx" in sentence(capsys)
    assert sorted(path.name for path in here.iterdir()) == ["a.rdx", "damaged.rdx"]


def test_a_damaged_container_keeps_the_file_it_would_replace(
    container: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "out").write_text("precious")
    (here / "cut.rdx").write_bytes(container.read_bytes()[:-100])
    assert redoxa("unpack", "cut.rdx", "-o", "out", "--force") == 4
    assert "cut short or damaged" in sentence(capsys)
    assert (here / "out").read_text() == "precious"


def test_a_gene_with_a_typo_says_where(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.gene").write_text("input x: u8\nemit x |> dleta\n")
    assert redoxa("pack", AUDIO, "-o", "out", "--gene", "mine.gene") == 3
    message = capsys.readouterr().err
    assert message.splitlines()[0] == (
        "redoxa: mine.gene:2:11: no kernel named 'dleta'; did you mean 'delta'?"
    )
    assert not (here / "out").exists()
    assert redoxa("gene", "check", "mine.gene", "--json") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["genes"][0]["line"] == 2
    assert "did you mean 'delta'?" in captured.err


@pytest.mark.parametrize("letter", ["a", "é", "\N{OWL}", os.fsdecode(b"\xff")])
def test_the_longest_names_are_written(
    container: Path, here: Path, letter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = letter * (250 // len(os.fsencode(letter)))
    assert redoxa("unpack", container, "-q", "-o", longest) == 0
    assert (here / longest).read_bytes() == AUDIO.read_bytes()
    (here / "folder").mkdir()
    assert redoxa("pack", "folder", "-q", "--gene", "store") == 0
    assert redoxa("unpack", "folder.rdx", "-q", "-o", f"{longest}2") == 0
    assert (here / f"{longest}2").is_dir()


@pytest.mark.parametrize("given", ["x", "-1", "1_0", "1.5", "", "99999999999", "٣"])
def test_a_budget_that_is_no_number_is_one_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    assert redoxa("pack", AUDIO, "-o", "out", f"--budget={given}") == 2
    assert f"{given!r} is not a number from 0 to 1,000,000,000" in sentence(capsys)


def test_an_unknown_gene_is_one_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert redoxa("pack", AUDIO, "-o", "out", "--gene", "audio") == 3
    assert "no gene named 'audio'" in sentence(capsys)


def test_genes_are_listed_checked_and_printed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redoxa("gene", "list") == 0
    assert "audio_mono" in capsys.readouterr().out
    assert redoxa("gene", "print", "series_u16") == 0
    text = capsys.readouterr().out
    (here / "printed.gene").write_text(text.partition("\n\n")[0] + "\n")
    assert redoxa("gene", "check", "printed.gene") == 0
    assert "sound" in capsys.readouterr().out


def test_storing_can_be_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert redoxa("pack", AUDIO, "-o", "s.rdx", "--gene", "store", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["plan"] is None
    assert answer["container_bytes"] <= 16_000 + 64


def test_an_output_for_standard_input_must_be_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert redoxa("pack", "-") == 2
    assert "name it with -o" in sentence(capsys)
    assert redoxa("pack", AUDIO, "-o", "-", "--json") == 2
    assert "--json and -o -" in sentence(capsys)


@pytest.mark.slow
def test_pipes_in_and_out(here: Path) -> None:
    def pipe(command: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
        words = [sys.executable, "-m", "redoxa", command, "-", "-o", "-"]
        return subprocess.run(
            words, input=data, capture_output=True, check=False, timeout=60, cwd=ROOT
        )

    packed = pipe("pack", AUDIO.read_bytes())
    assert packed.returncode == 0
    assert pipe("unpack", packed.stdout).stdout == AUDIO.read_bytes()
    damaged = bytearray(packed.stdout)
    damaged[-1] ^= 1
    refused = pipe("unpack", bytes(damaged))
    assert refused.returncode == 4
    assert refused.stdout == b"", "nothing unverified reaches the pipe"


@pytest.mark.slow
def test_the_same_input_gives_the_same_container_in_any_process(here: Path) -> None:
    made: set[bytes] = set()
    for seed in ("1", "2"):
        output = here / f"{seed}.rdx"
        words = [sys.executable, "-m", "redoxa", "pack", str(AUDIO), "-o", str(output), "-q"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(words, env=environment, check=True, timeout=60, cwd=ROOT)
        made.add(output.read_bytes())
    assert len(made) == 1


def test_a_range_is_unpacked_alone(
    container: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = AUDIO.read_bytes()
    for given, wanted in (("10:20", whole[10:20]), (":7", whole[:7]), ("15990:", whole[15_990:])):
        assert redoxa("unpack", container, "-o", "part", "--range", given, "-f", "-q") == 0
        assert (here / "part").read_bytes() == wanted
    assert redoxa("unpack", container, "--range", "0:1") == 2
    assert "name where it goes with -o" in sentence(capsys)
    assert redoxa("unpack", container, "-o", "x", "--range", "15990:16001") == 3
    assert "holds 16,000 bytes, and none from 15,990 to 16,001" in sentence(capsys)
    assert redoxa("unpack", container, "-o", "x", "--range", "1-2") == 2
    assert "'1-2' is no range of bytes" in capsys.readouterr().err
