"""Names that are hostile, none or gone: spelled out, refused in a sentence, shown to nobody."""

import os
from pathlib import Path

import pytest

from tests.manners.shell import ECHO, REDOXA, redoxa, said, sentence, shell

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
        ["graph"],
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
        assert redoxa("pack", name, "-g", "bytes", "-o", f"{number}.rdx") == 0
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
