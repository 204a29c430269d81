"""One trace against the world as it is: which statements no longer hold, in words for a person."""

import os
import stat
from collections.abc import Callable, Iterable, Mapping

from cid_store.cid import Cid, Codec
from cid_store.errors import DamageError
from cid_store.store import Store
from ring2_orchestrator.runs import bytecode
from ring2_orchestrator.runs.paths import join, shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import Present, State, What, entries_of
from ring2_orchestrator.runs.surroundings import Change
from ring2_orchestrator.runs.trace import Input, Output, Trace

Products = Mapping[bytes, set[State]]

_SHOWN_NAMES = 3
_FILES = (What.FILE, What.TIMED, What.BYTECODE, What.SECRET, What.PRESENT)
_KINDS = {What.FILE: stat.S_IFREG, What.LINK: stat.S_IFLNK, What.DIR: stat.S_IFDIR}


def products_of(traces: Iterable[Trace]) -> dict[bytes, set[State]]:
    """By path, every state in which these traces left an output of theirs."""
    products: dict[bytes, set[State]] = {}
    for trace in traces:
        for output in trace.outputs:
            if output.what != What.MISSING:
                products.setdefault(output.path, set()).add(output.state())
    return products


class Comparison:
    """A trace, and the means to look at the present."""

    def __init__(
        self,
        trace: Trace,
        *,
        present: Present,
        roots: Roots,
        store: Store,
        products: Callable[[], Products],
    ) -> None:
        self.trace = trace
        self.present = present
        self.roots = roots
        self.store = store
        self.products = products
        self._known: Products | None = None
        self._left = {it.path for it in trace.outputs if it.what != What.MISSING}

    def input_changes(self, *, all_of_them: bool = True) -> list[Change]:
        """What no longer holds; only the first such thing unless `all_of_them`."""
        found: list[Change] = []
        holds, full = self.present.holds, self.roots.full
        for row in self.trace.inputs:
            path = full(row.path)
            if holds(path, row.state) or self._excused(path, row):
                continue
            found.append(self._change(path, row))
            if not all_of_them:
                break
        return _without_echoes(found)

    def obstacles(self) -> list[Change]:
        """What now stands in the place of an output and would lead a run elsewhere, or stop it.

        A run writes through a link at the name of a file, and to all names of a file that has
        several, while a restore replaces the one name; what is no file cannot be replaced at all.
        """
        return [
            self._obstacle(output)
            for output in self.trace.outputs
            if output.what in _KINDS and self._is_in_the_way(output)
        ]

    def _is_in_the_way(self, output: Output) -> bool:
        status = self.present.status(self.roots.full(output.path))
        if status is None:
            return False
        if stat.S_ISREG(status.st_mode) and output.what != What.DIR:
            return status.st_nlink > 1 and self._has_other_names(output, status)
        if stat.S_IFMT(status.st_mode) == _KINDS[output.what]:
            return False
        # A link that was there before the run, too, is an input, and so held.
        return not (
            stat.S_ISLNK(status.st_mode)
            and any(
                row.path == output.path and row.state.what == What.LINK for row in self.trace.inputs
            )
        )

    def _has_other_names(self, output: Output, status: os.stat_result) -> bool:
        """Whether a file that a run would write has names of which the run knows nothing.

        To write what stands there harms none of them, unless the run is to read it under that name:
        it empties the file before it has done so.
        """
        linked = {other.link_to for other in self.trace.outputs if other.link_to is not None}
        if output.link_to is not None or output.path in linked:
            return False
        return not self.output_stands(output) or any(
            row.path != output.path and self._is_same_file(row, status) for row in self.trace.inputs
        )

    def _is_same_file(self, row: Input, status: os.stat_result) -> bool:
        there = self.present.status(self.roots.full(row.path)) if row.state.what in _FILES else None
        return there is not None and os.path.samestat(there, status)

    def _obstacle(self, output: Output) -> Change:
        path = self.roots.full(output.path)
        kind = {What.FILE: "a file", What.LINK: "a link", What.DIR: "a folder"}[output.what]
        return Change(_text(path, self.roots), "type", kind, _describe(self.present.now(path)))

    def stale_outputs(self) -> list[bytes]:
        """The outputs that are not as the run left them: what a reuse would put back."""
        return [output.path for output in self.trace.outputs if not self.output_stands(output)]

    def old_outputs(self) -> list[bytes]:
        """The outputs whose time a run would have set, or `make` would take for outdated.

        That is one of another time than the run gave it, one that the run touched, and one older
        than a file of the project.
        """
        if not any(output.what == What.FILE for output in self.trace.outputs):
            return []
        newest_ns = self.newest_input_ns()
        return [
            output.path
            for output in self.trace.outputs
            if output.what == What.FILE
            and not bytecode.source_of(output.path)
            and self._is_old(output, newest_ns)
        ]

    def newest_input_ns(self) -> int:
        """The time of the newest file of the project that the run read and did not make; 0 if none.

        What the run left is newer, or `make` would make it again.
        """
        made = {output.path for output in self.trace.outputs}
        return max(
            (
                self._mtime_ns(row.path)
                for row in self.trace.inputs
                if row.path.startswith(b"P/")
                and row.state.what in (What.FILE, What.TIMED, What.SECRET)
                and row.path not in made
            ),
            default=0,
        )

    def _is_old(self, output: Output, newest_ns: int) -> bool:
        mtime_ns = self._mtime_ns(output.path)
        if output.mtime_ns is not None:
            return mtime_ns != output.mtime_ns
        return output.touched or 0 < mtime_ns < newest_ns

    def _mtime_ns(self, short: bytes) -> int:
        status = self.present.status(self.roots.full(short))
        return 0 if status is None else status.st_mtime_ns

    def output_stands(self, output: Output) -> bool:
        """Whether the output is as the run left it, or as good."""
        path = self.roots.full(output.path)
        if output.what == What.MISSING:
            return self.present.status(path) is None
        if self.present.holds(path, output.state()):
            return True
        source = bytecode.source_of(path)
        row = self._bytecode_row(output.path) if source is not None else None
        if row is None or source is None or not self.present.holds(path, row.state):
            return False
        # Python's cache for the same code, written for the time that its source has now.
        header, status = bytecode.read_header(path), self.present.status(source)
        return header is not None and status is not None and header.fits(status)

    def _bytecode_row(self, path: bytes) -> Input | None:
        for row in self.trace.inputs:
            if row.path == path and row.state.what == What.BYTECODE:
                return row
        return None

    def _known_products(self) -> Products:
        if self._known is None:
            self._known = self.products()
        return self._known

    def _excused(self, path: bytes, row: Input) -> bool:
        """Whether what differs is the command's own earlier work, which it did not read."""
        if row.state.what == What.NAMES:
            return self._names_excused(path, row)
        if not row.product:
            return False
        if self.present.status(path) is None:
            return True
        return any(
            self.present.holds(path, state) for state in self._known_products().get(row.path, ())
        )

    def _names_excused(self, path: bytes, row: Input) -> bool:
        if self.present.status(path) is None:
            return row.product
        if self._mode_of_folder(path, row) is not None:
            return False
        difference = self._names_difference(path, row)
        if difference is None:
            return False
        appeared, gone, other = difference
        return not other and not self._foreign(row, appeared, gone)

    def _foreign(self, row: Input, appeared: set[bytes], gone: set[bytes]) -> set[bytes]:
        """The names, among those that differ, which are not the command's own work.

        What another run of the command left there counts: this one may have removed it.
        """
        known = self._known_products()
        return {name for name in appeared if join(row.path, name) not in self._left} | {
            name for name in gone if join(row.path, name) not in known
        }

    def _mode_of_folder(self, path: bytes, row: Input) -> int | None:
        """The permissions of a listed folder, where they differ and are not the command's own."""
        now = self.present.now(path)
        same = row.state.mode in (0, stat.S_IFDIR | now.mode)
        if now.what != What.DIR or same:
            return None
        own = row.product and now in self._known_products().get(row.path, ())
        return None if own else now.mode

    def _names_difference(
        self, path: bytes, row: Input
    ) -> tuple[set[bytes], set[bytes], set[bytes]] | None:
        """Names that appeared, are gone, or are of another type; None where it cannot be said."""
        if self.present.now(path).what != What.DIR:
            return None  # a link to a folder with these names is another thing
        now = self.present.entries(path)
        if now is None:
            return None
        try:
            was = entries_of(self.store.get(Cid(Codec.RAW, row.state.digest)))
        except DamageError:
            return None
        other = {name for name in was.keys() & now.keys() if was[name] != now[name]}
        return now.keys() - was.keys(), was.keys() - now.keys(), other

    def _change(self, path: bytes, row: Input) -> Change:
        name = _text(path, self.roots)
        what = row.state.what
        now = self.present.now(path)
        if what == What.NAMES:
            return self._names_change(name, path, row)
        if what in (What.MISSING, What.BLANK):
            return self._appearance(name, path, row.state.mode, now)
        if now.what == What.MISSING:
            return Change(name, "disappeared", _describe(row.state), "nothing is there")
        if what == What.LINK:
            return self._link_change(name, path, row)
        if what in _FILES and now.what == What.FILE:
            return self._file_change(name, row.state, now)
        return Change(name, "type", _describe(row.state), _describe(now))

    def _appearance(self, name: str, path: bytes, block: int, now: State) -> Change:
        """What is there where nothing was, or why nothing is there for another reason."""
        if now.what == What.MISSING:
            return Change(name, "type", _absence(block), _absence(self.present.blocked(path)))
        return Change(name, "appeared", _absence(block), _describe(now))

    def _link_change(self, name: str, path: bytes, row: Input) -> Change:
        target = self.trace.targets.get(row.path, b"")
        is_now = self.present.target(path)
        text = "no link" if is_now is None else f"a link to {shown(is_now)}"
        return Change(name, "link", f"a link to {shown(target)}", text)

    def _file_change(self, name: str, was: State, now: State) -> Change:
        if was.what == What.BYTECODE:
            return Change(name, "content", "bytecode of the same source", "other bytecode")
        if (mode := stat.S_IMODE(was.mode)) != now.mode:
            return Change(name, "mode", f"mode {mode:04o}", f"mode {now.mode:04o}")
        if was.what == What.SECRET:
            return Change(name, "content", "other content", "content that is kept secret")
        if was.what == What.TIMED:
            return Change(name, "content", "other content or another time", _describe(now))
        return Change(name, "content", _describe(was), _describe(now))

    def _names_change(self, name: str, path: bytes, row: Input) -> Change:
        if (mode := self._mode_of_folder(path, row)) is not None:
            was = f"mode {stat.S_IMODE(row.state.mode):04o}"
            return Change(name, "mode", was, f"mode {mode:04o}")
        was = "a folder with other entries"
        difference = self._names_difference(path, row)
        if difference is None:
            return Change(name, "listing", was, _describe(self.present.now(path)))
        appeared, gone, other = difference
        told = self._foreign(row, appeared, gone) | other
        parts: list[str] = []
        for words, names in (("new", appeared), ("gone", gone), ("of another type", other)):
            foreign = sorted(names & told)
            if foreign:
                some = ", ".join(shown(at) for at in foreign[:_SHOWN_NAMES])
                more = len(foreign) - _SHOWN_NAMES
                parts.append(f"{words}: {some}" + (f" and {more} more" if more > 0 else ""))
        return Change(name, "listing", was, "; ".join(parts) or "other entries")


def _without_echoes(changes: list[Change]) -> list[Change]:
    """Name the file before the folder that merely lists it: files first, listings last."""
    return sorted(changes, key=lambda change: change.kind == "listing")


def _absence(block: int) -> str:
    """Why nothing is at a path."""
    return f"not to be looked at ({os.strerror(block)})" if block else "nothing is there"


def _describe(state: State) -> str:
    what = state.what
    if what in (What.FILE, What.TIMED):
        return f"content {state.digest.hex()[:12]}"
    words = {
        What.MISSING: "nothing is there",
        What.DIR: "a folder",
        What.LINK: "a link",
        What.NAMES: "a folder",
        What.PRESENT: "a file",
        What.BLANK: "nothing, or an empty file",
        What.UNREADABLE: "an unreadable file",
        What.SECRET: "a secret file",
        What.UNKNOWN: "a file the run then replaced",
        What.BYTECODE: "bytecode",
    }
    return words.get(What(what), "something that is no file")


def _text(path: bytes, roots: Roots) -> str:
    """A path as a person would type it from the project folder."""
    short = roots.short(path)
    if short.startswith(b"P/"):
        return shown(short[2:])
    return shown(path if short != b"P" else b".")
