"""Which processes a run had, and what each of them did to which files: kept for people.

Nothing about reuse hangs on it. Its bytes are specified in docs/formats/process-table.md.
"""

import os
import struct
from bisect import bisect_right
from collections.abc import Collection, Sequence
from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from cid_store.cid import Cid
from cid_store.encoding import Node, NodeLike
from cid_store.errors import MalformedNodeError
from cid_store.nodes import get_node, put_node
from cid_store.store import Store
from ring2_orchestrator.recorder.event import Event, Flag, Kind, ProcessRecord

if TYPE_CHECKING:
    from ring2_orchestrator.recorder.event import Recording
    from ring2_orchestrator.runs.roots import Roots
    from ring2_orchestrator.runs.secrets import Secrets

VERSION = 1
MOST_PROCESSES = 20_000
MOST_USES = 1_000_000
# A command line of megabytes is no longer read by anyone.
_MOST_WORDS, _MOST_BYTES = 256, 4096
_USE = struct.Struct("<IIB")


class How(IntFlag):
    """What a process did with a path; the numbers are part of the format."""

    READ = 1
    LISTED = 2
    EXECUTED = 4
    WROTE = 8  # made, wrote, or changed in any way
    REMOVED = 16


class Process(NamedTuple):
    """One process. Times are nanoseconds since the recording began; None is what is not known."""

    parent: int | None  # the place of the process that started it, among all
    program: bytes
    words: tuple[bytes, ...]
    start_ns: int
    end_ns: int | None = None
    cpu_ns: int | None = None
    max_rss_bytes: int | None = None
    exit_code: int | None = None


class Use(NamedTuple):
    """That a process did something with a path; both by their places."""

    process: int
    path: int
    how: int


class ProcessTable(NamedTuple):
    """The processes in the order in which they were first seen, parents before their children."""

    processes: tuple[Process, ...]
    paths: tuple[bytes, ...]  # as a trace spells them, in ascending order
    uses: tuple[Use, ...]
    left_out: int = 0  # processes and uses past the limits

    def put(self, store: Store) -> Cid:
        """Keep it; its name."""
        return put_node(
            store,
            {
                "left_out": self.left_out,
                "paths": store.put(b"\0".join(self.paths)),
                "processes": [_process_node(each) for each in self.processes],
                "type": "process-table",
                "uses": store.put(b"".join(_USE.pack(*use) for use in self.uses)),
                "v": VERSION,
            },
        )

    @classmethod
    def load(cls, store: Store, cid: Cid) -> Self:
        """The table of that name. Raises DamageError, and MalformedNodeError where it is none."""
        node = get_node(store, cid)
        try:
            return cls._from_node(cast("dict[str, Node]", node), store)
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise MalformedNodeError(
                f"a node that should be a process table of version {VERSION} is none ({error!r}); "
                "a newer Redoxa may have written it"
            ) from error

    @classmethod
    def _from_node(cls, node: dict[str, Node], store: Store) -> Self:
        if node["type"] != "process-table" or node["v"] != VERSION:
            raise ValueError("another type or version")
        paths = store.get(cast("Cid", node["paths"]))
        names = tuple(paths.split(b"\0")) if paths else ()
        rows = store.get(cast("Cid", node["uses"]))
        processes = tuple(
            _process_of(cast("list[Node]", each), at)
            for at, each in enumerate(cast("list[Node]", node["processes"]))
        )
        uses = tuple(Use(*row) for row in _USE.iter_unpack(rows))
        if any(use.process >= len(processes) or use.path >= len(names) for use in uses):
            raise ValueError("a use of what is not there")
        return cls(processes, names, uses, _whole(node["left_out"]))


def _process_node(process: Process) -> NodeLike:
    return [
        process.parent, process.program, list(process.words), process.start_ns, process.end_ns,
        process.cpu_ns, process.max_rss_bytes, process.exit_code,
    ]  # fmt: skip


def _process_of(node: list[Node], at: int) -> Process:
    parent, program, words, *numbers = node
    if not isinstance(program, bytes) or not isinstance(words, list):
        raise TypeError(program)
    if not all(isinstance(word, bytes) for word in words) or len(numbers) != 5:
        raise ValueError(words)
    if parent is not None and not 0 <= _whole(parent) < at:
        raise ValueError(parent)
    start_ns, *rest = numbers
    return Process(
        cast("int | None", parent),
        program,
        tuple(cast("list[bytes]", words)),
        _whole(start_ns),
        *(None if number is None else _whole(number) for number in rest),
    )


