"""What is done with a home while something fails: each act is said when it is promised.

put CID            the object is kept
try NAME CID       a root is about to be bound ("-": unbound)
root NAME CID      it is bound
entry SEQ NAME N   the ledger holds this entry
demoted CID        a recipe took the object's place
promoted CID       the object is whole again
collect            garbage of any age is about to go
dropped COUNT      garbage went
refused TEXT       an act ended with this sentence
unopened TEXT      the home did not open, with this sentence
crash TEXT         an act ended as none may
"""

import io
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import numpy as np

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from cid_store.nodes import put_node
from cid_store.tiers import Tier, Writable
from ring2_orchestrator.home import Home
from tests.cid_store.rebuilder import Toy, put_recipe

SIZES = (0, 1, 100, 700, 5_000, 70_000, 300_000)
DAY_S = 24 * 3600
ROUNDS = 1000  # seeds of one worker; a seed this much lower was another's before

Say = Callable[..., None]


def blob(seed: int, at: int) -> bytes:
    """The same bytes for the same numbers, others for others."""
    return b"%d %d " % (seed, at) + bytes([at % 251]) * SIZES[(at * 7 + seed) % len(SIZES)]


@cache
def known(chunks: int) -> bytes:
    """The same chunks every time, all different."""
    return np.random.Generator(np.random.PCG64(1)).bytes(chunks * CHUNK_BYTES)


def long_blob(seed: int, chunks: int) -> bytes:
    """Some chunks that may be known, and a new one."""
    return known(chunks) + b"%d" % seed * 1000


class ToyHome(Home):
    """A home whose demoted objects are rebuilt without kernels, which take long to start."""

    def _rebuild(self, cid: Cid, recipe: Cid, out: Writable) -> None:
        toy = Toy()
        toy.store = self.store
        toy(cid, recipe, out)


class Work:
    """The acts of one thread, under names of its own; with `small` ones there is less of a kind."""

    def __init__(self, home: Home, say: Say, name: str, *, small: bool = False) -> None:
        self.home, self.name = home, name
        self._say = say
        self._blobs, self._chunks = (4, 1) if small else (24, 2)
        self._held: dict[Cid, bytes] = {}

    def attempt(self, act: Callable[..., None], *args: object) -> bool:
        """Do it, or say why not; whether it was done."""
        try:
            act(*args)
        except RedoxaError as error:
            self._say("refused", str(error).replace("\n", " "))
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody must hear of it
            frames = traceback.extract_tb(error.__traceback__)[-4:]
            where = " > ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
            self._say("crash", f"{act.__name__}: {error!r} in {where}".replace("\n", " "))
            return False
        return True

    def puts(self, seed: int) -> None:
        """Objects one by one, some of them known from before, and a root."""
        for data in (blob(seed, 1), blob(seed, 2), blob(max(seed - ROUNDS, 0), 1)):
            self._put(data)
        self._bind(f"put/{self.name}", Cid.of(blob(seed, 1)))

    def batch(self, seed: int) -> None:
        """Many objects with a node over them and a root, together."""
        store = self.home.store
        blobs = [blob(seed, at) for at in range(10, 10 + self._blobs)]
        name = f"batch/{self.name}"
        with store.batch():
            cids = store.put_many(blobs)
            node = put_node(store, cids)
            self._say("try", name, node)
            store.set_root(name, node)
        self._say("root", name, node)
        self._keep(zip(cids, blobs, strict=True))

    def stream(self, seed: int) -> None:
        """An object larger than a chunk, as a stream; all but its last chunk may be known."""
        data = long_blob(seed, self._chunks)
        cid = self.home.store.put_stream(io.BytesIO(data))
        self._keep([(cid, data)])
        self._bind(f"stream/{self.name}", cid)

    def unbind(self, seed: int) -> None:
        """A root that comes and goes, and garbage."""
        self._put(b"garbage %d " % seed * 2000)
        self._bind(f"gone/{self.name}", Cid.of(b"garbage %d " % seed * 2000))
        self._bind(f"gone/{self.name}", None)

    def demote(self, seed: int) -> None:
        """Objects that recipes take the place of, new ones and some that were demoted before."""
        store = self.home.store
        for at in (seed, max(seed - ROUNDS, 0)):
            part = b"part %d " % at * 4000
            data = part * 2
            cid = store.put(data)
            self._keep([(cid, data)])
            self._bind(f"tier/{self.name}", cid)
            recipe = put_recipe(store, store.put(part), times=2)
            store.demote(cid, recipe, (Tier.PENUMBRA, Tier.UMBRA)[at % 2])
            assert store.get(cid) == data
            self._say("demoted", cid)

    def promote(self, _seed: int) -> None:
        """What was demoted last is kept whole again."""
        cid = self.home.store.root(f"tier/{self.name}")
        if cid is not None and self.home.store.promote(cid):
            self._say("promoted", cid)

    def entries(self, seed: int) -> None:
        """One batch in the ledger."""
        receipt = self.home.ledger.append(
            [{"writer": self.name, "number": seed}], kind="t", subject=self.name
        )
        self._say("entry", receipt.seq, self.name, seed)

    def read(self, _seed: int) -> None:
        """What was put must be read as it was put, or not at all."""
        store = self.home.store
        for cid, data in self._held.items():
            assert store.get(cid) == data, f"{cid} reads wrong"
            assert b"".join(store.get_stream(cid)) == data, f"{cid} streams wrong"
        assert store.get_many(self._held) == list(self._held.values())
        for batch in self.home.ledger.batches(newest_first=True):
            assert batch.kind == "t"
            break

    def collect(self, _seed: int) -> None:
        """Garbage that is a day old goes, while others may be at work."""
        self._collect(DAY_S)

    def collect_all(self, _seed: int) -> None:
        """Garbage goes; nobody else may be at work."""
        self._say("collect")
        self._held.clear()
        self._collect(0)

    def repair(self, _seed: int) -> None:
        """The index is made anew; a disk that fails once has damaged nothing."""
        self.home.store.repair(live=self.home.needed())

    def verify(self, _seed: int) -> None:
        """Everything is read; what cannot be read is no damage that was found, but may be said."""
        self.home.store.verify()
        self.home.ledger.verify()

    def _collect(self, grace_s: float) -> None:
        report = self.home.store.gc(live=self.home.needed, grace_s=grace_s)
        self._say("dropped", report.dropped)

    def _put(self, data: bytes) -> None:
        self._keep([(self.home.store.put(data), data)])

    def _keep(self, objects: Iterable[tuple[Cid, bytes]]) -> None:
        for cid, data in objects:
            self._say("put", cid)
            self._held[cid] = data

    def _bind(self, name: str, cid: Cid | None) -> None:
        self._say("try", name, cid or "-")
        self.home.store.set_root(name, cid)
        self._say("root", name, cid or "-")

    def steps(self) -> Iterator[Callable[[int], None]]:
        """Every act once, in an order that leaves something for each to do."""
        yield from (self.puts, self.batch, self.entries, self.stream, self.unbind, self.demote)
        yield from (self.read, self.collect_all, self.read, self.promote, self.entries)
        yield from (self.repair, self.puts, self.verify)
