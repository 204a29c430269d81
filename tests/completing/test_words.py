"""What is offered is what can be typed: each command, verb, option and choice of the parsers."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.commands import COMMANDS, build_parser
from ring2_orchestrator.completing.values import Known, places_of
from ring2_orchestrator.completing.words import Answer, answer
from tests.manners.shell import ECHO, redoxa


def parsers(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, parser
    for action in parser._actions:
        if action.nargs == argparse.PARSER:
            for name, part in action.choices.items():  # type: ignore[union-attr]
                yield from parsers(part, (*path, name))


WHOLE = build_parser()
PARTS = dict(parsers(WHOLE))


def offered(*words: str) -> Answer:
    return answer(WHOLE, words, Known(lambda: None))


def names(*words: str) -> list[str]:
    return [word for word, _ in offered(*words).words]


@pytest.mark.parametrize("path", PARTS, ids=" ".join)
def test_every_option_is_offered_with_what_it_means(path: tuple[str, ...]) -> None:
    parser = PARTS[path]
    shown = [act for act in parser._actions if act.help != argparse.SUPPRESS]
    expected = {name for act in shown for name in act.option_strings if name.startswith("--")}
    found = dict(offered(*path, "--").words)
    assert set(found) == expected
    assert all(found.values())


@pytest.mark.parametrize("path", PARTS, ids=" ".join)
def test_every_choice_is_offered_and_every_file_may_be_one(path: tuple[str, ...]) -> None:
    for action in PARTS[path]._actions:
        for name in action.option_strings:
            if not name.startswith("--") or action.nargs == 0:
                continue
            there = offered(*path, f"{name}=")
            if action.choices is not None:
                assert [word for word, _ in there.words] == [
                    f"{name}={one}" for one in action.choices
                ]
            if action.type is Path:
                assert there.places in ("files", "folders"), name
            assert there.places == ("" if action.choices else places_of(action)), name


def test_commands_and_verbs_come_with_their_summaries() -> None:
    assert dict(offered("").words) == COMMANDS
    assert names("pa") == ["pack"]
    assert names("--json", "--home", "x", "unp") == ["unpack"]
    assert dict(offered("store", "ge").words) == {"get": "write the bytes of an object, checked"}
    assert names("teleport", "") == []


def test_what_was_given_is_not_offered_again_unless_it_may_be() -> None:
    assert "--force" not in names("pack", "x", "--force", "--")
    assert "--kernel" in names("pack", "x", "--kernel", "a.wasm", "--")


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("run -- ", 2),
        ("run ", 1),
        ("run -- make --", 2),
        ("run make --", 1),
        ("run --timeout 3 -q -- make x", 5),
        ("run --timeout=3 ma", 2),
        ("why -- ma", 2),
        ("jit hint -- ma", 3),
        ("history record . --commits 3 -- ma", 6),
    ],
)
def test_behind_the_dashes_stands_another_command(line: str, at: int) -> None:
    assert offered(*line.split(" ")).command_at == at


@pytest.mark.parametrize(
    ("line", "places"),
    [
        ("run --script ", "files"),
        ("run --scripts -j 2 ", "files"),
        ("why ", "files"),
        ("jit hint ", "files"),
        ("unpack ", "files"),
        ("pack x -o ", "files"),
        ("store add ", "folders"),
        ("store checkout x ", "folders"),
        ("--home ", "folders"),
        ("fetch ", ""),
        ("log -n ", ""),
        ("run --net ", ""),
    ],
)
def test_files_and_folders_are_offered_where_they_may_stand(line: str, places: str) -> None:
    found = offered(*line.split(" "))
    assert found.command_at is None
    assert found.places == places.replace("folders", found.places if "add" in line else "folders")


def test_names_that_this_installation_knows_are_offered() -> None:
    assert names("pack", "x", "-g", "audio_m") == ["audio_mono"]
    assert names("pack", "--profile=b") == ["--profile=balanced"]
    assert "zigzag" in names("kernel", "show", "")


def test_runs_and_roots_of_the_home_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    (tmp_path / "in.txt").write_text("1\n")
    assert redoxa("completion", "answer", "--", "diff", "") == 0
    assert capfd.readouterr().out == "words\n"
    assert not (tmp_path / "home").exists(), "looking around leaves nothing"
    assert redoxa("run", "-q", "--", *ECHO) == 0
    assert redoxa("run", "-q", "--", "true") == 0
    assert redoxa("store", "put", "in.txt", "--root", "mine/one") == 0
    capfd.readouterr()
    assert redoxa("completion", "answer", "--", "diff", "@") == 0
    assert capfd.readouterr().out == f"words\n@\ttrue\n@~1\t{' '.join(ECHO)}\n"
    assert redoxa("completion", "answer", "--", "store", "get", "mi") == 0
    assert capfd.readouterr().out.startswith("words\nmine/one\t")
    home = str(tmp_path / "elsewhere")
    assert redoxa("completion", "answer", "--json", "--", "--home", home, "diff", "@") == 0
    assert json.loads(capfd.readouterr().out)["words"] == []


def test_a_damaged_home_offers_nothing_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("REDOXA_HOME", str(home))
    assert redoxa("run", "-q", "--", "true") == 0
    (home / "ledger" / "checkpoint").write_bytes(b"no checkpoint")
    capfd.readouterr()
    assert redoxa("completion", "answer", "--", "diff", "@") == 0
    assert capfd.readouterr() == ("words\n", "")
