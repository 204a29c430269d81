"""docs/formats/trace.md is right: a reader written from it alone reads a real trace."""

import os
import re
import struct
from pathlib import Path
from typing import Any, cast

from blake3 import blake3

from cid_store.cid import Cid
from cid_store.encoding import encode
from cid_store.nodes import get_node
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.trace import Input, State, Trace

PAGE = (Path(__file__).parents[2] / "docs" / "formats" / "trace.md").read_text("utf-8")
COMMAND = ["sh", "-c", "cat in link; ls d; cat in > out; chmod 640 out; rm gone; mkdir new; exit 2"]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "SECRET": "hunter2", "SHLVL": "7"}


def digest(data: bytes) -> bytes:
    return blake3(data).digest()


def recorded(tmp_path: Path) -> tuple[Path, Path, str]:
    """A project, a home, and the subject of the one run recorded in it."""
    project, home = tmp_path / "project", tmp_path / "home"
    (project / "d").mkdir(parents=True)
    (project / ".git").mkdir()
    (project / "in").write_text("21\n")
    (project / "in").chmod(0o644)
    (project / "gone").write_text("x")
    (project / "link").symlink_to("in")
    (project / "d" / "file").write_text("")
    (project / "d" / "folder").mkdir()
    with Home(home) as opened:
        result = execute(COMMAND, home=opened, cwd=project, env=ENVIRONMENT)
    assert result.published, result.message
    return project, home, result.subject


