"""What an imported CAR becomes in a store: objects, and a node that lists its blocks in order.

Blocks that a store cannot name itself (other codecs, other hash functions) are kept as raw objects,
and the list gives them their own names again.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple, cast

from cid_store.car.names import BlockName
from cid_store.car.reader import CarReader, Section
from cid_store.car.varint import VarintError
from cid_store.cid import Cid, Codec
from cid_store.encoding import MAX_NODE_BYTES, Node, NodeLike, decode
from cid_store.errors import MalformedNodeError
from cid_store.nodes import get_node, put_node
from cid_store.store import Store

ROOT_PREFIX = "car/"
PART_BLOCKS = 4096  # in one part of the list: a node of about 170 kB
MAX_BLOCKS = 1 << 30
MAX_BOUND = 1000  # more roots than anybody names one by one are bound together

Progress = Callable[[float], object]


class Imported(NamedTuple):
    """What was found in a CAR file, all of which the store now holds."""

    archive: Cid
    roots: tuple[BlockName, ...]  # as the file's header names them
    bound: tuple[str, ...]  # the store's roots that were bound to the archive
    absent: tuple[BlockName, ...]  # roots of the header whose blocks are not in the file
    blocks: int
    block_bytes: int
    foreign: int  # blocks kept under their own names
    unverified: int  # of these, the ones nobody here can check


class Archive(NamedTuple):
    """An imported CAR: its roots, and where the list of its blocks stands."""

    cid: Cid
    roots: list[BlockName]
    parts: list[Cid]

    def blocks(self, store: Store) -> Iterator[tuple[BlockName, Cid]]:
        """Every block in the order of the file: its name, and the object that has its bytes."""
        for part in self.parts:
            for entry in _entries(get_node(store, part), part):
                if isinstance(entry, Cid):
                    yield BlockName.from_bytes(entry.to_bytes()), entry
                else:
                    yield entry


def import_car(
    store: Store,
    file: BinaryIO,
    label: str,
    *,
    allow_unverified: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Keep every block of a CAR, each checked against its name before it is put.

    Roots are bound when everything is there. Raises MalformedCarError for a file that is damaged
    or, unless `allow_unverified`, holds a block that cannot be checked; the good blocks before
    that place may be kept, without a root.
    """
    reader = CarReader(file, label)
    with store.batch():
        taking = _Taking(store, reader, allow_unverified=allow_unverified)
        for section in reader.sections():
            taking.block(section)
            if progress is not None:
                progress(section.size)
        return taking.finish()


def archives_of(store: Store, root: str) -> list[str]:
    """The store's roots for imported CARs whose header names that CID, in its text form."""
    return [name for name, _ in store.roots(f"{ROOT_PREFIX}{root}/")]


def open_archive(store: Store, cid: Cid) -> Archive:
    """The imported CAR of that name. Raises MalformedNodeError where it is none."""
    match get_node(store, cid):
        case {"type": "car", "v": 1, "roots": list(roots), "parts": list(parts)} if all(
            isinstance(part, Cid) for part in parts
        ):
            return Archive(cid, [_name(root, cid) for root in roots], cast("list[Cid]", parts))
        case _:
            raise MalformedNodeError(f"{cid} is not the list of an imported CAR")


class _Taking:
    """One import on its way."""

    def __init__(self, store: Store, reader: CarReader, *, allow_unverified: bool) -> None:
        self._store = store
        self._reader = reader
        self._allow_unverified = allow_unverified
        self._entries: list[NodeLike] = []
        self._parts: list[Cid] = []
        self._absent = dict.fromkeys(reader.roots)
        self._blocks = self._block_bytes = self._foreign = self._unverified = 0

    def block(self, section: Section) -> None:
        """Check a block and keep it."""
        if self._blocks == MAX_BLOCKS:
            raise self._reader.refuse(section.offset, f"it holds more than {MAX_BLOCKS:,} blocks")
        self._check(section)
        cid = section.name.ours
        if cid is not None and (cid.codec is Codec.RAW or _is_node(section)):
            self._entries.append(self._kept(section, cid.codec))
        else:
            # Bytes that a node's name was given elsewhere, and that no node has, are foreign, too:
            # under that name they would be a node that nobody can read.
            self._entries.append([section.name.data, self._kept(section, Codec.RAW)])
            self._foreign += 1
        self._blocks += 1
        self._block_bytes += section.size
        self._absent.pop(section.name, None)
        if len(self._entries) == PART_BLOCKS:
            self._end_part()

    def finish(self) -> Imported:
        """Keep the list and bind the roots."""
        if self._entries:
            self._end_part()
        roots = tuple(self._reader.roots)
        archive = put_node(
            self._store,
            {
                "type": "car",
                "v": 1,
                "roots": [root.data for root in roots],
                "blocks": self._blocks,
                "bytes": self._block_bytes,
                "parts": self._parts,
            },
        )
        bound = tuple(f"{ROOT_PREFIX}{word}/{archive}" for word in _words(roots))
        for name in bound:
            self._store.set_root(name, archive)
        return Imported(
            archive=archive,
            roots=roots,
            bound=bound,
            absent=tuple(self._absent),
            blocks=self._blocks,
            block_bytes=self._block_bytes,
            foreign=self._foreign,
            unverified=self._unverified,
        )

    def _check(self, section: Section) -> None:
        verdict = section.name.multihash.names(section.parts())
        if verdict is False:
            raise self._reader.refuse(
                section.offset, f"the bytes of block {section.name} do not hash to its name"
            )
        if verdict is None:
            if not self._allow_unverified:
                raise self._reader.uncheckable(section)
            self._unverified += 1

    def _kept(self, section: Section, codec: Codec) -> Cid:
        if section.held is not None:
            return self._store.put(section.held, codec)
        cid = self._store.put_stream(_Source(section.parts()), codec)
        # It was read from the file again, and only what was checked may be listed.
        if cid == section.name.ours:
            return cid
        if section.name.multihash.names(self._store.get_stream(cid)) is False:
            raise self._reader.refuse(section.offset, "a block changed while it was read")
        return cid

    def _end_part(self) -> None:
        node: NodeLike = {"type": "car-part", "v": 1, "blocks": self._entries}
        self._parts.append(put_node(self._store, node))
        self._entries = []


def _words(roots: Sequence[BlockName]) -> list[str]:
    """What stands in the names of the store's roots for a CAR with these roots."""
    if len(roots) > MAX_BOUND:
        return ["many"]
    return [str(root) for root in dict.fromkeys(roots)] or ["none"]


class _Source:
    """Parts, to be read like a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._parts, b"")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def _is_node(section: Section) -> bool:
    if section.size > MAX_NODE_BYTES:
        return False
    try:
        decode(b"".join(section.parts()))
    except MalformedNodeError:
        return False
    return True


def _entries(node: Node, cid: Cid) -> Iterator[Cid | tuple[BlockName, Cid]]:
    match node:
        case {"type": "car-part", "v": 1, "blocks": list(entries)}:
            for entry in entries:
                match entry:
                    case Cid():
                        yield entry
                    case [bytes(), Cid() as held]:
                        yield _name(entry[0], cid), held
                    case _:
                        raise MalformedNodeError(f"{cid} lists a block without a name")
        case _:
            raise MalformedNodeError(f"{cid} is not a part of the list of an imported CAR")


def _name(data: Node, cid: Cid) -> BlockName:
    try:
        if isinstance(data, bytes):
            return BlockName.from_bytes(data)
    except VarintError:
        pass
    raise MalformedNodeError(f"{cid} names a block by something that is no CID")
