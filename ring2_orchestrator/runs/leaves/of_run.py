"""The leaves of one recorded run, for whoever keeps it; of a run without any nothing is loaded."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import RedoxaError
from ring2_orchestrator.runs.paths import canonical, inside

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.recorder.event import Recording
    from ring2_orchestrator.runs.leaves.harvest import Harvested
    from ring2_orchestrator.runs.memo import Memo


def announce_leaves(scratch: Path, *, anew: bool) -> None:
    """Tell compilers' wrappers inside the coming recording that their calls are leaves of it.

    They answer none of them if all is to be done `anew`.
    """
    (scratch / "leaves").mkdir()
    (scratch / "leaves" / "given").write_bytes(b"".join(_given()))
    if anew:
        (scratch / "leaves" / "anew").touch()


def _given() -> Iterator[bytes]:
    """Each descriptor that the run is handed from outside, and what it leads to.

    The recorder's helper watches them: to use one is a doubt of the whole run, to have it is none.
    """
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - in each run
        descriptor = int(name)
        with suppress(OSError):
            if descriptor > 2 and os.get_inheritable(descriptor):
                status = os.fstat(descriptor)
                yield b"%d %d %d\n" % (descriptor, status.st_dev, status.st_ino)


class Leaves:
    """Compiler calls inside the run; `recording` is without what their wrappers did themselves."""

    def __init__(self, home: "Home", memo: "Memo", recording: "Recording", scratch: Path) -> None:
        self._home = home
        self._memo = memo
        self._scratch = scratch
        self._whole = recording
        self.recording = recording
        self._stored: list[Harvested] = []
        self._ours = frozenset[bytes]()  # the programs that are wrappers
        own = canonical(home.path)
        if any(inside(event.path, own) for event in recording.events):
            from ring2_orchestrator.runs.leaves.front import (  # noqa: PLC0415 - as above
                front_ends,
                without_front_end,
            )

            self._ours = front_ends(recording.events, own)
            events = without_front_end(recording.events, own, self._ours)
            self.recording = recording._replace(events=events)

    def store(self) -> None:
        """Put in the store what can be kept of them. What cannot be kept is run again."""
        if not self._ours:
            return  # none was called
        from ring2_orchestrator.runs.leaves.harvest import harvest  # noqa: PLC0415 - as above

        with suppress(RedoxaError, OSError):
            self._stored = harvest(
                self._home, self._memo, self._whole, self._scratch, ours=self._ours
            )

    def publish(self) -> None:
        """Let them answer: nobody else went on while they did."""
        if not self._stored:
            return
        from ring2_orchestrator.runs.leaves.harvest import publish  # noqa: PLC0415 - as above

        with suppress(RedoxaError, OSError):
            publish(self._home, self._memo, self._stored)