def read(home: Path, subject: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Root name, kept trace and trace, as plain nodes."""
    with Home(home) as opened:
        ((name, cid),) = opened.store.roots(f"memo/{subject}/")
        kept = cast("dict[str, Any]", get_node(opened.store, cid))
        return name, kept, cast("dict[str, Any]", get_node(opened.store, kept["trace"]))


def input_rows(trace: dict[str, Any]) -> dict[bytes, tuple[int, int, int, bytes]]:
    inputs = trace["inputs"]
    paths = inputs["paths"].split(b"\0")
    rows = [struct.unpack_from("<BBH32s", inputs["rows"], 36 * at) for at in range(len(paths))]
    assert len(inputs["rows"]) == 36 * len(paths)
    assert paths == sorted(paths)
    return dict(zip(paths, rows, strict=True))


def test_the_page_names_every_kind_of_statement() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \| ", PAGE, re.MULTILINE)
    numbers = {int(number) for number, _ in rows}
    assert numbers == {what.value for what in What}


def test_a_stranger_finds_the_trace_and_what_it_cost(tmp_path: Path) -> None:
    project, home, subject = recorded(tmp_path)
    words = [os.fsencode(word) for word in COMMAND]
    key = encode({"command": words, "cwd": os.fsencode(project)})
    assert subject == digest(key)[:20].hex()
    name, kept, trace = read(home, subject)
    assert re.fullmatch(rf"memo/{subject}/[0-9a-f]{{16}}-[0-9a-f]+", name)
    stamp = 2**64 - 1 - int(name.split("/")[2][:16], 16)
    assert stamp > (project / "out").stat().st_mtime_ns - 10**9
    assert set(kept) == {"type", "v", "trace", "wall_ns", "cpu_ns", "max_rss_bytes"}
    assert (kept["type"], kept["v"]) == ("kept-trace", 1)
    assert set(trace) == {
        "type", "v", "command", "root", "surroundings", "inputs", "outputs", "exit", "printed",
        "cuts", "stdin_moved",
    }  # fmt: skip
    assert (trace["type"], trace["v"]) == ("trace", 2)
    assert trace["command"] == words
    assert (trace["root"], trace["exit"]) == (os.fsencode(project), 2)


def test_a_stranger_reads_the_inputs(tmp_path: Path) -> None:
    project, home, subject = recorded(tmp_path)
    _, _, trace = read(home, subject)
    rows = input_rows(trace)
    assert rows[b"P/in"] == (1, 0, 0o644, digest(b"21\n"))
    assert rows[b"P/link"] == (3, 0, 0, digest(b"in"))
    assert [b"P/link", b"in"] in trace["inputs"]["targets"]
    entries = b"ffile\0dfolder"
    assert rows[b"P/d"] == (4, 0, (project / "d").stat().st_mode, digest(entries))
    with Home(home) as opened:
        blobs = [bytes(opened.store.get(cid)) for cid in trace["inputs"]["names"]]
    listings = [row[3] for row in rows.values() if row[0] == 4]
    assert [digest(blob) for blob in blobs] == listings
    assert entries in blobs
    assert rows[b"P/new"][:2] == (0, 1)  # missing, and made by the run
    assert rows[b"P/gone"][0] in (1, 6)
    # What lies outside is absolute, and every plain statement is true of it now.
    for path, (what, _, mode, found) in rows.items():
        if path.startswith((b"P", b"/proc/", b"/sys/")):
            continue
        if what == 0:
            assert not os.path.lexists(path)
        elif what == 1:
            assert os.lstat(path).st_mode & 0o7777 == mode
            assert digest(Path(os.fsdecode(path)).read_bytes()) == found
        elif what == 3:
            assert digest(os.fsencode(Path(os.fsdecode(path)).readlink())) == found
    assert not any(path.startswith(os.fsencode(project)) for path in rows)


def test_a_stranger_reads_the_outputs(tmp_path: Path) -> None:
    project, home, subject = recorded(tmp_path)
    _, _, trace = read(home, subject)
    outputs = {output["path"]: output for output in trace["outputs"]}
    assert list(outputs) == sorted(outputs) == [b"P/gone", b"P/new", b"P/out"]
    nothing = {
        "cid": None,
        "link_to": None,
        "mtime_ns": None,
        "rank": 0,
        "size": 0,
        "target": None,
        "touched": False,
    }
    assert outputs[b"P/gone"] == {**nothing, "path": b"P/gone", "what": 0, "mode": 0}
    mode = (project / "new").stat().st_mode & 0o7777
    assert outputs[b"P/new"] == {**nothing, "path": b"P/new", "what": 2, "mode": mode}
    cid = Cid.of(b"21\n")
    file = {**nothing, "path": b"P/out", "what": 1, "mode": 0o640, "cid": cid, "size": 3}
    assert outputs[b"P/out"] == file
    printed = b"21\n21\nfile\nfolder\n"
    assert trace["printed"] == Cid.of(printed)
    assert trace["cuts"] == [[1, len(printed)]]


def test_a_stranger_reads_the_surroundings(tmp_path: Path) -> None:
    project, home, subject = recorded(tmp_path)
    _, _, trace = read(home, subject)
    around = trace["surroundings"]
    assert set(around) == {
        "cwd", "umask", "environment", "machine", "terminals", "window", "merged", "stdin",
    }  # fmt: skip
    assert around["cwd"] == os.fsencode(project)
    key = (home / "environment.key").read_bytes()
    assert len(key) == 32
    names = around["environment"]["names"].split(b"\0")
    assert names == [b"PATH", b"SECRET"]
    digests = around["environment"]["digests"]
    assert digests[16:32] == blake3(b"SECRET\0hunter2", key=key).digest(16)
    assert around["machine"]["host name"] == os.uname().nodename
    assert around["machine"]["user"] == f"{os.getuid()}:{os.getgid()}"
    assert set(around["stdin"]) == {"kind", "digest", "size", "eof"}
    assert len(around["terminals"]) == 3


def test_the_example_on_the_page_is_what_rows_are() -> None:
    example = PAGE.split("## Worked example")[1]
    lines = re.findall(r"^    ([0-9a-f ]+?)(?:    (P/\w+))?$", example, re.MULTILINE)
    rows = [(bytes.fromhex(text), name.encode()) for text, name in lines if name]
    (joined,) = (bytes.fromhex(text) for text, name in lines if not name)
    assert joined == b"\0".join(name for _, name in rows)
    wanted = (
        Input(b"P/in", State(What.FILE, 0o644, digest(b"21\n")), product=False),
        Input(b"P/out", State(What.MISSING), product=True),
    )
    inputs = Trace.node(_trace_of(wanted))["inputs"]
    assert isinstance(inputs, dict)
    assert inputs["rows"] == b"".join(row for row, _ in rows)
    assert inputs["paths"] == joined


def _trace_of(inputs: tuple[Input, ...]) -> Trace:
    from ring2_orchestrator.runs.surroundings import Stdin, Surroundings  # noqa: PLC0415

    around = Surroundings(
        b"/", 0, {}, {}, (False, False, False), None, stdin=Stdin("empty"), merged=False
    )
    return Trace((b"true",), b"/", around, inputs, {}, (), 0, None, ())


def test_the_memo_reads_what_the_stranger_read(tmp_path: Path) -> None:
    project, home, subject = recorded(tmp_path)
    _, kept, trace = read(home, subject)
    with Home(home) as opened:
        (mine,) = Memo(opened).traces(subject)
    assert (mine.cid, mine.wall_ns) == (kept["trace"], kept["wall_ns"])
    assert [row.path for row in mine.trace.inputs] == trace["inputs"]["paths"].split(b"\0")
    assert project.name == "project"
