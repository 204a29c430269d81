"""Group commit: writers that come while the disk is waited for go together, as one append."""

import threading
from collections.abc import Callable, Mapping, Sequence

from cid_store.batches import Payload
from cid_store.cid import Cid
from cid_store.errors import RedoxaError, StoreStoppedError, UnavailableError


class Request:
    """What one caller wants to be durable, and what became of it."""

    def __init__(
        self,
        objects: Mapping[Cid, Payload],
        lists: Mapping[Cid, bytes],
        roots: Mapping[str, Cid | None],
    ) -> None:
        self.objects = objects
        self.lists = lists  # of the chunks of objects that are not kept whole
        self.roots = roots
        # What of it was not there, and the packs' end when that was so.
        self.missing: Mapping[Cid, Payload] = objects
        self.unlisted: Mapping[Cid, bytes] = lists
        self.seen: object = None
        self.done = False
        self.error: Exception | None = None

    def end(self, error: Exception | None = None) -> None:
        """Say that it is durable, or why it is not."""
        self.done, self.error = True, error


class GroupCommit:
    """One thread of this process writes for all who wait; each returns when its own is durable.

    Whoever gets the turn takes everything that waits by then, so a group is as large as the disk is
    slow, and a writer alone waits for nobody.
    """

    def __init__(self, commit: Callable[[Sequence[Request]], None]) -> None:
        self._commit = commit
        self._waiting: list[Request] = []
        self._arrival = threading.Lock()
        self._turn = threading.Lock()

    def join(self, request: Request) -> None:
        """Return when the request is durable. Raises what kept it from being."""
        with self._arrival:
            self._waiting.append(request)
        with self._turn:
            if not request.done:
                self._lead(request)
        if request.error is not None:
            raise request.error

    def _lead(self, own: Request) -> None:
        with self._arrival:
            group, self._waiting = self._waiting, []
        try:
            self._try(group)
        except BaseException:
            # The leader was interrupted; the others were not, and one of them leads next.
            with self._arrival:
                left = [request for request in group if request is not own and not request.done]
                self._waiting = left + self._waiting
            raise

    def _try(self, group: Sequence[Request]) -> None:
        try:
            self._commit(group)
        except Exception as error:  # noqa: BLE001 - all who wait must hear of it
            alone = isinstance(error, StoreStoppedError) or not isinstance(error, UnavailableError)
            if len(group) == 1 or alone:
                _end_all(group, error)
                return
            # A put that the disk has no room for must not fail its neighbours.
            for request in group:
                self._try([request])
        else:
            for request in group:
                if not request.done:
                    request.done = True


def _end_all(group: Sequence[Request], error: Exception) -> None:
    for request in group:
        if not request.done:
            request.end(_own_copy(error))


def _own_copy(error: Exception) -> Exception:
    """The error for one more thread to raise: a traceback belongs to one."""
    return type(error)(str(error)) if isinstance(error, RedoxaError) else error
