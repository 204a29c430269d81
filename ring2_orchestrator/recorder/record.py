"""Runs one command and gives back everything that was observed of it."""

import contextlib
import errno
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.clock import Clock, SystemClock
from ring2_orchestrator.recorder.binary import helper
from ring2_orchestrator.recorder.errors import CannotExecuteError, RecorderFailedError
from ring2_orchestrator.recorder.event import (
    Chunk,
    Doubt,
    Exit,
    Identity,
    Recording,
    StdinKind,
    StdinRecord,
    Window,
)
from ring2_orchestrator.recorder.relay import Limits, Relay
from ring2_orchestrator.recorder.stream import Stream, read_stream
from ring2_orchestrator.recorder.streams import Stdin, StdinSource, Streams, arrange

# Python ignores these two; the program must start with them as every program does.
_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ)
PREIMAGES = "pre"  # in the scratch folder
_NO_LIMITS = Limits()
_OURS = Stdin()


def record(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    scratch: Path,
    stdin: StdinSource = _OURS,
    forward: bool = True,
    limits: Limits = _NO_LIMITS,
    traced: bool = True,
    clock: Clock | None = None,
    presence: int | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Recording:
    """Run `command` as it would run without us, and say what it did.

    Its streams are ours (a terminal of its own where ours is one); with `forward` False its output
    is only kept. `scratch` is an empty folder; old contents of changed files lie there until the
    caller removes it. What still runs when the command has ended lives on and becomes a doubt. The
    descriptor `presence` stays open while any process of the run lives, even if this one is killed.
    `meanwhile` is called while the command runs, and should take no longer than it takes to import
    a few modules: what the command prints waits for it.
    Raises CannotExecuteError, NoRecorderError, RecorderFailedError.
    """
    clock = clock if clock is not None else SystemClock()
    program = helper()
    (scratch / PREIMAGES).mkdir()
    _flush()
    oom_before = oom_kills()
    streams = arrange(stdin, forward=forward)
    started = clock.monotonic_ns()
    try:
        words = _helper_words(command, cwd, scratch, limits)
        pid, control = _spawn(program, words, env, streams, traced=traced, presence=presence)
        with control:
            relay = Relay(streams, control, limits, clock)
            relay.run(meanwhile)
        if relay.done:
            os.waitpid(pid, 0)
        wall_s = (clock.monotonic_ns() - started) / 1e9
    finally:
        streams.close()
    if relay.exec_errno is not None:
        raise _cannot_execute(command[0], cwd, relay.exec_errno)
    if streams.stdin.kind is StdinKind.FILE and stdin.descriptor is not None:
        with contextlib.suppress(OSError):
            streams.stdin.after = Identity.of(os.fstat(stdin.descriptor))
            streams.stdin.end = os.lseek(stdin.descriptor, 0, os.SEEK_CUR)
    told = Told(
        ended=relay.ended,
        output=relay.output,
        stdin=streams.stdin,
        wall_s=wall_s,
        doubts=[*streams.doubts, *relay.doubts],
        terminals=streams.terminals,
        window=streams.window,
        merged=streams.merged,
        timed_out=relay.timed_out,
        interrupted=relay.interrupted,
    )
    return assemble(scratch, told, oom_before)


class Told(NamedTuple):
    """What whoever was with the program knows of its run, besides the helper's events."""

    ended: tuple[int, int] | None  # exit code, signal; None where the helper ended first
    output: list[Chunk]
    stdin: StdinRecord
    wall_s: float
    doubts: list[Doubt]
    terminals: tuple[bool, bool, bool]
    window: Window | None
    merged: bool
    timed_out: bool = False
    interrupted: bool = False


def assemble(scratch: Path, told: Told, oom_before: int) -> Recording:
    """The recording of a run that has ended, from its scratch folder and from what was told of it.

    `oom_before` is what `oom_kills` gave before it began. Raises RecorderFailedError.
    """
    stream = read_stream(scratch / "events", scratch / PREIMAGES)
    recording = _assembled(stream, told)
    recording.doubts.extend(_ending_doubts(recording, killed_by_oom=oom_kills() > oom_before))
    return recording


def _flush() -> None:
    # What we printed before must stand before what the program prints.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _helper_words(
    command: Sequence[str], cwd: Path, scratch: Path, limits: Limits
) -> Sequence[str]:
    where = [os.fspath(scratch.absolute()), os.fspath(cwd.absolute())]
    return [*where, str(limits.preimage_bytes), *command]


