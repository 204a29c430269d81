"""`redoxa graph` as a person types it: who read and wrote what, drawn without trusting any name."""

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TypedDict

import pytest

from cid_store.errors import MalformedNodeError
from cid_store.nodes import put_node
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.graph import MOST_NAMED, graph_of, grouped, order
from ring2_orchestrator.runs.past import table_of
from ring2_orchestrator.runs.process_table import Process, ProcessTable, Use
from ring2_orchestrator.runs.which import find_run
from tests.manners.shell import ROOT, redoxa
from tests.runs.conftest import Person, named_keys
from tests.runs.test_log import Said, home

__all__ = ["home"]
PAGE = ROOT / "docs" / "formats" / "runs-json.md"
LINE = "cp in mid; sh -c 'wc -l mid; exit 3'; cp mid out; rm mid"


def told(capsys: Said, *words: str | Path, code: int = 0) -> str:
    capsys.readouterr()
    assert redoxa("graph", *words) == code
    return capsys.readouterr().out


class Answer(TypedDict):
    inputs: list[str]
    outputs: list[str]
    processes: list[dict[str, list[str]]]
    processes_kept: bool


def answer(capsys: Said, *words: str) -> Answer:
    return json.loads(told(capsys, "--json", *words))


def by_command(capsys: Said, *words: str) -> dict[str, dict[str, list[str]]]:
    return {" ".join(each["command"]): each for each in answer(capsys, *words)["processes"]}


def test_who_did_what_is_told(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "1")
    person.run(LINE)
    found = by_command(capsys, "@")
    assert set(found) == {f"sh -c {LINE}", "cp in mid", "sh -c wc -l mid; exit 3", "wc -l mid",
                          "cp mid out", "rm mid"}  # fmt: skip
    own = {
        name: [
            [path for path in each[kind] if path.startswith("P/")]
            for kind in ("reads", "writes", "removes")
        ]
        for name, each in found.items()
    }
    assert own["cp in mid"] == [["P/in"], ["P/mid"], []]
    assert own["wc -l mid"] == [["P/mid"], [], []]
    assert own["cp mid out"] == [["P/mid"], ["P/out"], []]
    assert own["rm mid"] == [[], [], ["P/mid"]]
    assert found["sh -c wc -l mid; exit 3"]["exit_code"] == 3
    assert (found["cp in mid"]["parent"], found["wc -l mid"]["parent"]) == (0, 2)
    whole = answer(capsys, "@")
    assert [path for path in whole["inputs"] if path.startswith("P/")] == ["P/in"]
    assert whole["outputs"] == ["P/out"]


def test_the_tree_nests_what_was_started(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "1")
    person.run(LINE)
    text = re.sub(r"  [\d.]+ m?s,.*", "", told(capsys, "@"))
    text = re.sub(r"\d+ system paths", "N system paths", text)
    assert text.splitlines()[2:] == [
        "inputs: N: in, N system paths".replace("N:", re.findall(r"inputs: (\d+):", text)[0] + ":"),
        "outputs: 1: out",
        f"└─ sh -c '{LINE.replace(chr(39), chr(39) + chr(34) + chr(39) + chr(34) + chr(39))}'",
        "   ├─ reads N system paths",
        "   ├─ cp in mid",
        "   │  ├─ reads in, N system paths",
        "   │  └─ writes mid",
        "   ├─ sh -c 'wc -l mid; exit 3'",
        "   │  ├─ reads N system paths",
        "   │  └─ wc -l mid",
        "   │     └─ reads mid, N system paths",
        "   ├─ cp mid out",
        "   │  ├─ reads mid, N system paths",
        "   │  └─ writes out",
        "   └─ rm mid",
        "      ├─ reads N system paths",
        "      └─ removes mid",
    ]
    assert "/etc/ld.so.cache" in told(capsys, "--all", "@")