def _whole(value: Node) -> int:
    if type(value) is not int:
        raise TypeError(value)
    return value


def table_of(
    recording: "Recording", known: Collection[bytes], *, roots: "Roots", secrets: "Secrets"
) -> ProcessTable:
    """The table of a recording. Only the `known` paths are named: others are no files."""
    records = recording.processes[:MOST_PROCESSES]
    lives = _Lives(records)
    done: dict[tuple[int, bytes], int] = {}
    for event in recording.events:
        if event.kind not in _TELLING:
            continue
        at = lives.at(event.pid, event.time_ns)
        if at is not None:
            for path, how in _uses_in(event):
                if path in known:
                    done[at, path] = done.get((at, path), 0) | how
    for at, path in recording.uses:
        if at < len(records) and path in known:
            done[at, path] = done.get((at, path), 0) | _READ
    kept = sorted(done.items())[:MOST_USES]
    short = {path: roots.short(path) for (_, path), _ in kept}
    paths = sorted(set(short.values()))
    places = {path: place for place, path in enumerate(paths)}
    return ProcessTable(
        tuple(_process(at, each, lives, secrets) for at, each in enumerate(records)),
        tuple(paths),
        tuple(Use(at, places[short[path]], how) for (at, path), how in kept),
        len(recording.processes) - len(records) + len(done) - len(kept),
    )


class _Lives:
    """Which process had a number when: numbers are given again."""

    def __init__(self, records: Sequence[ProcessRecord]) -> None:
        self._of: dict[int, list[tuple[int, int]]] = {}
        for at, record in enumerate(records):
            self._of.setdefault(record.pid, []).append((record.start_ns, at))

    def at(self, pid: int, time_ns: int) -> int | None:
        """The place of the process of that number at that time."""
        lives = self._of.get(pid)
        if lives is None:
            return None
        return lives[max(0, bisect_right(lives, (time_ns, MOST_PROCESSES)) - 1)][1]


def _process(at: int, record: ProcessRecord, lives: _Lives, secrets: "Secrets") -> Process:
    parent = lives.at(record.ppid, record.start_ns)
    return Process(
        parent if parent is not None and parent < at else None,
        record.exe,
        _words(record.argv, secrets),
        record.start_ns,
        record.end_ns,
        None if record.cpu_s is None else int(record.cpu_s * 1e9),
        record.max_rss_bytes,
        record.exit_code,
    )


def _words(argv: Sequence[bytes], secrets: "Secrets") -> tuple[bytes, ...]:
    """The words without secrets, as far as somebody reads them."""
    words: list[bytes] = []
    room = _MOST_BYTES
    for word in argv[:_MOST_WORDS]:
        # A secret may begin anywhere, so it is hidden before the word is cut.
        (hidden,) = secrets.hidden([os.fsdecode(word)])
        whole = os.fsencode(hidden)
        words.append(whole[:room])
        room -= len(whole)
        if room <= 0:
            break
    if len(words) < len(argv) or room < 0:
        words.append(b"...")
    return tuple(words)


def _uses_in(event: Event) -> Sequence[tuple[bytes, int]]:
    """What a call did with which paths, as far as that is told by the call alone."""
    kind = event.kind
    if event.before is None:
        makes = kind in _MAKING or (kind is Kind.WRITE and event.flags & Flag.CREATE)
        return ((event.path, _WROTE),) if makes else ()
    if kind is Kind.WRITE:
        return ((event.path, _WROTE | (_READ if event.flags & Flag.READS else 0)),)
    done = _PRESENT.get(kind)
    own = () if done is None else ((event.path, done),)
    if event.path2 is None or kind not in _NAMING:
        return own
    return (*own, (event.path2, _WROTE))


# As plain numbers: to join flags takes a microsecond, and a run has thousands of events.
_READ, _WROTE = int(How.READ), int(How.WROTE)
# What is done with what is there already, and what is made where nothing is.
_PRESENT = {
    Kind.READ: _READ,
    Kind.LIST: int(How.LISTED),
    Kind.EXEC: int(How.EXECUTED),
    Kind.METADATA: _WROTE,
    Kind.TRUNCATE: _WROTE,
    Kind.RENAME: int(How.REMOVED),
    Kind.UNLINK: int(How.REMOVED),
    Kind.RMDIR: int(How.REMOVED),
}
_MAKING = frozenset({Kind.MKDIR, Kind.SYMLINK, Kind.MKNOD, Kind.BIND})
_NAMING = frozenset({Kind.RENAME, Kind.LINK})
_TELLING = _PRESENT.keys() | _MAKING | _NAMING | {Kind.WRITE}
