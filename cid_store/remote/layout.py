"""Which key holds what in a remote store, and the bytes of its marker and its roots."""

from typing import cast

from cid_store.chunks import CHUNK_BYTES, ChunkList, parse_chunks
from cid_store.cid import DIGEST_BYTES, Cid, digest_of
from cid_store.encoding import NodeLike, decode, encode
from cid_store.errors import CorruptObjectError, InputError, MalformedNodeError

MARKER_KEY = "redoxa-store"
VERSION = 1
MARKER = encode({"format": "redoxa remote store", "version": VERSION})
ROOTS_PREFIX = "roots"

MAX_SMALL_BYTES = 64 << 10  # a marker or a root; more is none
MAX_LIST_BYTES = 64 << 20  # the chunks of an object of 2 TiB

_READABLE_BYTES = 100  # in hexadecimal still a name that every folder takes
_LIST_HEAD_BYTES = 48


def object_key(cid: Cid) -> str:
    """Where an object of at most 1 MiB lies."""
    return f"objects/{cid.digest.hex()[:2]}/{cid}"


def list_key(cid: Cid) -> str:
    """Where the list of a larger object's chunks lies."""
    return f"lists/{cid.digest.hex()[:2]}/{cid}"


def list_size(size: int) -> int:
    """How long the list of an object of that size is."""
    return _LIST_HEAD_BYTES + -(-size // CHUNK_BYTES) * DIGEST_BYTES


def root_key(name: str) -> str:
    """Where the binding of that name lies."""
    data = name.encode()
    if len(data) <= _READABLE_BYTES:
        return f"{ROOTS_PREFIX}/n-{data.hex()}"
    return f"{ROOTS_PREFIX}/h-{digest_of(data).hex()}"


def remedy(key: str) -> str:
    """What repairs the value of that key, as the end of a sentence."""
    if key == MARKER_KEY:
        return "name another place, or move it away and push again"
    if key.startswith(f"{ROOTS_PREFIX}/"):
        return "bind the root anew with `redoxa store push --force` to repair it"
    return "push what leads to it again with `redoxa store push --check` to repair it"


def may_begin_with(key: str, prefix: str) -> bool:
    """Whether the name bound under that key can begin with the prefix: the key tells, if short."""
    form, _, letters = key.rpartition("/")[2].partition("-")
    return form == "h" or (form == "n" and letters.startswith(prefix.encode().hex()))


def root_record(name: str, cid: Cid | None) -> bytes:
    """The bytes that bind a name; without a CID they say that it is unbound."""
    binding: dict[str, NodeLike] = {"cid": cid, "name": name}
    return encode({**binding, "seal": digest_of(encode(binding))})


def parse_root(key: str, data: bytes, url: str) -> tuple[str, Cid | None]:
    """The name and what it is bound to. Raises CorruptObjectError for what is no such record."""
    try:
        record = decode(data)
    except MalformedNodeError:
        record = None
    if isinstance(record, dict):
        name, cid = record.get("name"), record.get("cid")
        # Nothing but a record's own bytes, under its own key, binds a name.
        if (
            isinstance(name, str)
            and isinstance(cid, Cid | None)
            and root_key(name) == key
            and root_record(name, cid) == data
        ):
            return name, cid
    raise CorruptObjectError(f"the root under {key} at {url} is damaged; {remedy(key)}")


def parse_list(cid: Cid, data: bytes, url: str) -> ChunkList:
    """The list of that object's chunks. Raises CorruptObjectError for what is no such list."""
    chunks = parse_chunks(cid, data)
    if chunks is None or chunks.chunk_bytes != CHUNK_BYTES or chunks.size <= CHUNK_BYTES:
        raise CorruptObjectError(
            f"object {cid} is corrupt: the list of its chunks at {url} is damaged; "
            f"{remedy(list_key(cid))}"
        )
    return chunks


def check_marker(data: bytes, url: str) -> None:
    """Raise InputError unless the marker is that of a store this program can use."""
    if data == MARKER:
        return
    try:
        marker = decode(data)
    except MalformedNodeError:
        marker = None
    if isinstance(marker, dict) and marker.get("format") == "redoxa remote store":
        version = cast("object", marker.get("version"))
        raise InputError(
            f"the store at {url} has version {version!r} of the format, this program knows "
            f"{VERSION}; install a newer Redoxa"
        )
    raise InputError(
        f"what lies at {url} is not a Redoxa store: its marker {MARKER_KEY!r} is something else; "
        "name another place"
    )
