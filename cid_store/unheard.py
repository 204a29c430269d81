"""What other processes appended and their index does not say yet: read from the packs' end."""

import os
import time
from collections.abc import Iterable, Mapping

from cid_store import disk
from cid_store.cid import Cid
from cid_store.folder import PackFile, PackFolder, Place, Tail
from cid_store.index import PackEnd
from cid_store.pack import HEADER_BYTES
from cid_store.recovery import learn, survey


class Unheard:
    """Objects and roots that stand in the packs beyond some end, as far as was listened.

    They are on the disk, but whether their writer was told so is not known: they can be read, and a
    put does not rely on them.
    """

    def __init__(self, start: PackEnd) -> None:
        self._start = Tail(start.number, start.end)
        self.reached = self._start
        self.objects: dict[Cid, Place] = {}
        self.roots: dict[str, Cid | None] = {}
        self._mark: object = None

    @property
    def is_empty(self) -> bool:
        """Whether the index is not behind at all."""
        return not self.objects and not self.roots

    def continues(self, known: PackEnd) -> bool:
        """Whether this is what is missing of an index that knows the packs so far, and no more.

        What an index learnt since is forgotten here: only there it is known what was dropped.
        """
        return self._start[:2] == (known.number, known.end)

    def listen(self, folder: PackFolder, *, closely: bool = False) -> None:
        """Read on where the last time ended; `closely` also where no record seems to begin."""
        number, at = self.reached[:2]
        while (pack := folder.pack(number)) is not None:
            if at > pack.size():
                self.reached = Tail(number, at, fit=False)
                return  # damaged: nobody adds to it
            # Asked before the look: what a pack holds when it is left for the next is all of it.
            is_left = folder.exists(number + 1)
            if (closely or any(pack.read(at, HEADER_BYTES))) and self._is_news(pack):
                at = self._learn(folder, pack, number, at)
            self.reached = Tail(number, at)
            if not is_left:
                return
            number, at = number + 1, HEADER_BYTES

    def _learn(self, folder: PackFolder, pack: PackFile, number: int, start: int) -> int:
        found = survey(pack, number, start)
        heads = found.readable()
        if not heads:
            return found.end
        # Its writer may be waiting for the disk: what is read here must not be lost any more.
        try:
            disk.sync_data(pack.fd)
        except OSError:
            self._mark = None
            return start  # then its writer hears the same, if it was not told before
        learn(self, folder, number, heads)
        return found.end

    def apply(
        self,
        objects: Iterable[tuple[Cid, Place]],
        roots: Mapping[str, Cid | None],
        end: PackEnd,  # noqa: ARG002 - an index keeps it, and takes the same
    ) -> None:
        """Learn what was appended."""
        # New ones, because other threads may be looking into the old.
        self.objects = self.objects | dict(objects)
        self.roots = {**self.roots, **roots}

    def _is_news(self, pack: PackFile) -> bool:
        """Whether the pack was written to since it was listened to without success."""
        status = os.fstat(pack.fd)
        if time.time_ns() - status.st_mtime_ns < disk.WRITE_NS:
            self._mark = None
            return True  # what was half-way then may be whole now, and bear no other time
        mark = (status.st_ino, status.st_size, status.st_mtime_ns, self.reached)
        old, self._mark = self._mark, mark
        return mark != old
