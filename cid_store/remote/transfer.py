"""Objects, and all that their nodes lead to, from one store to another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import MalformedNodeError
from cid_store.nodes import links
from cid_store.remote.cached import Parts
from cid_store.remote.remote import RemoteStore
from cid_store.store import Store

_WINDOW = 64  # objects that are asked for together; at most so many MiB are in memory

Progress = Callable[[float], object]


class Moved(NamedTuple):
    """What a transfer did."""

    objects: int  # that the starts lead to, themselves among them
    moved: int  # that the other side lacked
    moved_bytes: int


def push(
    local: Store,
    remote: RemoteStore,
    starts: Iterable[Cid],
    *,
    check: bool = False,
    progress: Progress | None = None,
) -> Moved:
    """Give the remote store what it lacks of these objects and of all they lead to.

    With `check` what it has is read, too, and replaced where it is damaged. `progress` is told of
    each object that was looked at.
    """

    def move(window: Sequence[Cid]) -> Iterator[int]:
        sizes = {cid: local.size(cid) for cid in window}
        lacking = remote.lacks(sizes, check=check)
        with remote.batch():
            for cid in lacking:
                if sizes[cid] <= CHUNK_BYTES:
                    remote.put(local.get(cid), cid.codec)
                else:
                    remote.put_stream(Parts(local.get_stream(cid)), cid.codec)
                yield sizes[cid]

    return _transfer(local, starts, move, progress)


def pull(
    remote: RemoteStore,
    local: Store,
    starts: Iterable[Cid],
    *,
    progress: Progress | None = None,
) -> Moved:
    """Take what the local store lacks of these objects and of all they lead to, each checked."""

    def move(window: Sequence[Cid]) -> Iterator[int]:
        lacking = [cid for cid in window if not local.has(cid)]
        small = remote.get_small(lacking)
        with local.batch():
            for cid in lacking:
                if cid in small:
                    local.put(small[cid], cid.codec)
                else:
                    local.put_stream(Parts(remote.get_stream(cid, near=local)), cid.codec)
                yield local.size(cid)

    return _transfer(local, starts, move, progress)


def _transfer(
    local: Store,
    starts: Iterable[Cid],
    move: Callable[[Sequence[Cid]], Iterator[int]],
    progress: Progress | None,
) -> Moved:
    """Move what is needed, a window at a time; the nodes are read here, where they then are."""
    waiting = list(dict.fromkeys(starts))
    seen = set(waiting)
    moved = moved_bytes = 0
    while waiting:
        window, waiting = waiting[-_WINDOW:], waiting[:-_WINDOW]
        for size in move(window):
            moved += 1
            moved_bytes += size
        for cid in window:
            new = [link for link in _links(local, cid) if link not in seen]
            waiting += dict.fromkeys(new)
            seen.update(new)
        if progress is not None:
            progress(len(window))
    return Moved(len(seen), moved, moved_bytes)


def _links(store: Store, cid: Cid) -> list[Cid]:
    if cid.codec is not Codec.NODE:
        return []
    data = store.get(cid)
    try:
        return list(links(decode(data)))
    except MalformedNodeError:
        return []  # bytes that somebody put as a node, and that lead nowhere
