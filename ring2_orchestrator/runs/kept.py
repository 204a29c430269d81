"""A kept trace: what a root of the memo names, a trace and what running it cost."""

from typing import NamedTuple, cast

from cid_store.cid import Cid
from cid_store.encoding import Node
from cid_store.errors import MalformedNodeError
from cid_store.nodes import get_node
from cid_store.store import Store
from ring2_orchestrator.runs.trace import Trace


class Origin(NamedTuple):
    """Where a trace was recorded that is put to use in another folder."""

    root: bytes
    key: str  # the one without the folder, as `clones_key` gives it
    trace: bytes  # the digest of the trace as it was recorded


class Kept(NamedTuple):
    """A trace in the memo, and what running it cost."""

    name: str
    cid: Cid
    trace: Trace
    wall_ns: int
    cpu_ns: int
    max_rss_bytes: int
    origin: Origin | None = None  # None where it was recorded here
    begun_ns: int = 0  # of one with a network: a time before the first answer was given

    @property
    def is_foreign(self) -> bool:
        """Whether it is kept in another folder only."""
        return self.origin is not None and not self.name.startswith("memo/")


def load_kept(store: Store, name: str, cid: Cid) -> Kept:
    """The kept trace under a root. Raises DamageError or MalformedNodeError."""
    node = get_node(store, cid)
    if not isinstance(node, dict) or node.get("type") != "kept-trace":
        raise MalformedNodeError(f"the memo's entry {name} is not a kept trace")
    if node.get("v") not in (1, 2):
        raise MalformedNodeError(f"the memo's entry {name} is of a version that is not known here")
    trace_cid = cast("Cid", node["trace"])
    return Kept(
        name=name,
        cid=trace_cid,
        trace=Trace.from_node(get_node(store, trace_cid)),
        wall_ns=_number(node, "wall_ns"),
        cpu_ns=_number(node, "cpu_ns"),
        max_rss_bytes=_number(node, "max_rss_bytes"),
        origin=_origin(node["origin"]) if "origin" in node else None,
        begun_ns=_number(node, "begun_ns") if "begun_ns" in node else 0,
    )


def _origin(node: Node) -> Origin:
    if isinstance(node, dict):
        root, key, trace = (node.get(name) for name in Origin._fields)
        if isinstance(root, bytes) and isinstance(key, str) and isinstance(trace, bytes):
            return Origin(root, key, trace)
    raise MalformedNodeError("a kept trace names an origin that is none")


def _number(node: dict[str, Node], key: str) -> int:
    value = node.get(key)
    if not isinstance(value, int):
        raise MalformedNodeError(f"a kept trace names no {key}")
    return value
