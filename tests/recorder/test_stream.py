"""The event stream is read back exactly, and one that is cut or garbled is never complete."""

import struct
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.recorder.event import Doubt, Exit, Flag, Identity, Kind
from ring2_orchestrator.recorder.stream import MAGIC, Stream, parse_stream

PREIMAGES = Path("kept")


def word(text: bytes) -> bytes:
    return b"W" + struct.pack("<I", len(text)) + text


# The worked example of docs/formats/events.md.
RECORDS = [
    word(b"/usr/bin/cat"),
    word(b"cat\0in\0"),
    b"S" + struct.pack("<IIIIQ", 42, 7, 1, 2, 1000),
    word(b"/tmp/in"),
    b"E"
    + struct.pack("<BBBIIIIIIIQ", 1, 1, 0, 42, 3, 0, 0, 0, 0, 1, 2000)
    + struct.pack("<6Q", 0o100644, 5, 6, 3, 8, 9),
    word(b"/tmp/out"),
    b"E"
    + struct.pack("<BBBIIIIIIIQ", 2, 1, 0, 42, 4, 0, 8, 1, 0, 1, 3000)
    + struct.pack("<6Q", 0o100600, 5, 7, 2, 8, 9),
    word(b"network"),
    word(b"cat speaks to inet:127.0.0.1:80"),
    b"D" + struct.pack("<II", 5, 6),
    b"U" + struct.pack("<II", 42, 3),
    b"Z" + struct.pack("<IIQQQ", 42, 1, 4000, 1_000_000, 4096),
    b"R" + struct.pack("<IQ", 1, 999),
    b"Q" + struct.pack("<IIQ", 3, 0, 4000),
]
FINAL = b"F" + struct.pack("<QQQ", len(RECORDS), 2_000_000, 8192)
WHOLE = MAGIC + b"".join(RECORDS) + FINAL


def read(data: bytes) -> Stream:
    return parse_stream(data, PREIMAGES)


def test_the_worked_example() -> None:
    stream = read(WHOLE)
    assert stream.complete
    assert stream.exit == Exit(3, None)
    assert (stream.cpu_s, stream.max_rss_bytes) == (0.002, 8192)
    assert stream.repeats == {Kind.READ: 999}
    assert stream.doubts == [Doubt("network", "cat speaks to inet:127.0.0.1:80")]
    first, second = stream.events
    assert (first.kind, first.path, first.program) == (Kind.READ, b"/tmp/in", b"/usr/bin/cat")
    assert first.before == Identity(0o100644, 5, 6, 3, 8, 9)
    assert first.preimage is None
    assert (second.kind, second.flags) == (Kind.WRITE, Flag.CREATE)
    assert second.preimage == PREIMAGES / "1"
    (process,) = stream.processes
    assert process.argv == [b"cat", b"in"]
    assert process.exit_code == 0
    assert stream.uses == [(0, b"/tmp/in")]
    assert (process.pid, process.ppid, process.end_ns, process.cpu_s) == (42, 7, 4000, 0.001)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_stream_that_is_cut_is_not_complete(length: int) -> None:
    assert not read(WHOLE[:length]).complete


def test_bytes_behind_the_end_and_missing_records_are_noticed() -> None:
    assert not read(WHOLE + b"\0").complete
    assert not read(MAGIC + b"".join(RECORDS[:-1]) + FINAL).complete


@given(st.binary())
def test_garbage_never_raises(data: bytes) -> None:
    read(data)
    read(MAGIC + data)


@given(st.integers(len(MAGIC), len(WHOLE) - 1), st.integers(1, 255))
def test_flipped_bytes_never_raise(at: int, bits: int) -> None:
    data = bytearray(WHOLE)
    data[at] ^= bits
    read(bytes(data))
