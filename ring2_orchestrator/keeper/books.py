"""The bookkeeping of a call that another process makes: before it begins, and after its end."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.home import Home
from ring2_orchestrator.keeper.call import Call, End
from ring2_orchestrator.load import load_now
from ring2_orchestrator.recorder.binary import helper
from ring2_orchestrator.recorder.event import Doubt, StdinRecord, Window
from ring2_orchestrator.recorder.record import PREIMAGES, Told, assemble, oom_kills
from ring2_orchestrator.recorder.relay import Limits
from ring2_orchestrator.recorder.stdin_kind import StdinKind
from ring2_orchestrator.runs.clones.asking import folders_for
from ring2_orchestrator.runs.keeping import Recorded, keep
from ring2_orchestrator.runs.memo import Decision, Memo, weak_key
from ring2_orchestrator.runs.paths import canonical, identity_of_folder
from ring2_orchestrator.runs.presence import Presence
from ring2_orchestrator.runs.program import find_program
from ring2_orchestrator.runs.scratch import scratch_folder
from ring2_orchestrator.runs.secrets import Secrets
from ring2_orchestrator.runs.stdin import StandardInput
from ring2_orchestrator.runs.surroundings import Surroundings
from ring2_orchestrator.runs.task import Task

_SECRET = "its words hold a secret, and no secret is kept"  # noqa: S105 - a sentence


class Begun(NamedTuple):
    """A call that goes on; `close` it when it is of no more interest."""

    task: Task
    memo: Memo
    decision: Decision
    presence: Presence
    scratch: Path
    recorded: Callable[[End], Recorded]
    close: Callable[[], None]

    @property
    def helper_words(self) -> bytes:
        """What the wrapper must know to start the recorder's helper."""
        words = [helper(), self.scratch.absolute(), str(Limits().preimage_bytes)]
        return b"".join(os.fsencode(word) + b"\0" for word in words)


def begin(home: Home, call: Call) -> Begun | None:
    """Make ready for a recording; None where the call is to be done, or answered, in another way.

    Raises RedoxaError or OSError where it cannot be recorded.
    """
    if identity_of_folder(call.cwd) != call.folder:
        return None  # no path leads there from here
    program = find_program(call.command, cwd=call.cwd, env=call.env)
    stdin = StandardInput()  # nothing, as that of the call
    task = Task(
        list(call.command), program, home, call.cwd, call.env, stdin, attempt=1, compiler=True
    )
    memo = Memo(home)
    folders = folders_for(
        home,
        memo,
        call.command,
        moving=None,
        cwd=call.cwd,
        env=task.counted,
        network=None,
        compiler=True,
    )
    decision = memo.decide(
        call.command,
        cwd=call.cwd,
        env=task.counted,
        stdin=stdin,
        around=_around(memo, task, call),
        elsewhere=folders and folders.elsewhere,
    )
    if decision.reuse:
        return None
    secrets = Secrets.of(home.path, call.env, memo.key.seal)
    words = secrets.hidden(call.command)
    if words != call.command:
        # The subject is a plain hash of the words, which would tell a guess from the truth.
        decision = decision._replace(subject=weak_key(words, call.cwd))
    with ExitStack() as opened:
        scratch = opened.enter_context(scratch_folder(home.path))
        presence = opened.enter_context(Presence(home.path))
        (scratch / PREIMAGES).mkdir()
        started_ns, load, oom_before = home.clock.now_ns(), load_now(), oom_kills()

        def recorded(end: End) -> Recorded:
            doubts = [Doubt("secret", _SECRET)] if words != call.command else []
            told = _told(call, end)
            recording = assemble(scratch, told, oom_before)
            recording.doubts.extend(doubts)
            return Recorded(
                recording,
                started_ns,
                None,
                call.folder,
                words,
                secrets,
                verifying=False,
                load=load,
                scratch=scratch,
                folders=folders,
                network=None,
            )

        return Begun(task, memo, decision, presence, scratch, recorded, opened.pop_all().close)
    raise AssertionError("an exit stack lets every error pass")


def finish(begun: Begun, end: End, is_awaited: Callable[[], bool]) -> None:
    """Make of the recording what `redoxa run` does; nothing is published where nobody waits for it.

    Whoever waits has not handed on yet what the call left, so that what is read is what it left.
    Raises RedoxaError or OSError where the recording is of no use.
    """
    recorded = begun.recorded(end)
    keep(begun.task, begun.memo, begun.decision, begun.presence, recorded, still=is_awaited)


def _around(memo: Memo, task: Task, call: Call) -> Surroundings:
    return Surroundings(
        cwd=canonical(call.cwd),
        umask=call.umask,
        environment=memo.key.digests(task.counted),
        machine=call.machine,
        terminals=call.terminals,
        window=call.window,
        merged=call.merged,
    )


def _told(call: Call, end: End) -> Told:
    return Told(
        ended=end.ended,
        output=end.printed,
        stdin=StdinRecord(StdinKind.EMPTY),
        wall_s=end.wall_s,
        doubts=end.doubts,
        terminals=call.terminals,
        window=None if call.window is None else Window(*call.window),
        merged=call.merged,
        interrupted=end.interrupted,
    )
