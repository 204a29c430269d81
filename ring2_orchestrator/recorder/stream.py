"""Reads the helper's event stream (docs/formats/events.md) back into values."""

import struct
from collections import Counter
from pathlib import Path

from ring2_orchestrator.recorder.event import (
    Again,
    Doubt,
    Event,
    Exit,
    Identity,
    Kind,
    ProcessRecord,
)

MAGIC = b"redoxa-trace 3\n"

# The order is the format's: a kind's number is its place here, counted from 1.
_KINDS = (
    Kind.READ,
    Kind.WRITE,
    Kind.STAT,
    Kind.READLINK,
    Kind.LIST,
    Kind.EXEC,
    Kind.RENAME,
    Kind.UNLINK,
    Kind.RMDIR,
    Kind.MKDIR,
    Kind.LINK,
    Kind.SYMLINK,
    Kind.METADATA,
    Kind.TRUNCATE,
    Kind.MKNOD,
    Kind.CHDIR,
    Kind.CONNECT,
    Kind.BIND,
    Kind.PRESERVE,
)

_WORD = struct.Struct("<I")
_EVENT = struct.Struct("<BBBIIIIIIIQ")
_IDENTITY = struct.Struct("<6Q")
_PROCESS = struct.Struct("<IIIIQ")
_ENDED = struct.Struct("<IIQQQ")
_USE = struct.Struct("<II")
_AGAIN = struct.Struct("<III")
_DOUBT = struct.Struct("<II")
_REPEATS = struct.Struct("<IQ")
_EXIT = struct.Struct("<IIQ")
_FINAL = struct.Struct("<QQQ")

_DAMAGE = (struct.error, IndexError, ValueError)


