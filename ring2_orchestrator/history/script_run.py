"""One run of one script, in a process of its own: what was known before it, and what it did."""

import importlib
import json
import os
import resource
import select
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cid_store.cid import Cid
from cid_store.errors import DamageError, InputError, MalformedNodeError, RedoxaError
from ring2_orchestrator.history.counts import Counts, counts_in, output_hash
from ring2_orchestrator.history.facts import UNKNOWN, Facts, facts_before
from ring2_orchestrator.home import Home
from ring2_orchestrator.recorder.errors import CannotExecuteError
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.worker import Worker

_ABSENT = frozenset({What.MISSING, What.BLANK})


# What `execute` loads when it comes to it. Each run is a fork of this process: what is loaded here
# is loaded once, and else by every run, which is as much work as a short script.
_LOADED_LATE = (
    "cid_store.local",
    "ring2_orchestrator.ledger",
    "ring2_orchestrator.recorder.record",
    "ring2_orchestrator.runs.crates",
    "ring2_orchestrator.runs.observe",
    "ring2_orchestrator.runs.overlap",
    "ring2_orchestrator.runs.presence",
    "ring2_orchestrator.runs.scratch",
    "ring2_orchestrator.runs.secrets",
)


def load_early() -> None:
    """Load in this process what its runs would load one by one."""
    for name in _LOADED_LATE:
        importlib.import_module(name)


class Outcome(NamedTuple):
    """What one run did, and cost; -1 is what is not known, as nothing was kept of it."""

    exit_code: int
    wall_s: float
    user_s: float
    sys_s: float
    max_rss_bytes: int
    load: float
    inputs: int
    missing: int
    listed: int
    counts: Counts
    output_hash: str
    doubt: str = ""
    tail: str = ""  # the last line that it printed


class Place(NamedTuple):
    """Where runs take place, and within which limits."""

    home: Path
    cwd: Path
    env: Mapping[str, str]
    timeout_s: float
    memory_bytes: int


def look(command: Sequence[str], place: Place) -> Facts:
    """What the traces say of the command as things stand."""

    def act() -> bytes:
        with Home(place.home) as home:
            return json.dumps(facts_before([*command], home, cwd=place.cwd, env=place.env)).encode()

    answer, _ = _done(act)
    facts = Facts.of_row(answer)
    assert facts is not None, "facts are answered as a row"
    return facts


def run(command: Sequence[str], place: Place) -> Outcome:
    """Run it, recorded, whatever is known of it. Raises InputError where it cannot be run."""
    load = os.getloadavg()[0]
    told, output = _done(lambda: _recorded(command, place))
    if "refused" in told:
        raise InputError(str(told["refused"]))
    return Outcome(
        **told,
        load=load,
        counts=counts_in(output),
        output_hash=output_hash(output),
        tail=(output.decode("utf-8", "replace").strip().splitlines() or [""])[-1],
    )


def _recorded(command: Sequence[str], place: Place) -> bytes:
    """The run itself, as JSON."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_least(place.memory_bytes, most), most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with Home(place.home) as home:
            result = execute(
                command,
                home=home,
                cwd=place.cwd,
                env=place.env,
                reuse=False,
                timeout_s=place.timeout_s,
            )
            return json.dumps(_told(result, home)).encode()
    except (RedoxaError, CannotExecuteError) as error:
        return json.dumps({"refused": str(error)}).encode()


def _least(wanted: int, most: int) -> int:
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


def _told(result: RunResult, home: Home) -> dict[str, object]:
    # The kernel tells both kinds of time for the program and the recorder's helper as one; how long
    # the program itself took is known from within, and shared out in the same proportion.
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = usage.ru_utime + usage.ru_stime
    user_s = result.cpu_s * (usage.ru_utime / whole if whole else 1.0)
    missing, listed = _kinds(result, home)
    return {
        "exit_code": result.exit_code,
        "wall_s": result.wall_s,
        "user_s": user_s,
        "sys_s": result.cpu_s - user_s,
        "max_rss_bytes": result.max_rss_bytes,
        "inputs": UNKNOWN if result.trace is None else result.inputs,
        "missing": missing,
        "listed": listed,
        "doubt": "; ".join(doubt.detail for doubt in result.doubts[:1]),
    }


def _kinds(result: RunResult, home: Home) -> tuple[int, int]:
    """How many of the inputs were looked for in vain, and how many were listings."""
    found = None if result.trace is None else _inputs_of(result.trace, result.subject, home)
    if found is None:
        return UNKNOWN, UNKNOWN
    return sum(what in _ABSENT for what in found), sum(what == What.NAMES for what in found)


def _inputs_of(trace: Cid, subject: str, home: Home) -> list[int] | None:
    with suppress(DamageError, MalformedNodeError):
        for kept in Memo(home, keeps=False).traces(subject):
            if kept.cid == trace:
                return [row.state.what for row in kept.trace.inputs]
    return None


def _done(act: Callable[[], bytes]) -> tuple[Any, bytes]:
    """What the work answered, and what was printed meanwhile. Nothing is left of it on an error."""
    worker = Worker(act, apart=True)
    printed: list[bytes] = []
    try:
        while worker.status is None:
            ready, _, _ = select.select(worker.descriptors, [], [])
            for descriptor in ready:
                if descriptor in worker.descriptors:
                    worker.read(descriptor)
            printed += [data for _, data in worker.output()]
    except BaseException:
        worker.abandon()
        raise
    printed += [data for _, data in worker.output()]
    if not worker.answer:
        raise InputError(
            f"a run came to no end that could be recorded (status {worker.status}); give it more "
            "memory with --memory, or see what it printed: " + _last(printed)
        )
    return json.loads(worker.answer), b"".join(printed)


def _last(printed: Sequence[bytes]) -> str:
    return (b"".join(printed).decode("utf-8", "replace").strip().splitlines() or ["nothing"])[-1]
