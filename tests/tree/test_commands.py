"""`redoxa store add` and `checkout` as they are typed."""

import json
import os
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.local import LocalStore
from tests.store_command import refusal, store
from tests.tree.conftest import look

VECTORS = Path(__file__).parent / "vectors"
MIB = 1 << 20


@pytest.fixture
def folder(home: Path) -> Path:
    folder = home.parent / "photos"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "large").write_bytes(os.urandom(3 * MIB + 1))
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o755)
    (folder / "link").symlink_to("a/large")
    return folder


def test_a_folder_comes_back_by_its_cid_and_by_its_root(
    folder: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store("add", "photos", "--root", "mine") == 0
    captured = capsys.readouterr()
    assert captured.err == "redoxa: photos: 4 entries, 3.15 MB\n"
    cid = Cid.parse(captured.out.strip())
    with LocalStore(home / "store") as kept:
        assert kept.root("mine") == cid
        assert kept.verify().ok
    assert store("checkout", cid, "one", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "cid": str(cid),
        "folder": "one",
        "entries": 4,
        "size_bytes": 3 * MIB + 11,
    }
    assert store("checkout", "mine", "two", "--quiet") == 0
    assert look(Path("one")) == look(Path("two")) == look(folder)
    assert capsys.readouterr() == ("", "")


def test_a_tree_goes_through_a_car(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store("add", folder, "--root", "mine")
    cid = capsys.readouterr().out.strip()
    assert store("export", "mine", "-o", "mine.car") == 0
    assert store("import", "mine.car", "--home", "other") == 0
    assert store("checkout", cid, "copy", "--home", "other") == 0
    assert look(Path("copy")) == look(folder)


def test_an_archive_is_unpacked_up_to_a_limit(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store("add", VECTORS / "case.zip") == 0
    cid = capsys.readouterr().out.strip()
    assert store("add", VECTORS / "case.zip", "--max-bytes", "9") == 3
    assert "case.zip unpacks to more than 9 bytes" in refusal(capsys)
    assert store("checkout", cid, "out", "--max-bytes", "9") == 3
    assert "takes 10 bytes, over the limit of 9" in refusal(capsys)
    assert not Path("out").exists()


def test_a_refused_archive_binds_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert store("add", VECTORS / "rel.zip", "--root", "mine") == 3
    assert "'../evil' in rel.zip has the part '..'" in refusal(capsys)
    with LocalStore(home / "store") as kept:
        assert list(kept.roots()) == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["add", "missing"], 3, "missing cannot be read (No such file"),
        (["add", "/dev/null"], 3, "is neither a folder nor a file"),
        (["add", "plain"], 3, "plain is no sound tar or zip archive"),
        (["add", "plain", "--max-bytes", "lots"], 2, "'lots' is not a number of bytes"),
        (["checkout", "nothing", "out"], 3, "'nothing' is neither a CID nor a root"),
        (["checkout", str(Cid.of(b"raw")), "out"], 3, "is no tree; `redoxa store add` makes one"),
        (["checkout", "x", "plain/out"], 3, "neither a CID nor a root"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    home: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("plain").write_text("no archive\n")
    assert store(*words) == code
    assert says in refusal(capsys)
    assert {path.name for path in Path().iterdir()} <= {"home", "plain"}
