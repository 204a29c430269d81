"""What a script reads and writes, as far as other scripts may care."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self, cast

from cid_store.cid import Cid
from cid_store.nodes import get_node, put_node
from cid_store.store import Store
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.touched import Touched
from ring2_orchestrator.runs.trace import Trace

# That a folder is there says little: each script makes those it needs.
_NO_CONTENT = frozenset({What.DIR, What.OTHER, What.NAMES, What.BYTECODE})


class Marks(NamedTuple):
    """Absolute paths: files it saw or missed, folders it listed, files it left or removed.

    The bytes that are kept of them are specified in docs/formats/trace.md.
    """

    reads: frozenset[bytes] = frozenset()
    lists: frozenset[bytes] = frozenset()
    writes: frozenset[bytes] = frozenset()

    @classmethod
    def of_trace(cls, trace: Trace, roots: Roots) -> Self:
        """What a recorded run did. What it made after it had only looked for it is its own."""
        inputs = [(row.state.what, roots.full(row.path)) for row in trace.inputs if not row.product]
        return cls(
            frozenset(path for what, path in inputs if what not in _NO_CONTENT),
            frozenset(path for what, path in inputs if what == What.NAMES),
            frozenset(roots.full(each.path) for each in trace.outputs if each.what != What.DIR),
        )

    @classmethod
    def of_touched(cls, touched: Touched) -> Self:
        """The same of a run without a trace; then nobody knows which folders it listed."""
        return cls(touched.read - touched.made, frozenset(), touched.wrote)

    @classmethod
    def of_kept(cls, store: Store, trace: Cid, roots: Roots) -> Self:
        """The same of a trace in the store. Raises RedoxaError."""
        return cls.of_trace(Trace.from_node(get_node(store, trace)), roots)

    def within(self, roots: Roots) -> Self:
        """Those in the folders where runs leave what is kept: what others of a project write."""
        return type(self)(*(frozenset(filter(roots.may_write, paths)) for paths in self))

    def remember(self, store: Store, subject: str) -> None:
        """Keep them of a command of which no trace is kept. Raises RedoxaError."""
        node = put_node(store, {**self.lists_of_bytes(), "type": "marks", "v": 1})
        name = _root_name(subject)
        if store.root(name) != node:
            store.set_root(name, node)

    @classmethod
    def remembered(cls, store: Store, subject: str) -> Self | None:
        """What was kept of a command's last run, if no trace was. Raises RedoxaError."""
        cid = store.root(_root_name(subject))
        node = None if cid is None else get_node(store, cid)
        if not isinstance(node, dict) or node.get("type") != "marks" or node.get("v") != 1:
            return None
        return cls.from_lists(cast("Mapping[str, bytes]", node))

    def lists_of_bytes(self) -> dict[str, bytes]:
        """The same to be handed to another process."""
        return {name: b"\0".join(sorted(paths)) for name, paths in self._asdict().items()}

    @classmethod
    def from_lists(cls, lists: Mapping[str, bytes]) -> Self:
        """What was handed over."""
        return cls(*(_paths(lists[name]) for name in cls._fields))


def forget_marks(store: Store, subject: str) -> None:
    """Once a trace is kept of a command, its marks are those of the trace."""
    if store.root(_root_name(subject)) is not None:
        store.set_root(_root_name(subject), None)


def _root_name(subject: str) -> str:
    return f"marks/{subject}"


def _paths(data: bytes) -> frozenset[bytes]:
    found: Iterable[bytes] = data.split(b"\0") if data else ()
    return frozenset(found)
