"""`redoxa store`: data on stdout, messages on stderr, one sentence when something is wrong."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.local import LocalStore
from ring2_orchestrator.commands import main
from ring2_orchestrator.report import Report
from tests.cid_store.test_store import random_bytes


class Shell:
    """One home, and the commands typed at it."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        self.home = folder / "home"
        self.folder = folder
        self._capture = capture

    def __call__(self, *words: str) -> tuple[int, bytes, str]:
        code = main(["store", *words, "--home", str(self.home)])
        out, err = self._capture.readouterr()
        return code, out, err.decode()


@pytest.fixture
def shell(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    return Shell(tmp_path, capfdbinary)


def test_put_prints_the_name_and_get_gives_the_bytes(shell: Shell) -> None:
    file = shell.folder / "data"
    file.write_bytes(b"a\0b\n")
    name = Cid.of(b"a\0b\n")
    assert shell("put", str(file)) == (0, f"{name}\n".encode(), "")
    assert shell("get", str(name)) == (0, b"a\0b\n", "")


def test_put_reads_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped")))
    assert shell("put", "-")[:2] == (0, f"{Cid.of(b'piped')}\n".encode())


def test_get_writes_a_file_and_overwrites_only_when_told(shell: Shell) -> None:
    file = shell.folder / "data"
    file.write_bytes(b"kept")
    shell("put", str(file))
    name = str(Cid.of(b"kept"))
    out = shell.folder / "out"
    code, data, message = shell("get", name, "-o", str(out))
    assert (code, data, message) == (0, b"", f"redoxa: {out}: 4 B\n")
    assert out.read_bytes() == b"kept"
    out.write_bytes(b"changed")
    code, _, message = shell("get", name, "-o", str(out))
    assert (code, out.read_bytes()) == (3, b"changed")
    assert "exists; give --force to replace it" in message
    assert shell("get", name, "-o", str(out), "--force")[0] == 0
    assert out.read_bytes() == b"kept"
    assert sorted(path.name for path in shell.folder.iterdir()) == ["data", "home", "out"]


def test_a_large_file_goes_through_in_parts_and_damage_gives_no_file(shell: Shell) -> None:
    data = random_bytes((3 << 20) + 7)
    file, out = shell.folder / "data", shell.folder / "out"
    file.write_bytes(data)
    name = str(Cid.of(data))
    assert shell("put", str(file)) == (0, f"{name}\n".encode(), "")
    assert shell("get", name) == (0, data, "")
    assert shell("get", name, "-o", str(out))[0] == 0
    assert out.read_bytes() == data
    pack = shell.home / "store" / "packs" / "00000001.pack"
    pack.write_bytes(pack.read_bytes().replace(data[2 << 20 : (2 << 20) + 9], bytes(9)))
    code, _, message = shell("get", name, "-o", str(out), "--force")
    assert code == 4
    assert str(Cid.of(data[2 << 20 : 3 << 20])) in message
    assert out.read_bytes() == data
    code, some, _ = shell("get", name)
    assert (code, some) == (4, data[: 2 << 20])  # nothing that was not checked is given


class Terminal(io.StringIO):
    """A text file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("after_s", "shown"), [(3600.0, False), (1e-9, True), (0.0, True)])
def test_a_bar_is_shown_to_who_waits(
    after_s: float, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with Report(err=terminal).progress("put", total=10, after_s=after_s) as advance:
        advance(4)
        advance(6)
    assert ("put" in terminal.getvalue()) == shown


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["put", "absent"], 3, "absent cannot be read (No such file or directory); name a file"),
        (["put", "."], 3, ". cannot be read (Is a directory); name a file"),
        (["get", "nonsense"], 3, "'nonsense' is neither a CID nor a root of the store"),
        (["get", str(Cid.of(b"never put"))], 3, "is not in the store at"),
        (["get", str(Cid.of(b"")), "-o", "no/such/folder"], 3, "is not in the store at"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    shell: Shell, words: list[str], code: int, sentence: str
) -> None:
    found, out, message = shell(*words)
    assert (found, out) == (code, b"")
    assert sentence in message
    assert message.count("\n") == 1


def test_what_a_root_names_is_got_by_its_name(shell: Shell) -> None:
    with LocalStore(shell.home / "store") as store:
        store.set_root("data", store.put(b"12345"))
    assert shell("get", "data")[:2] == (0, b"12345")


def test_an_unwritable_target_leaves_nothing(shell: Shell) -> None:
    file = shell.folder / "data"
    file.write_bytes(b"x")
    shell("put", str(file))
    code, _, message = shell("get", str(Cid.of(b"x")), "-o", str(shell.folder / "no" / "out"))
    assert code == 3
    assert "cannot be written" in message


def test_stat_gives_each_sum_a_name_of_its_own(shell: Shell) -> None:
    _, out, _ = shell("stat")
    labels = [re.split(r"\s{2,}", line.strip())[0] for line in out.decode().splitlines()]
    tiers = {"bytes when read", "bytes of their records", "debt"}
    sums = [label for label in labels if label not in {"raw", "node"} | tiers]
    assert tiers < set(labels)
    assert len(set(sums)) == len(sums)


def test_stat_and_verify_answer_in_json(shell: Shell) -> None:
    with LocalStore(shell.home / "store") as store:
        store.set_root("a", store.put(b"12345"))
    code, out, _ = shell("stat", "--json")
    stat = json.loads(out)
    assert code == 0
    assert {key: stat[key] for key in ("objects", "object_bytes", "roots", "packs")} == {
        "objects": 1,
        "object_bytes": 5,
        "roots": 1,
        "packs": 1,
    }
    code, out, _ = shell("verify", "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    assert shell("verify")[1] == b"1 objects, 5 B, 1 roots: all sound\n"


def test_verify_names_what_is_damaged(shell: Shell) -> None:
    with LocalStore(shell.home / "store") as store:
        cid = store.put(b"12345")
    pack = shell.home / "store" / "packs" / "00000001.pack"
    pack.write_bytes(pack.read_bytes().replace(b"12345", b"12346"))
    code, out, message = shell("verify")
    assert (code, out) == (4, b"0 objects, 0 B, 0 roots sound; damage found\n")
    assert f"object {cid} is corrupt: its 5 bytes at offset 128 of" in message
    code, out, message = shell("get", str(cid))
    assert (code, out) == (4, b"")
    assert "put the same bytes again to repair it" in message
    file = shell.folder / "data"
    file.write_bytes(b"12345")
    assert shell("put", str(file))[0] == 0
    assert shell("verify")[0] == 0


def test_an_empty_name_is_refused_before_anything_is_kept(shell: Shell) -> None:
    file = shell.folder / "data"
    file.write_bytes(b"kept")
    for words in (("put", str(file)), ("add", str(shell.folder))):
        code, out, message = shell(*words, "--root", "")
        assert (code, out, "--root: '' is no name of a root" in message) == (2, b"", True)
    code, _, message = shell("put", "")
    assert (code, message.startswith("redoxa: '' is no name of a file")) == (3, True)


@pytest.mark.parametrize(
    "words",
    [
        ("get", "b{}"),
        ("checkout", "b{}", "new"),
        ("export", "b{}", "-o", "new.car"),
        ("push", "file:///nowhere", "b{}"),
    ],
)
def test_a_long_word_is_cut_where_it_is_said(shell: Shell, words: tuple[str, ...]) -> None:
    code, _, message = shell(*[word.format("a" * 120_000) for word in words])
    assert code == 3
    assert len(message) < 400