class Stream:
    """What one event stream says. Without its final record it is not complete."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.repeats: Counter[Kind] = Counter()  # looks that told nothing new
        self.processes: list[ProcessRecord] = []
        # Which files were read once more, each by another process: its place among them, the path.
        self.uses: list[tuple[int, bytes]] = []
        self.again: list[Again] = []
        self.doubts: list[Doubt] = []
        self.exit: Exit | None = None
        self.exit_ns = 0
        self.cpu_s = 0.0
        self.max_rss_bytes = 0
        self.complete = False


def read_stream(path: Path, preimages: Path) -> Stream:
    """Everything the stream holds; one that is cut short gives what came before the cut."""
    try:
        data = path.read_bytes()
    except OSError:
        return Stream()
    return parse_stream(data, preimages)


def parse_stream(data: bytes, preimages: Path) -> Stream:
    """The same from its bytes; old contents lie in `preimages`, named by number."""
    reader = _Reader(data, preimages)
    if data.startswith(MAGIC):
        try:
            reader.run()
        except _DAMAGE:
            reader.stream.complete = False
    return reader.stream


class _Reader:
    def __init__(self, data: bytes, preimages: Path) -> None:
        self.stream = Stream()
        self._data = data
        self._at = len(MAGIC)
        self._preimages = preimages
        # Word 0 stands for "none".
        self._words = [b""]
        self._living: dict[int, ProcessRecord] = {}
        self._places: dict[int, int] = {}  # of each number's newest process

    def run(self) -> None:
        take = {
            ord("W"): self._word,
            ord("E"): self._event,
            ord("S"): self._started,
            ord("X"): self._executed,
            ord("Z"): self._ended,
            ord("U"): self._use,
            ord("V"): self._look_again,
            ord("D"): self._doubt,
            ord("R"): self._repeats,
            ord("Q"): self._exit,
        }
        data, records = self._data, 0
        while self._at < len(data):
            tag = data[self._at]
            self._at += 1
            if tag == ord("F"):
                self._final(records)
                return
            reader = take.get(tag)
            if reader is None:
                raise ValueError(tag)
            reader()
            records += 1

    def _word(self) -> None:
        (length,) = _WORD.unpack_from(self._data, self._at)
        start = self._at + _WORD.size
        word = self._data[start : start + length]
        if len(word) != length:
            raise ValueError(length)
        self._words.append(word)
        self._at = start + length

    def _identity(self) -> Identity:
        identity = Identity._make(_IDENTITY.unpack_from(self._data, self._at))
        self._at += _IDENTITY.size
        return identity

    def _event(self) -> None:
        words = self._words
        kind, has, has2, pid, path, path2, flags, image, image2, program, time_ns = (
            _EVENT.unpack_from(self._data, self._at)
        )
        self._at += _EVENT.size
        if not kind:
            raise ValueError(kind)
        before = self._identity() if has else None
        before2 = self._identity() if has2 else None
        self.stream.events.append(
            Event(
                _KINDS[kind - 1],
                pid,
                words[path],
                words[path2] if path2 else None,
                flags,
                before,
                before2,
                self._preimages / str(image) if image else None,
                self._preimages / str(image2) if image2 else None,
                words[program],
                time_ns,
            )
        )

    def _process(self) -> tuple[int, int, bytes, list[bytes], int]:
        numbers: tuple[int, int, int, int, int] = _PROCESS.unpack_from(self._data, self._at)
        pid, ppid, exe, argv, time_ns = numbers
        self._at += _PROCESS.size
        words = self._words[argv]
        return pid, ppid, self._words[exe], words.split(b"\0")[:-1] if words else [], time_ns

    def _started(self) -> None:
        pid, ppid, exe, argv, time_ns = self._process()
        process = ProcessRecord(pid, ppid, exe, argv, time_ns)
        self._living[pid] = process
        self._places[pid] = len(self.stream.processes)
        self.stream.processes.append(process)

    def _executed(self) -> None:
        pid, _, exe, argv, _ = self._process()
        process = self._living.get(pid)
        if process is not None:
            process.exe, process.argv = exe, argv

    def _ended(self) -> None:
        pid, status, time_ns, cpu_ns, max_rss_bytes = _ENDED.unpack_from(self._data, self._at)
        self._at += _ENDED.size
        process = self._living.pop(pid, None)
        if process is None:
            return
        process.end_ns = time_ns
        process.exit_code = status - 1 if status else None
        process.cpu_s = cpu_ns / 1e9 if cpu_ns else None
        process.max_rss_bytes = max_rss_bytes or None

    def _use(self) -> None:
        numbers: tuple[int, int] = _USE.unpack_from(self._data, self._at)
        pid, path = numbers
        self._at += _USE.size
        word = self._words[path]
        if pid in self._places:
            self.stream.uses.append((self._places[pid], word))
        self.stream.again.append(Again(len(self.stream.events), pid, word, Kind.READ))

    def _look_again(self) -> None:
        numbers: tuple[int, int, int] = _AGAIN.unpack_from(self._data, self._at)
        kind, pid, path = numbers
        self._at += _AGAIN.size
        if not kind:
            raise ValueError(kind)
        place, word = len(self.stream.events), self._words[path]
        self.stream.again.append(Again(place, pid, word, _KINDS[kind - 1]))

    def _doubt(self) -> None:
        numbers: tuple[int, int] = _DOUBT.unpack_from(self._data, self._at)
        kind, detail = numbers
        self._at += _DOUBT.size
        text = self._words[detail].decode("utf-8", "backslashreplace")
        self.stream.doubts.append(Doubt(self._words[kind].decode("ascii"), text))

    def _repeats(self) -> None:
        kind, count = _REPEATS.unpack_from(self._data, self._at)
        self._at += _REPEATS.size
        if not kind:
            raise ValueError(kind)
        self.stream.repeats[_KINDS[kind - 1]] += count

    def _exit(self) -> None:
        code, signal, time_ns = _EXIT.unpack_from(self._data, self._at)
        self._at += _EXIT.size
        self.stream.exit = Exit(None, signal) if signal else Exit(code, None)
        self.stream.exit_ns = time_ns

    def _final(self, records: int) -> None:
        expected, cpu_ns, max_rss_bytes = _FINAL.unpack_from(self._data, self._at)
        self.stream.cpu_s = cpu_ns / 1e9
        self.stream.max_rss_bytes = max_rss_bytes
        self.stream.complete = expected == records and self._at + _FINAL.size == len(self._data)
