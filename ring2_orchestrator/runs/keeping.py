"""What becomes of a recording: a trace that answers from now on, or a doubt; an entry anyway."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from ring2_orchestrator.runs.memo import Decision, Memo
from ring2_orchestrator.runs.paths import identity_of_folder
from ring2_orchestrator.runs.program import searched_in_vain
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.stdin import moved, recorded_fact
from ring2_orchestrator.runs.task import Task
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.runs.verify import verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from ring2_orchestrator.net.session import Session
    from ring2_orchestrator.recorder.event import Doubt, Recording
    from ring2_orchestrator.runs.clones.folders import Folders
    from ring2_orchestrator.runs.leaves.of_run import Leaves
    from ring2_orchestrator.runs.observe import Observation
    from ring2_orchestrator.runs.presence import Candidate, Presence
    from ring2_orchestrator.runs.secrets import Secrets

_DRIFTED = "a second run on the same inputs has contradicted these results before"


class Recorded(NamedTuple):
    """A recording, and what was noted just before it began."""

    recording: "Recording"
    started_ns: int
    file_rest: bytes | None  # what was left to read of a standard input that is a file
    folder: tuple[int, int] | None  # device and inode of the working folder
    words: list[str]  # the command without the values of secret variables
    secrets: "Secrets"
    verifying: bool  # it only confirms what is kept already
    load: float | None  # of the machine
    scratch: Path
    folders: "Folders | None"  # where other folders count
    network: "Session | None"


def keep(
    task: Task,
    memo: Memo,
    decision: Decision,
    presence: "Presence",
    recorded: Recorded,
    *,
    still: "Callable[[], bool] | None" = None,
) -> RunResult:
    """Make a trace of the recording and publish it, unless there is any doubt.

    `still` is asked when the run's files have been read: whether all was as the run left it until
    now, because whoever called it waits.
    """
    from ring2_orchestrator.recorder.event import Doubt  # noqa: PLC0415 - loaded meanwhile
    from ring2_orchestrator.runs.judge import judge  # noqa: PLC0415 - as above
    from ring2_orchestrator.runs.leaves.of_run import Leaves  # noqa: PLC0415 - as above

    leaves = Leaves(task.home, memo, recorded.recording, recorded.scratch)
    recorded = recorded._replace(recording=leaves.recording)
    keeper = _Keeper(task, memo, decision, recorded)
    try:
        with task.home.store.batch():
            keeper.put()
            if still is not None and not still():
                keeper.give_up(Doubt("not-kept", "its caller did not wait until it was read"))
            if not recorded.verifying:
                leaves.store()
            keeper.come_to_an_end(presence)
        keeper.publish(presence, leaves)
    except (RedoxaError, OSError) as error:
        keeper.cid = keeper.processes = None
        keeper.doubts = (Doubt("not-kept", f"could not be kept: {error}"),)
    result = judge(
        keeper.decision,
        recorded.recording,
        keeper.trace,
        keeper.cid,
        keeper.doubts,
        attempt=task.attempt,
    )
    if recorded.verifying:
        result = verified(memo, keeper.decision, result)
    found = keeper.found
    result = result._replace(
        published=keeper.cid is not None and not keeper.waits,
        waits=keeper.waits,
        processes=keeper.processes,
        touched=None if found is None else found.touched,
        load=recorded.load,
        elsewhere=keeper.elsewhere,
    )
    return task.acknowledge(result, recorded.recording.counts, recorded.words)


class _Keeper:
    """One recording on its way; its attributes say how far it came."""

    def __init__(self, task: Task, memo: Memo, decision: Decision, recorded: Recorded) -> None:
        self._task = task
        self._memo = memo
        self._recorded = recorded
        self.decision = decision
        self.found: Observation | None = None
        self.trace: Trace | None = None
        self.cid: Cid | None = None
        self.processes: Cid | None = None
        self.doubts: tuple[Doubt, ...] = ()
        self.waits = False
        self.elsewhere = decision.elsewhere
        self._candidate: Candidate | None = None
        self._alone = False

    def put(self) -> None:
        """Make the trace, and put it in the store unless there is a doubt."""
        from ring2_orchestrator.recorder.event import Doubt  # noqa: PLC0415 - loaded meanwhile

        found = self.found = self._observed()
        self.trace = self._trace_of(found)
        if identity_of_folder(self._task.cwd) != self._recorded.folder:
            # Its paths would be taken for those of whatever stands here now.
            found.doubts.append(Doubt("moved-folder", "its working folder was moved"))
        self.decision, self.trace = self._with_answers(self.trace, found.doubts)
        self.doubts = tuple(found.doubts)
        if not self.doubts and not self._recorded.verifying:
            self._put_trace(self.trace)

    def give_up(self, doubt: "Doubt") -> None:
        """Keep no trace after all."""
        self.cid = self._candidate = None
        self.doubts = (*self.doubts, doubt)

    def come_to_an_end(self, presence: "Presence") -> None:
        """Look whether anybody else went on meanwhile; within the batch that stores the trace."""
        from ring2_orchestrator.runs.overlap import end_run_alone  # noqa: PLC0415 - as above

        if not self._leaves_some:
            self._alone = end_run_alone(self._memo, presence, self._candidate)

    def publish(self, presence: "Presence", leaves: "Leaves") -> None:
        """Let the trace answer: now, or when those that went on at the same time have ended."""
        from ring2_orchestrator.recorder.event import Doubt  # noqa: PLC0415 - loaded meanwhile
        from ring2_orchestrator.runs.overlap import end_run  # noqa: PLC0415 - as above

        assert self.found is not None, "it was put before"
        if self._task.compiler and self._candidate is not None and self._recorded.network is None:
            self._foresee_reuse(self._candidate)
        if self._alone:
            leaves.publish()
        else:
            parting = end_run(
                self._task.home,
                self._memo,
                presence,
                self.found.touched,
                self._candidate,
                leaves_some=self._leaves_some,
            )
            self.waits = parting.waits
            if parting.harm is not None:
                self.cid = None
                self.doubts = (*self.doubts, Doubt("overlap", parting.harm))
        self.processes = self.found.processes

    @property
    def _leaves_some(self) -> bool:
        return any(doubt.kind == "detached" for doubt in self._recorded.recording.doubts)

    def _put_trace(self, trace: Trace) -> None:
        from ring2_orchestrator.recorder.event import Doubt  # noqa: PLC0415 - loaded meanwhile
        from ring2_orchestrator.runs.presence import Candidate  # noqa: PLC0415 - as above

        recorded, recording = self._recorded, self._recorded.recording
        self.cid, entry = self._memo.put(
            trace,
            wall_ns=int(recording.wall_s * 1e9),
            cpu_ns=int(recording.cpu_s * 1e9),
            max_rss_bytes=recording.max_rss_bytes,
            begun_ns=0 if recorded.network is None else recorded.network.begun_ns,
        )
        if self._memo.is_condemned(self.decision.subject, self.cid):
            self.cid, self.doubts = None, (Doubt("drifted", _DRIFTED),)
            return
        self._candidate = Candidate(self.decision.subject, entry)
        if recorded.folders is not None:
            self.elsewhere = recorded.folders.keep(self.decision, trace, self.cid, entry)

    def _foresee_reuse(self, made: "Candidate") -> None:
        """Leave a shortcut to the next reuse, which answers when the trace is published."""
        from ring2_orchestrator.runs.shortcut import foresee_reuse  # noqa: PLC0415 - for compilers

        assert self.trace is not None, "it was put before"
        with suppress(RedoxaError):  # without it Python gives the next answer
            foresee_reuse(
                self._task.home,
                self._memo,
                made,
                self.trace,
                wall_s=self._recorded.recording.wall_s,
                env=self._task.counted,
                waits=not self._alone,
            )

    def _observed(self) -> "Observation":
        from ring2_orchestrator.runs.crates import dependency_folders  # noqa: PLC0415 - as above
        from ring2_orchestrator.runs.observe import observe  # noqa: PLC0415 - as above

        task, recorded = self._task, self._recorded
        assert self.decision.around is not None, "a decision made here has looked around"
        return observe(
            recorded.recording,
            store=task.home.store,
            cache=self._memo.cache,
            roots=Roots.around(task.cwd, task.env),
            home=os.fsencode(task.home.path),
            started_ns=recorded.started_ns,
            around=self.decision.around,
            searched=searched_in_vain(task.command, task.program, cwd=task.cwd, env=task.env),
            unlisted=dependency_folders(task.command, task.cwd),
            secrets=recorded.secrets,
        )

    def _with_answers(self, trace: Trace, doubts: "list[Doubt]") -> tuple[Decision, Trace]:
        recorded = self._recorded
        if recorded.network is None or doubts:
            return self.decision, trace
        from ring2_orchestrator.runs.networked import answered  # noqa: PLC0415 - few runs

        told = doubts if recorded.verifying else None
        return answered(self.decision, trace, recorded.network, home=self._task.home, doubts=told)

    def _trace_of(self, found: "Observation") -> Trace:
        recording = self._recorded.recording
        assert self.decision.around is not None, "a decision made here has looked around"
        around = self.decision.around._replace(
            stdin=recorded_fact(recording.stdin, self._recorded.file_rest),
            terminals=recording.terminals,
            window=None if recording.window is None else tuple(recording.window),
            merged=recording.merged,
        )
        return Trace(
            command=tuple(os.fsencode(word) for word in self._task.command),
            root=Roots.around(self._task.cwd, self._task.env).project,
            surroundings=around,
            inputs=tuple(found.inputs),
            targets=found.targets,
            outputs=tuple(found.outputs),
            exit_code=recording.exit.status,
            printed=found.printed,
            cuts=tuple(found.cuts),
            stdin_moved=moved(recording.stdin),
        )
