"""What two runs saw, left and said differently; time and memory, which always differ, left out."""

from collections.abc import Iterable, Mapping
from stat import S_IMODE
from typing import NamedTuple

from cid_store.cid import Cid, Codec
from cid_store.errors import RedoxaError
from cid_store.store import Store
from ring2_orchestrator.runs.past import Run
from ring2_orchestrator.runs.state import State, What, entries_of
from ring2_orchestrator.runs.surroundings import Change
from ring2_orchestrator.runs.trace import Output, Trace

# Of larger or longer texts nobody reads the difference, and finding it takes its square in time.
_MOST_BYTES = 64 << 10
_MOST_LINES = 2_000

_WORDS: Mapping[int, str] = {
    What.MISSING: "missing",
    What.FILE: "file",
    What.DIR: "folder",
    What.LINK: "link",
    What.NAMES: "listing",
    What.OTHER: "other",
    What.PRESENT: "existing file",
    What.BLANK: "missing or empty file",
    What.BYTECODE: "bytecode",
    What.TIMED: "file with its time",
    What.UNREADABLE: "unreadable file",
    What.UNKNOWN: "file not kept",
    What.SECRET: "secret file",
}


class Thing(NamedTuple):
    """What stood at a path, as far as a trace tells; `cid` names the content, where it does."""

    what: str
    mode: int = 0
    cid: Cid | None = None
    target: bytes | None = None
    link_to: bytes | None = None


class PathChange(NamedTuple):
    """A path that only one of the runs has (the other is None), or that differs."""

    path: bytes
    was: Thing | None
    now: Thing | None

    @property
    def word(self) -> str:
        """`added`, `gone` or `changed`."""
        if self.was is None:
            return "added"
        return "gone" if self.now is None else "changed"


class Difference(NamedTuple):
    """All that two runs have otherwise; of what needs traces nothing, where `compared` is False."""

    was: Run
    now: Run
    compared: bool
    surroundings: tuple[Change, ...] = ()
    inputs: tuple[PathChange, ...] = ()
    outputs: tuple[PathChange, ...] = ()
    printed: tuple[Cid | None, Cid | None] = (None, None)
    totals: tuple[int, int] = (0, 0)  # paths among the inputs, and the outputs, of either

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts that differ; none where the runs are the same."""
        differs = {
            "command": self.was.command != self.now.command,
            "doubts": self.was.doubts != self.now.doubts,
            "exit_code": self.was.exit_code != self.now.exit_code,
            "inputs": bool(self.inputs),
            "outputs": bool(self.outputs),
            "printed": self.printed[0] != self.printed[1],
            "surroundings": bool(self.surroundings),
        }
        return tuple(name for name, differ in differs.items() if differ)


def difference(was: Run, now: Run, traces: tuple[Trace, Trace] | None) -> Difference:
    """What `now` has otherwise than `was`; without traces, what the ledger alone can tell."""
    if traces is None:
        return Difference(was, now, compared=False)
    old, new = traces
    states = [{row.path: row.state for row in trace.inputs} for trace in traces]
    outputs = [{output.path: _left(output) for output in trace.outputs} for trace in traces]
    return Difference(
        was,
        now,
        compared=True,
        surroundings=tuple(old.surroundings.changes(new.surroundings)),
        inputs=tuple(
            PathChange(
                path,
                _seen(states[0].get(path), old.targets.get(path)),
                _seen(states[1].get(path), new.targets.get(path)),
            )
            for path in _unequal(*states)
        ),
        outputs=tuple(
            PathChange(path, outputs[0].get(path), outputs[1].get(path))
            for path in _unequal(*outputs)
        ),
        printed=(old.printed, new.printed),
        totals=(len({*states[0], *states[1]}), len({*outputs[0], *outputs[1]})),
    )


def _unequal(was: Mapping[bytes, object], now: Mapping[bytes, object]) -> list[bytes]:
    """The paths that differ, in order; of the many that do not, nothing is made or sorted."""
    changed = [path for path, what in was.items() if now.get(path) != what]
    return sorted(changed + [path for path in now if path not in was])


def _seen(state: State | None, target: bytes | None) -> Thing | None:
    if state is None:
        return None
    named = state.what in (What.FILE, What.NAMES)
    return Thing(
        _WORDS.get(state.what, f"of kind {int(state.what)}"),
        S_IMODE(state.mode) if state.what in (What.NAMES, What.PRESENT) else state.mode,
        Cid(Codec.RAW, state.digest) if named else None,
        target,
    )


def _left(output: Output) -> Thing:
    word = "deleted" if output.what == What.MISSING else _WORDS[output.what]
    return Thing(word, output.mode, output.cid, output.target, output.link_to)


def names_changed(change: PathChange, store: Store) -> tuple[list[bytes], list[bytes]] | None:
    """The names that are new in a listing, and those that are gone; None if it cannot be said."""
    if change.was is None or change.now is None:
        return None
    if not change.was.what == change.now.what == _WORDS[What.NAMES]:
        return None
    was, now = (content_of(thing.cid, store) for thing in (change.was, change.now))
    if was is None or now is None:
        return None
    old, new = entries_of(was), entries_of(now)
    return sorted(new.keys() - old.keys()), sorted(old.keys() - new.keys())


def content_of(cid: Cid | None, store: Store) -> bytes | None:
    """The bytes of that name, where the store has them."""
    if cid is None or not store.has(cid):
        return None
    try:
        return store.get(cid)
    except RedoxaError:
        return None


def text_difference(was: Cid | None, now: Cid | None, store: Store) -> list[str] | None:
    """The lines of a unified diff; None where a side is no small text that the store has."""
    import difflib  # noqa: PLC0415 - only where it was asked for

    old = _text_lines(was, store)
    new = None if old is None else _text_lines(now, store)
    if old is None or new is None:
        return None
    return [line.rstrip("\n") for line in difflib.unified_diff(old, new, "was", "now")]


def _text_lines(cid: Cid | None, store: Store) -> list[str] | None:
    if cid is None or not store.has(cid) or store.size(cid) > _MOST_BYTES:
        return None
    data = content_of(cid, store)
    if data is None or b"\0" in data:
        return None
    try:
        lines = _split(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return lines if len(lines) <= _MOST_LINES else None


def _split(text: str) -> list[str]:
    """Lines as `diff` has them; Python's own would also cut at form feeds and their like."""
    return [line + "\n" for line in text.removesuffix("\n").split("\n")] if text else []


def counted(changes: Iterable[PathChange]) -> dict[str, int]:
    """How many changed, were added and are gone."""
    counts = {"changed": 0, "added": 0, "gone": 0}
    for change in changes:
        counts[change.word] += 1
    return counts