def test_every_reader_of_a_file_is_known(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "1")
    person.run("cat in; cat in; cat in")
    readers = [each for each in answer(capsys, "@")["processes"] if "P/in" in each["reads"]]
    assert len(readers) == 3


def test_a_reuse_and_a_doubtful_run_have_a_graph(person: Person, home: Path, capsys: Said) -> None:
    person.write("in", "1")
    person.run("cat in > out")
    person.run("cat in > out")
    first, second = (answer(capsys, text) for text in ("@~1", "@"))
    assert second["processes"] == first["processes"] != []
    person.run("cat in > out; head -c 1 /dev/urandom > x")
    text = told(capsys, "@")
    assert "\nnot reusable: " in text
    assert "outputs: 2: out, x\n" in text
    assert "├─ cat in" in text


def test_what_is_kept_of_a_run_outlives_a_collection(
    person: Person, home: Path, capsys: Said
) -> None:
    person.write("in", "1")
    person.run("cat in > out")
    person.run("cat in; head -c 1 /dev/urandom > x")
    before = [told(capsys, "--all", text) for text in ("@~1", "@")]
    assert redoxa("store", "gc", "--grace", "0") == 0
    assert [told(capsys, "--all", text) for text in ("@~1", "@")] == before
    assert redoxa("diff", "@~1", "@~1") == 0


def test_a_run_recorded_before_says_what_is_missing(
    person: Person, home: Path, capsys: Said
) -> None:
    person.write("in", "1")
    person.run("cat in > out")
    with Home(home) as opened:
        (batch,) = opened.ledger.batches("run")
        entry = batch.entries[0]
        assert isinstance(entry, dict)
        old = {key: value for key, value in entry.items() if key != "processes"}
        opened.ledger.append([old], kind="run", subject="another")
        opened.ledger.append([{**old, "trace": None}], kind="run", subject="another")
    capsys.readouterr()
    assert redoxa("graph", "@~1") == 0
    captured = capsys.readouterr()
    assert "outputs: 1: out\n" in captured.out
    assert "which process did what was not kept" in captured.err
    assert answer(capsys, "@~1")["processes_kept"] is False
    assert redoxa("graph", "@") == 3
    assert "there is nothing to draw" in capsys.readouterr().err


def test_no_secret_is_kept_of_what_processes_were_called(
    person: Person, home: Path, capsys: Said
) -> None:
    person.env |= {"API_TOKEN": "a-token-of-mine"}
    person.run('sh -c "true $API_TOKEN"; sh -c "true x$API_TOKEN; true"')
    text = told(capsys, "--json", "@")
    assert "a-token-of-mine" not in text
    assert "true x$API_TOKEN; true" in text
    for pack in (home / "store" / "packs").iterdir():
        assert b"a-token-of-mine" not in pack.read_bytes()


HOSTILE = "\x1b]0;x\x07<script>alert(1)</script>\"'&\n\x9b\ufffe" + os.fsdecode(b"\xff") + "]]>"


def test_no_name_is_trusted(person: Person, home: Path, capsys: Said, tmp_path: Path) -> None:
    person.write("in", "1")
    name = HOSTILE.replace("/", "")
    person.command("sh", "-c", 'cp in "$1"; cat "$1" "$2"; rm in', "sh", name, HOSTILE)
    text = told(capsys, "--all", "@")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    for option in ("--svg", "--html"):
        file = tmp_path / "drawing"
        told(capsys, "@", option, str(file), "-f")
        drawn = file.read_text("utf-8")
        assert "<script" not in drawn
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe\uffff]", drawn)
        addresses = set(re.findall(r"\w+://[^\s\"<]*", drawn))
        assert addresses <= {"http://www.w3.org/2000/svg"}, "nothing is asked for from elsewhere"
        svg = drawn[drawn.index("<svg") : drawn.index("</svg>") + 6]
        tips = [tip.text or "" for tip in ET.fromstring(svg).iter() if tip.tag.endswith("title")]  # noqa: S314
        assert any("<script>alert(1)<script>" in tip for tip in tips)
        assert re.findall(r"""\s(on\w+|href|src)=""", re.sub(r">[^<]*<", "><", drawn)) == []


