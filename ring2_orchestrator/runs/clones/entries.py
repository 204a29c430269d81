"""Relocatable traces in the store: found by what was asked, wherever the project lay."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

from cid_store.cid import Cid
from cid_store.encoding import Node
from cid_store.errors import DamageError, MalformedNodeError
from cid_store.nodes import get_node, put_node
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import MAX_TRACES, Kept, load_kept, root_name

_DIGEST_BYTES = 16


class Entry(NamedTuple):
    """One trace that may be told of other folders, and what is known of it besides."""

    name: str
    kept: Kept
    aside: Mapping[bytes, bytes]  # digests of its variables, the root put aside
    roots: tuple[bytes, ...]  # its own, and those where the same came of it


def entries(home: Home, key: str) -> Iterator[Entry]:
    """The traces under a key that are still kept in their own folders, newest first."""
    for name, cid in list(home.store.roots(f"clones/{key}/")):
        try:
            entry = _load(home, name, cid)
        except (DamageError, MalformedNodeError, KeyError, TypeError):
            continue  # it was recorded once, and is not to be had any more
        if entry is not None:
            yield entry


def _load(home: Home, name: str, cid: Cid) -> Entry | None:
    node = get_node(home.store, cid)
    if not isinstance(node, dict) or (node["type"], node["v"]) != ("relocatable-trace", 1):
        raise MalformedNodeError(f"{name} is not a relocatable trace")
    kept = load_kept(home.store, name, cast("Cid", node["kept"]))
    if not _is_kept(home, cast("str", node["subject"]), kept.cid):
        return None
    environment = cast("dict[str, bytes]", node["environment"])
    names, digests = environment["names"], environment["digests"]
    return Entry(
        name=name,
        kept=kept,
        aside={
            each: digests[at * _DIGEST_BYTES : (at + 1) * _DIGEST_BYTES]
            for at, each in enumerate(names.split(b"\0") if names else [])
        },
        roots=(kept.trace.root, *cast("list[bytes]", node["shown"])),
    )


def _is_kept(home: Home, subject: str, trace: Cid) -> bool:
    """Whether the folder where it was recorded still has the trace: it may have been given up."""
    for _, cid in home.store.roots(f"memo/{subject}/"):
        node = get_node(home.store, cid)
        if isinstance(node, dict) and node.get("trace") == trace:
            return True
    return False


def put_entry(
    home: Home,
    key: str,
    kept: Cid,
    *,
    subject: str,
    aside: Mapping[bytes, bytes],
    shown: tuple[bytes, ...],
) -> None:
    """Let a kept trace be found from other folders, as long as its own keeps it."""
    names = sorted(aside)
    environment: Node = {
        "digests": b"".join(aside[name] for name in names),
        "names": b"\0".join(names),
    }
    node: dict[str, Node] = {
        "environment": environment,
        "kept": kept,
        "shown": list(shown),
        "subject": subject,
        "type": "relocatable-trace",
        "v": 1,
    }
    with home.store.batch():
        older = list(home.store.roots(f"clones/{key}/"))
        name = root_name(f"clones/{key}", home.clock, older)
        home.store.set_root(name, put_node(home.store, node))
        for oldest, _ in older[MAX_TRACES - 1 :]:
            home.store.set_root(oldest, None)
