"""What the wrappers of compilers do for themselves inside a recorded run, taken out of its events.

A wrapper reads and writes the home, and asks /proc in which run it is. That is no input of the run:
all that its answers rest on it looks at besides, as the compiler would.
"""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ring2_orchestrator.recorder.event import Event, Kind
from ring2_orchestrator.runs.ask import front_end
from ring2_orchestrator.runs.inputs import identity_of
from ring2_orchestrator.runs.paths import inside

_LOOKS = frozenset({Kind.READ, Kind.STAT, Kind.READLINK, Kind.LIST})


def front_ends(events: Sequence[Event], home: bytes) -> frozenset[bytes]:
    """The programs that used `home` and are this installation's front end, whatever their names."""
    programs = {event.program for event in events if inside(event.path, home)}
    return frozenset(program for program in programs if _is_front_end(program, events))


def without_front_end(events: Sequence[Event], home: bytes, ours: Collection[bytes]) -> list[Event]:
    """The events but for what our programs did in `home` and in /proc."""
    if not ours:
        return list(events)
    return [event for event in events if event.program not in ours or not _is_private(event, home)]


def _is_private(event: Event, home: bytes) -> bool:
    if event.kind in _LOOKS and event.path.startswith(b"/proc/"):
        return True
    return inside(event.path, home) and (event.path2 is None or inside(event.path2, home))


def _is_front_end(program: bytes, events: Iterable[Event]) -> bool:
    """Whether what was executed under that name has the front end's own bytes."""
    executed = [
        event.before for event in events if event.kind is Kind.EXEC and event.path == program
    ]
    now = identity_of(program)
    if now is None or not executed or any(before != now for before in executed):
        return False
    try:
        return Path(os.fsdecode(program)).read_bytes() == Path(front_end()).read_bytes()
    except OSError:
        return False