def test_files_are_replaced_only_when_asked(
    person: Person, home: Path, capsys: Said, tmp_path: Path
) -> None:
    person.run("true")
    file = tmp_path / "run.svg"
    assert told(capsys, "@", "--svg", file) == ""
    assert told(capsys, "@", "--svg", file, code=3) == ""
    told(capsys, "@", "--svg", file, "-f")
    assert told(capsys, "@", "--html", "-").startswith("<!doctype html>")
    told(capsys, "--json", "@", "--svg", "-", code=2)
    told(capsys, "@", "--svg", file, "--html", file, code=2)


def test_the_page_of_the_answer_is_true(person: Person, home: Path, capsys: Said) -> None:
    person.run("true")
    found = answer(capsys, "@")
    names = named_keys(PAGE, "graph")
    assert set(found) == names[0]
    assert set(found["processes"][0]) == names[1]


def test_a_lost_table_is_damage(person: Person, home: Path, capsys: Said) -> None:
    person.run("true")
    for pack in (home / "store" / "packs").iterdir():
        data = pack.read_bytes()
        pack.write_bytes(data.replace(b"process-table", b"process-tAble"))
    assert redoxa("graph", "@") == 4
    assert capsys.readouterr().err.count("\n") == 1


def table(*parents: int | None, uses: tuple[Use, ...] = (), paths: int = 0) -> ProcessTable:
    processes = tuple(Process(parent, b"/bin/x", (b"x",), at) for at, parent in enumerate(parents))
    return ProcessTable(processes, tuple(b"P/%06d" % at for at in range(paths)), uses)


@pytest.mark.parametrize(
    "broken",
    [
        table(1, None),
        table(0),
        table(-1),
        table(None, uses=(Use(1, 0, 1),), paths=1),
        table(None, uses=(Use(0, 1, 1),), paths=1),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path: Path, broken: ProcessTable) -> None:
    with Home(tmp_path) as opened:
        cid = broken.put(opened.store)
        with pytest.raises(MalformedNodeError):
            ProcessTable.load(opened.store, cid)


@pytest.mark.parametrize(
    "node",
    [[], {}, {"type": "process-table", "v": 2}, {"type": "process-table", "v": 1, "processes": 1}],
)
def test_a_node_that_is_no_table_is_refused(tmp_path: Path, node: object) -> None:
    with Home(tmp_path) as opened:
        cid = put_node(opened.store, node)  # pyright: ignore[reportArgumentType]
        with pytest.raises(MalformedNodeError):
            ProcessTable.load(opened.store, cid)


def test_a_table_is_read_back_as_it_was(person: Person, home: Path) -> None:
    person.write("in", "1")
    person.run(LINE)
    with Home(home) as opened:
        found = table_of(opened, find_run(opened, "@"))
        assert found is not None
        assert ProcessTable.load(opened.store, found.put(opened.store)) == found


def test_very_many_and_very_deep_are_drawn(tmp_path: Path) -> None:
    deep = graph_of(None, table(None, *range(5_000)))
    assert [depth for _, depth in order(deep)] == list(range(5_001))
    paths = [b"P/%d/%d/f" % (at % 300, at) for at in range(20_000)]
    groups = grouped(paths)
    assert len(groups) <= MOST_NAMED
    assert sum(len(group.paths) for group in groups) == 20_000
    assert len(grouped([b"/usr/x", b"/usr/y", b"P/a", b"/home/b"])) == 3
    assert len(grouped(paths, everything=True)) == 20_000


def test_many_children_are_told_as_a_number(person: Person, home: Path, capsys: Said) -> None:
    person.run("for at in $(seq 45); do /bin/true; done")
    assert "├─ and 6 more processes; --all shows them" in told(capsys, "@").replace("└", "├")
    assert told(capsys, "--all", "@").count("─ /bin/true") == 45
