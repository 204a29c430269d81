"""What every store promises, wherever it keeps its bytes."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, Self

from cid_store.cid import Cid, Codec
from cid_store.errors import MalformedNodeError, UsageError

GRACE_S = 7 * 24 * 3600.0  # longer than any work that puts first and binds later

Buffer = bytes | bytearray | memoryview


class ByteSource(Protocol):
    """What a blob is read from: a file, a pipe, a socket's file."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes; none at the end."""
        ...


class Store(Protocol):
    """Bytes in, CID out; bytes back, checked.

    `put` returns only when the object would survive a power cut; inside `batch()` the same holds
    when the outermost block ends. Every read hashes the very bytes it returns. A store may be used
    from several threads of one process; a batch belongs to the thread that opened it. A process
    that was forked opens the store again.
    """

    def put(self, data: Buffer, codec: Codec = Codec.RAW) -> Cid:
        """Keep `data` and return its name; putting the same bytes again costs no space."""
        ...

    def put_many(self, blobs: Iterable[Buffer], codec: Codec = Codec.RAW) -> list[Cid]:
        """Keep every blob with one wait for the disk; names come back in the same order."""
        ...

    def get(self, cid: Cid) -> bytes:
        """The bytes of that name. Raises MissingObjectError or CorruptObjectError."""
        ...

    def get_many(self, cids: Iterable[Cid]) -> list[bytes]:
        """The bytes of each name, in the same order; raises as `get` does."""
        ...

    def put_stream(self, source: ByteSource, codec: Codec = Codec.RAW) -> Cid:
        """Keep what a source gives until its end; it need not fit into memory."""
        ...

    def get_stream(self, cid: Cid) -> Iterator[bytes]:
        """The bytes in parts, each checked before it is given; raises as `get` does."""
        ...

    def read(self, cid: Cid, offset: int, length: int) -> bytes:
        """`length` of the bytes from `offset`, checked; fewer where the object ends."""
        ...

    def view(self, cid: Cid) -> memoryview:
        """The same bytes, checked, read-only, without a copy where the store can."""
        ...

    def size(self, cid: Cid) -> int:
        """How many bytes the object has (it does not read them). Raises MissingObjectError."""
        ...

    def has(self, cid: Cid) -> bool:
        """Whether `get` would find the object (it does not read it)."""
        ...

    def batch(self) -> AbstractContextManager[None]:
        """Puts and roots inside become durable together when the block ends without an error.

        After an error no root is bound, and what was put may or may not be kept. A batch inside a
        batch becomes durable with the outer one.
        """
        ...

    def set_root(self, name: str, cid: Cid | None) -> None:
        """Bind a name to a CID (None unbinds): after the objects, so it never dangles.

        Raises MissingObjectError where the store does not hold the object.
        """
        ...

    def root(self, name: str) -> Cid | None:
        """The CID bound to that name, or None."""
        ...

    def roots(self, prefix: str = "") -> Iterator[tuple[str, Cid]]:
        """Every bound name with that prefix, in order."""
        ...

    def close(self) -> None:
        """Let files and locks go; what was put is kept already. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


def check_root_name(name: str) -> None:
    """Raise MalformedNodeError unless the name is Unicode text, as every root name is."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise MalformedNodeError(
            f"the root name {name!r} is not Unicode text (it holds a lone surrogate)"
        ) from error


def check_range(offset: int, length: int) -> None:
    """Raise UsageError unless some bytes can be meant."""
    if offset < 0 or length < 0:
        raise UsageError(
            f"{length} bytes from offset {offset} cannot be meant; both are counted from 0"
        )
