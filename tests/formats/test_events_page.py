"""docs/formats/events.md is right: a reader written from it alone reads a real stream the same."""

import os
import re
import struct
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.event import Event, Flag, Identity, Kind
from ring2_orchestrator.recorder.record import record
from ring2_orchestrator.recorder.stream import parse_stream, read_stream

PAGE = (Path(__file__).parents[2] / "docs" / "formats" / "events.md").read_text("utf-8")


class Stranger:
    """Reads a stream from the page, with nothing of this project."""

    def __init__(self, data: bytes) -> None:
        assert data[:15] == b"redoxa-trace 3\n"
        self.data, self.at = data, 15
        self.words: list[bytes | None] = [None]
        self.events: list[dict[str, object]] = []
        self.doubts: list[tuple[bytes | None, bytes | None]] = []
        self.started: dict[int, list[bytes]] = {}
        self.repeated: dict[int, int] = {}
        self.ended: dict[int, int | None] = {}
        self.used: list[tuple[int, bytes | None]] = []
        self.exit: tuple[int, int] | None = None
        self.complete = False
        self.read()

    def numbers(self, layout: str) -> tuple[int, ...]:
        size = struct.calcsize("<" + layout)
        self.at += size
        return struct.unpack("<" + layout, self.data[self.at - size : self.at])

    def read(self) -> None:  # noqa: C901 - one case for each letter
        records = 0
        while self.at < len(self.data):
            self.at += 1
            match self.data[self.at - 1 : self.at]:
                case b"W":
                    (length,) = self.numbers("I")
                    self.words.append(self.data[self.at : self.at + length])
                    self.at += length
                case b"E":
                    self.event()
                case b"S" | b"X":
                    pid, _, _, arguments, _ = self.numbers("4IQ")
                    self.started[pid] = (self.words[arguments] or b"").split(b"\0")[:-1]
                case b"Z":
                    pid, code, _, _, _ = self.numbers("2I3Q")
                    self.ended[pid] = code - 1 if code else None
                case b"U":
                    pid, path = self.numbers("2I")
                    self.used.append((pid, self.words[path]))
                case b"R":
                    kind, number = self.numbers("IQ")
                    self.repeated[kind] = number
                case b"D":
                    kind, detail = self.numbers("2I")
                    self.doubts.append((self.words[kind], self.words[detail]))
                case b"Q":
                    code, signal, _ = self.numbers("2IQ")
                    self.exit = (code, signal)
                case b"F":
                    (counted, _, _) = self.numbers("3Q")
                    self.complete = counted == records and self.at == len(self.data)
                    return
                case letter:
                    raise AssertionError(letter)
            records += 1

    def event(self) -> None:
        kind, has, has2 = self.numbers("3B")
        pid, path, path2, flags, preimage, preimage2, program = self.numbers("7I")
        (time,) = self.numbers("Q")
        self.events.append(
            {
                "kind": kind,
                "pid": pid,
                "path": self.words[path],
                "path2": self.words[path2],
                "flags": flags,
                "preimage": preimage,
                "preimage2": preimage2,
                "program": self.words[program],
                "time": time,
                "before": self.numbers("6Q") if has else None,
                "before2": self.numbers("6Q") if has2 else None,
            }
        )


def rows(pattern: str) -> dict[int, str]:
    return {int(number): name for number, name in re.findall(pattern, PAGE, re.MULTILINE)}


KINDS = rows(r"^\| (\d+) \| (\w+) \|")


def test_the_page_names_every_kind_and_flag() -> None:
    assert set(KINDS.values()) == {kind.value for kind in Kind}
    flags = {int(flag) for flag in re.findall(r"\| (\d+) \| (?:\w+:|the link itself)", PAGE)}
    assert flags == {flag.value for flag in Flag}


def test_the_example_on_the_page_is_a_stream() -> None:
    example = PAGE.split("## Worked example")[1].split("## ")[0]
    data = b""
    for line in re.findall(r"^    (.+)$", example, re.MULTILINE):
        for part in re.findall(r'"(.*?)"|([A-Z]) |([0-9a-f]+)', line):
            text, letter, number = part
            data += text.replace("\\n", "\n").encode() + letter.encode() + bytes.fromhex(number)
    seen, ours = Stranger(data), parse_stream(data, Path("pre"))
    assert seen.complete
    assert ours.complete
    assert seen.words[1:] == [b"/usr/bin/cat", b"cat\0in\0", b"/tmp/in"]
    assert [event.path for event in ours.events] == [b"/tmp/in"]
    assert ours.events[0].before == Identity(0o100644, 5, 6, 3, 8, 9)


def same(event: dict[str, object], ours: Event) -> bool:
    def kept(path: Path | None) -> int:
        return 0 if path is None else int(path.name)

    return (
        KINDS[int(str(event["kind"]))] == ours.kind.value
        and (event["pid"], event["path"], event["path2"]) == (ours.pid, ours.path, ours.path2)
        and (event["flags"], event["program"]) == (ours.flags, ours.program)
        and (event["before"], event["before2"]) == (ours.before, ours.before2)
        and (event["preimage"], event["preimage2"]) == (kept(ours.preimage), kept(ours.preimage2))
        and event["time"] == ours.time_ns
    )


def test_a_stranger_reads_a_real_stream_the_same(tmp_path: Path) -> None:
    project, scratch = tmp_path / "project", tmp_path / "scratch"
    project.mkdir()
    scratch.mkdir()
    (project / "in").write_text("old")
    (project / "link").symlink_to("in")
    line = (
        "cat link; cat link; echo new >> in; mkdir d; mv in d/moved; ln d/moved also; ls .; exit 3"
    )
    record(
        ["sh", "-c", line],
        cwd=project,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        scratch=scratch,
        forward=False,
    )
    ours = read_stream(scratch / "events", scratch / "pre")
    seen = Stranger((scratch / "events").read_bytes())
    assert seen.complete
    assert ours.complete
    assert len(seen.events) == len(ours.events) > 20
    assert all(same(event, mine) for event, mine in zip(seen.events, ours.events, strict=True))
    assert seen.exit == (3, 0)
    assert set(seen.ended.values()) == {0, 3}
    assert {process.pid: process.exit_code for process in ours.processes} == seen.ended
    assert [path for _, path in seen.used] == [path for _, path in ours.uses]
    assert os.fsencode(project / "in") in [path for _, path in seen.used]
    assert ["sh", "-c", line] in [[*map(os.fsdecode, words)] for words in seen.started.values()]
    kept = [number for event in seen.events if (number := event["preimage"])]
    assert [(scratch / "pre" / str(number)).read_text() for number in kept] == ["old"]


def test_doubts_are_words(tmp_path: Path) -> None:
    if not Path("/bin/sh").exists():
        pytest.skip("no shell")
    record(["sh", "-c", "kill -0 1"], cwd=tmp_path, env={}, scratch=tmp_path, forward=False)
    seen = Stranger((tmp_path / "events").read_bytes())
    assert [kind for kind, _ in seen.doubts] == [b"outside-process"]
    page_kinds = set(re.findall(r"`([a-z-]+)`", PAGE))
    assert {os.fsdecode(kind or b"") for kind, _ in seen.doubts} <= page_kinds
