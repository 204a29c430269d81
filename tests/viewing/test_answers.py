"""What the page is told agrees with the commands, and is bounded however long a ledger is."""

import json
from pathlib import Path

import pytest

from cid_store.encoding import NodeLike
from ring2_orchestrator.commands import _view_answers, main
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.leaf import Draft
from tests.viewing.serving import HOSTILE, ask, entry, fill, serving


def said(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, object]:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_home_in_which_nothing_ran_has_its_answers(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        assert ask(server, "/api/home").value["entries"] == 0
        assert ask(server, "/api/entries").value == {"entries": []}
        assert ask(server, "/api/forecasts").value["runs"] == 0
        assert ask(server, "/api/store").status in (200, 404)
        assert ask(server, "/api/entry?seq=0").status == 404


def test_pages_of_the_time_line_are_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    fill(home, 700)
    log = said(capsys, "--home", home, "log", "--all", "--json")["runs"]
    assert isinstance(log, list)
    with serving(home) as server:
        found: list[dict[str, object]] = []
        while True:
            before = f"&before={found[-1]['seq']}" if found else ""
            page = ask(server, f"/api/entries?count=256{before}").value["entries"]
            assert isinstance(page, list)
            if not page:
                break
            found += page
    assert [(row["seq"], row["outcome"], row["exit"], row["wall"]) for row in found] == [
        (run["entry"], run["outcome"], run["exit_code"], run["wall_s"]) for run in log
    ]
    assert {row["doubt"] for row in found if row["outcome"] == "not reusable"} == {
        "it asked a clock"
    }


def test_new_entries_are_seen_and_old_ones_beyond_the_bound_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_view_answers, "MOST_SHOWN", 300)
    home = tmp_path / "home"
    fill(home, 400)
    with serving(home) as server:
        assert ask(server, "/api/home").value["first"] == 100
        fill(home, 30)
        told = ask(server, "/api/home").value
        assert (told["entries"], told["first"]) == (300, 130)
        rows = ask(server, "/api/entries?count=5000").value["entries"]
        assert isinstance(rows, list)
        assert [row["seq"] for row in rows] == [*range(429, 129, -1)]


def test_entries_of_other_kinds_and_hostile_ones_are_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fill(home, 1, [HOSTILE.encode(), b"\xff\x1b[31m"])
    with Home(home) as opened:
        opened.ledger.append([{"any": [1, b"\xff", None]}], kind="tier", subject=HOSTILE)
        opened.ledger.append([{"number": 1}], kind="run", subject="no run at all")
        odd: dict[str, NodeLike] = entry(1) | {
            "wall_s": float("inf"),
            "command": [b"x" * 100_000],
            "verdict": HOSTILE,
        }
        opened.ledger.append_all([Draft([odd], "run", "odd", -(2**62))])
    with serving(home) as server:
        rows = ask(server, "/api/entries").value["entries"]
        assert isinstance(rows, list)
        assert [row["seq"] for row in rows] == [3, 2, 1, 0]
        assert all(len(str(row["text"])) <= 200 for row in rows)
        assert "\\x1b" in rows[-1]["text"]
        for seq in range(4):
            assert ask(server, f"/api/entry?seq={seq}").status == 200
        assert ask(server, "/api/forecasts").status == 200


def test_a_run_is_told_with_its_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "in.txt").write_text("1")
    home = tmp_path / "home"
    line = f"cat in.txt > out.txt; : '{HOSTILE}'"
    assert main(["--home", str(home), "run", "-q", "--", "sh", "-c", line]) == 0
    graph = said(capsys, "--home", home, "graph", "@", "--json")
    with serving(home) as server:
        told = ask(server, "/api/entry?seq=0").value
    assert told["run"] == graph["run"]
    drawn = told["graph"]
    assert isinstance(drawn, dict)
    assert "in.txt" in drawn["inputs"]
    assert drawn["outputs"] == ["out.txt"]
    assert len(drawn["steps"]) == len(graph["processes"])  # type: ignore[arg-type]
    assert drawn["svg"].startswith("<svg ")
    assert "<style" not in drawn["svg"]
    assert "<img" not in drawn["svg"]


def test_a_damaged_ledger_is_a_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    fill(home, 3)
    (home / "ledger" / "checkpoint").write_text("nothing of the kind\n")
    with serving(home) as server:
        for path in ("/api/entries", "/api/entry?seq=0"):
            told = ask(server, path)
            assert told.status == 500
            assert "checkpoint" in str(told.value["error"])
        assert ask(server, "/").status == 200


def test_a_container_is_served_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "one.rdx"
    file.write_bytes(bytes(range(256)) * 9000)
    with serving(tmp_path / "home", [file, tmp_path / "gone"]) as server:
        assert ask(server, "/api/home").value["containers"] == ["one.rdx", "gone"]
        assert ask(server, "/containers/0").body == file.read_bytes()
        for place in ("1", "2", "01", "0000000001", "-1", "9" * 5000):
            assert ask(server, f"/containers/{place}").status == 404