def _spawn(
    program: Path,
    words: Sequence[str],
    env: Mapping[str, str],
    streams: Streams,
    *,
    traced: bool,
    presence: int | None,
) -> tuple[int, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        options = "".join(sorted(str(fd) for fd in streams.closed))
        options += ("s" if streams.session else "") + ("" if traced else "u") + "-"
        kept = [fd for fd in (theirs.fileno(), presence) if fd is not None]
        numbers = ",".join(str(fd) for fd in kept)
        argv = [os.fspath(program), numbers, options, *words]
        actions = [
            (os.POSIX_SPAWN_DUP2, fd, number)
            for number, fd in enumerate(streams.program)
            if fd is not None
        ]
        # The helper closes them for the program alone: a file of its own must not take their place.
        actions += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in streams.closed]
        # Copying a descriptor onto itself is how a spawned program is allowed to keep it.
        actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in kept]
        try:
            pid = os.posix_spawn(
                program, argv, _kept(env), file_actions=actions, setsigdef=_DEFAULT_SIGNALS
            )
        except OSError as error:
            ours.close()
            raise RecorderFailedError(
                f"the recorder's helper {program} cannot be started ({error.strerror}); "
                "reinstall redoxa, or run with --no-reuse"
            ) from error
    streams.close_program_ends()
    return pid, ours


def _kept(env: Mapping[str, str]) -> dict[str, str]:
    # What changes how programs are loaded is meant for the program, not for its recorder, which
    # gives these names back their first form.
    return {
        f"REDOXA_KEPT_{name}" if name.startswith("LD_") else name: value
        for name, value in env.items()
    }


def _cannot_execute(name: str, cwd: Path, number: int) -> CannotExecuteError:
    reason = os.strerror(number)
    missing = number == errno.ENOENT
    if missing and not cwd.is_dir():
        return CannotExecuteError(f"the working folder {cwd} is missing", missing=True)
    if missing and "/" in name and (cwd / name).exists():
        return CannotExecuteError(
            f"the program that runs {name} is missing; correct its #! line, or install it",
            missing=False,
        )
    if missing:
        where = "" if "/" in name else " on PATH"
        return CannotExecuteError(
            f"the command {name!r} cannot be found{where}; check its spelling", missing=True
        )
    return CannotExecuteError(
        f"the command {name!r} cannot be executed ({reason}); check its permissions and format",
        missing=False,
    )


def _assembled(stream: Stream, told: Told) -> Recording:
    if stream.exit is None and told.ended is None:
        raise RecorderFailedError(
            "the recorder's helper ended before the program did, so the program was stopped; "
            "run it again, or without recording"
        )
    final = stream.exit
    if final is None:
        assert told.ended is not None, "checked above"
        final = Exit(None, told.ended[1]) if told.ended[1] else Exit(told.ended[0], None)
    return Recording(
        events=stream.events,
        exit=final,
        output=told.output,
        stdin=told.stdin,
        processes=stream.processes,
        wall_s=told.wall_s,
        cpu_s=stream.cpu_s,
        max_rss_bytes=stream.max_rss_bytes,
        complete=stream.complete,
        doubts=list(dict.fromkeys([*stream.doubts, *told.doubts])),
        terminals=told.terminals,
        window=told.window,
        merged=told.merged,
        timed_out=told.timed_out,
        interrupted=told.interrupted,
        counts=_counts(stream),
        uses=stream.uses,
        again=stream.again,
    )


def _counts(stream: Stream) -> dict[str, int]:
    counts = Counter(event.kind for event in stream.events) + stream.repeats
    return {kind.value: counts[kind] for kind in sorted(counts, key=lambda kind: kind.value)}


def _ending_doubts(recording: Recording, *, killed_by_oom: bool) -> list[Doubt]:
    doubts: list[Doubt] = []
    if not recording.complete:
        doubts.append(Doubt("lost-events", "the event stream has no end, so events may be missing"))
    if killed_by_oom:
        doubts.append(Doubt("out-of-memory", "the system killed a process for lack of memory"))
    if recording.exit.signal is not None:
        number = recording.exit.signal
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        kind = "killed" if number == signal.SIGKILL else "signal"
        doubts.append(Doubt(kind, f"the program was ended by {name}"))
    return doubts


def oom_kills() -> int:
    """How many processes of our control group the system has killed so far, if it says."""
    try:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
        text = Path(f"/sys/fs/cgroup{group}/memory.events").read_text()
    except OSError:
        return 0
    counts = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    return int(counts.get("oom_kill", 0))
