"""One command from question to acknowledgement: reuse it, or run it, record it and keep it."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cid_store.cid import Cid
from cid_store.errors import DamageError, RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.load import load_now
from ring2_orchestrator.nesting import inside_recording
from ring2_orchestrator.recorder.stdin_kind import StdinKind
from ring2_orchestrator.runs.clones.asking import folders_for
from ring2_orchestrator.runs.errors import RestoreError
from ring2_orchestrator.runs.memo import Decision, Kept, Memo, weak_key
from ring2_orchestrator.runs.paths import identity_of_folder
from ring2_orchestrator.runs.printed import print_again
from ring2_orchestrator.runs.program import find_program, searched_in_vain
from ring2_orchestrator.runs.result import TIMED_OUT, RunResult, Verdict, append_run, message_of
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.stdin import StandardInput, moved, recorded_fact, rest_of_file
from ring2_orchestrator.runs.surroundings import OF_BUILD_TOOLS
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.runs.verify import difference, is_chosen, verified

if TYPE_CHECKING:
    from ring2_orchestrator.recorder.event import Doubt, Recording
    from ring2_orchestrator.runs.clones.folders import Folders
    from ring2_orchestrator.runs.clones.wanted import Moving
    from ring2_orchestrator.runs.observe import Observation
    from ring2_orchestrator.runs.presence import Candidate, Presence
    from ring2_orchestrator.runs.secrets import Secrets
    from ring2_orchestrator.runs.touched import Touched


def execute(
    command: Sequence[str],
    *,
    home: Home,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    reuse: bool = True,
    cache_failures: bool = False,
    shortcut: bool = False,
    compiler: bool = False,
    timeout_s: float | None = None,
    kill_after_s: float = 5.0,
    attempt: int = 1,
    verify: float = 0.0,
    moving: "Moving | None" = None,
    stdin: int | StandardInput = 0,
) -> RunResult:
    """Do what the command does: from the store when nothing it depends on changed, else by running.

    What the program prints goes to our standard output and error, byte for byte. With `shortcut` a
    reuse that restores nothing leaves what `redoxa-run` needs to answer the next one. Each run of a
    `compiler` does, and what make and cargo tell of their jobs does not count for it. A run whose
    time is over ends with exit code 124. `attempt` says which try of the same it is, `verify` which
    fraction of reuses is run again instead, to compare and not to keep; `moving` on what grounds
    results of other folders do. Raises NoSuchCommandError, NotExecutableError or InputError before
    anything was run; whatever goes wrong after the program ran is told in the result's message,
    never by another exit code.
    """
    folder = Path.cwd() if cwd is None else Path(cwd)
    environment = dict(os.environ if env is None else env)
    program = find_program(command, cwd=folder, env=environment)
    if inside_recording():
        from ring2_orchestrator.runs.plain import INSIDE, run_plainly  # noqa: PLC0415 - rarely

        return run_plainly(
            command,
            cwd=folder,
            env=environment,
            why=INSIDE,
            timeout_s=timeout_s,
            kill_after_s=kill_after_s,
        )
    source = StandardInput(stdin) if isinstance(stdin, int) else stdin
    run = _Run(list(command), program, home, folder, environment, source, attempt)
    run = run._replace(timeout_s=timeout_s, kill_after_s=kill_after_s, verify=verify)
    run = run._replace(compiler=compiler, moving=moving)
    return run.result(reuse=reuse, cache_failures=cache_failures, shortcut=shortcut or compiler)


_DRIFTED = "a second run on the same inputs has contradicted these results before"


class _Recorded(NamedTuple):
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


class _Run(NamedTuple):
    command: list[str]
    program: Path
    home: Home
    cwd: Path
    env: Mapping[str, str]
    stdin: StandardInput
    attempt: int
    timeout_s: float | None = None
    kill_after_s: float = 5.0
    verify: float = 0.0
    compiler: bool = False
    moving: "Moving | None" = None

    @property
    def counted(self) -> Mapping[str, str]:
        """The variables that may count."""
        if not self.compiler:
            return self.env
        return {
            name: value
            for name, value in self.env.items()
            if os.fsencode(name) not in OF_BUILD_TOOLS
        }

    def result(self, *, reuse: bool, cache_failures: bool, shortcut: bool) -> RunResult:
        begun_ns = self.home.clock.monotonic_ns()
        memo = Memo(self.home)
        folders = folders_for(
            self.home, memo, self.command,
            cwd=self.cwd, env=self.counted, moving=self.moving, compiler=self.compiler,
        )
        decision = memo.decide(
            self.command,
            cwd=self.cwd,
            env=self.counted,
            stdin=self.stdin,
            cache_failures=cache_failures,
            elsewhere=folders and folders.elsewhere,
        )
        if reuse and decision.reuse and decision.kept is not None:
            if self.verify and is_chosen(self.verify, self.home, decision.subject):
                return self._record(memo, decision, folders, anew=True, verifying=True)
            try:
                return self._replay(
                    memo, decision, decision.kept, begun_ns, folders, shortcut=shortcut
                )
            except DamageError as error:
                memo.forget(decision.kept)
                decision = decision.without_reuse(error)
            except RestoreError as error:
                decision = decision.without_reuse(error)
        return self._record(memo, decision, folders, anew=not reuse)

    # Reuse.

    def _replay(
        self,
        memo: Memo,
        decision: Decision,
        kept: Kept,
        begun_ns: int,
        folders: "Folders | None",
        *,
        shortcut: bool,
    ) -> RunResult:
        """The outcome of the kept run again. Raises DamageError or RestoreError."""
        trace = kept.trace
        printed = b"" if trace.printed is None else self.home.store.get(trace.printed)
        restored = 0
        if decision.stale or decision.old:
            restored = self._restore(memo, decision, trace)
        self.stdin.move(trace.stdin_moved)
        print_again(trace, printed)
        adopted = folders.adopt(decision) if folders is not None and kept.is_foreign else None
        wall_s = (self.home.clock.monotonic_ns() - begun_ns) / 1e9
        saved_s = kept.wall_ns / 1e9 - wall_s
        result = RunResult(
            exit_code=trace.exit_code,
            verdict="reused",
            reason=decision.reason,
            subject=decision.subject,
            trace=adopted or kept.cid,
            origin=kept.origin and kept.origin.root,
            inputs=len(trace.inputs),
            outputs=len(trace.outputs),
            restored=restored,
            wall_s=wall_s,
            saved_s=saved_s,
        )
        if shortcut:
            self._leave_shortcut(memo, decision, result)
        return self._acknowledge(result, {}, self.command)

    def _leave_shortcut(self, memo: Memo, decision: Decision, result: RunResult) -> None:
        from ring2_orchestrator.runs.shortcut import leave_shortcut  # noqa: PLC0415 - if asked

        with suppress(RedoxaError):  # without it the next answer is as slow as this one
            leave_shortcut(
                self.home,
                memo,
                decision,
                result,
                command=self.command,
                env=self.counted,
                compiler=self.compiler,
            )

    def _restore(self, memo: Memo, decision: Decision, trace: Trace) -> int:
        """Put the outputs back, in sight of whatever else is going on; how many."""
        from ring2_orchestrator.runs.overlap import end_run  # noqa: PLC0415 - often all stands
        from ring2_orchestrator.runs.presence import Presence  # noqa: PLC0415 - often all stands
        from ring2_orchestrator.runs.restore import restore  # noqa: PLC0415 - often all stands
        from ring2_orchestrator.runs.touched import touched_by_restore  # noqa: PLC0415 - the same

        roots = Roots.around(self.cwd, self.env)
        with Presence(self.home.path) as presence:
            touched = touched_by_restore(trace.outputs, {*decision.stale, *decision.old}, roots)
            try:
                return restore(
                    trace.outputs,
                    decision.stale,
                    store=self.home.store,
                    roots=roots,
                    now_ns=self.home.clock.now_ns(),
                    newest_ns=decision.newest_ns,
                    old=decision.old,
                )
            finally:
                with suppress(RedoxaError, OSError):  # without the note more is forbidden, not less
                    end_run(self.home, memo, presence, touched)

    def _foresee_reuse(
        self, memo: Memo, made: "Candidate", trace: Trace, wall_s: float, *, waits: bool
    ) -> None:
        """Leave a shortcut to the next reuse, which answers when the trace is published."""
        from ring2_orchestrator.runs.shortcut import foresee_reuse  # noqa: PLC0415 - for compilers

        with suppress(RedoxaError):  # without it Python gives the next answer
            foresee_reuse(
                self.home, memo, made, trace, wall_s=wall_s, env=self.counted, waits=waits
            )

    # Recording.

    def _record(
        self,
        memo: Memo,
        decision: Decision,
        folders: "Folders | None",
        *,
        anew: bool,
        verifying: bool = False,
    ) -> RunResult:
        """Run it; `anew`: what it does is to be seen, so no part of it is answered."""
        from ring2_orchestrator.recorder.event import Doubt  # noqa: PLC0415 - a hit needs none
        from ring2_orchestrator.recorder.record import record  # noqa: PLC0415 - a hit needs none
        from ring2_orchestrator.recorder.relay import Limits  # noqa: PLC0415 - a hit needs none
        from ring2_orchestrator.runs.following import load_what_follows  # noqa: PLC0415
        from ring2_orchestrator.runs.leaves.of_run import announce_leaves  # noqa: PLC0415 - the same
        from ring2_orchestrator.runs.presence import Presence  # noqa: PLC0415 - a hit needs none
        from ring2_orchestrator.runs.scratch import scratch_folder  # noqa: PLC0415
        from ring2_orchestrator.runs.secrets import Secrets  # noqa: PLC0415

        secrets = Secrets.of(self.home.path, self.env, memo.key.seal)
        words = secrets.hidden(self.command)
        if words != self.command:
            # The subject is a plain hash of the words, which would tell a guess from the truth.
            decision = decision._replace(subject=weak_key(words, self.cwd))
        file_rest = None
        if self.stdin.kind is StdinKind.FILE:
            file_rest = rest_of_file(self.stdin.descriptor)
        with scratch_folder(self.home.path) as scratch, Presence(self.home.path) as presence:
            if not self.compiler:
                announce_leaves(scratch, anew=anew)
            started_ns, folder = self.home.clock.now_ns(), identity_of_folder(self.cwd)
            load = load_now()
            recording = record(
                self.command,
                cwd=self.cwd,
                env=self.env,
                scratch=scratch,
                stdin=self.stdin,
                limits=Limits(wall_s=self.timeout_s, grace_s=self.kill_after_s),
                clock=self.home.clock,
                presence=presence.descriptor,
                meanwhile=load_what_follows,
            )
            self.stdin.give_back(recording.stdin)
            if words != self.command:
                recording.doubts.append(
                    Doubt("secret", "its words hold a secret, and no secret is kept")
                )
            recorded = _Recorded(
                recording,
                started_ns,
                file_rest,
                folder,
                words,
                secrets,
                verifying,
                load,
                scratch,
                folders,
            )
            return self._keep(memo, decision, presence, recorded)

    def _keep(
        self,
        memo: Memo,
        decision: Decision,
        presence: "Presence",
        recorded: "_Recorded",
    ) -> RunResult:
        """Make a trace of the recording and publish it, unless there is any doubt."""
        from ring2_orchestrator.recorder.event import Doubt  # noqa: PLC0415 - a hit needs none
        from ring2_orchestrator.runs.leaves.of_run import Leaves  # noqa: PLC0415
        from ring2_orchestrator.runs.overlap import end_run, end_run_alone  # noqa: PLC0415
        from ring2_orchestrator.runs.presence import Candidate  # noqa: PLC0415

        leaves = Leaves(self.home, memo, recorded.recording, recorded.scratch)
        recording = leaves.recording
        recorded = recorded._replace(recording=recording)
        leaves_some = any(doubt.kind == "detached" for doubt in recording.doubts)
        trace: Trace | None = None
        cid: Cid | None = None
        candidate: Candidate | None = None
        doubts: tuple[Doubt, ...] = ()
        touched: Touched | None = None
        waits = False
        elsewhere = decision.elsewhere
        try:
            with self.home.store.batch():
                found = self._observed(memo, decision, recorded)
                trace = self._trace_of(decision, recorded, found)
                touched = found.touched
                if identity_of_folder(self.cwd) != recorded.folder:
                    # Its paths would be taken for those of whatever stands here now.
                    found.doubts.append(Doubt("moved-folder", "its working folder was moved"))
                doubts = tuple(found.doubts)
                if not doubts and not recorded.verifying:
                    cid, entry = memo.put(
                        trace,
                        wall_ns=int(recording.wall_s * 1e9),
                        cpu_ns=int(recording.cpu_s * 1e9),
                        max_rss_bytes=recording.max_rss_bytes,
                    )
                    if memo.is_condemned(decision.subject, cid):
                        cid, doubts = None, (Doubt("drifted", _DRIFTED),)
                    else:
                        candidate = Candidate(decision.subject, entry)
                        if recorded.folders is not None:
                            elsewhere = recorded.folders.keep(decision, trace, cid, entry)
                if not recorded.verifying:
                    leaves.store()
                alone = not leaves_some and end_run_alone(memo, presence, candidate)
            if self.compiler and candidate is not None:
                self._foresee_reuse(memo, candidate, trace, recording.wall_s, waits=not alone)
            if alone:
                leaves.publish()
            else:
                parting = end_run(
                    self.home, memo, presence, found.touched, candidate, leaves_some=leaves_some
                )
                waits = parting.waits
                if parting.harm is not None:
                    cid, doubts = None, (*doubts, Doubt("overlap", parting.harm))
            processes = found.processes
        except (RedoxaError, OSError) as error:
            cid = processes = None
            doubts = (Doubt("not-kept", f"could not be kept: {error}"),)
        result = self._judge(decision, recording, trace, cid, doubts)
        if recorded.verifying:
            result = verified(memo, decision, result)
        published = cid is not None and not waits
        result = result._replace(
            published=published,
            waits=waits,
            processes=processes,
            touched=touched,
            load=recorded.load,
            elsewhere=elsewhere,
        )
        return self._acknowledge(result, recording.counts, recorded.words)

    def _observed(self, memo: Memo, decision: Decision, recorded: "_Recorded") -> "Observation":
        from ring2_orchestrator.runs.crates import dependency_folders  # noqa: PLC0415 - as above
        from ring2_orchestrator.runs.observe import observe  # noqa: PLC0415 - as above

        assert decision.around is not None, "a decision made here has looked around"
        return observe(
            recorded.recording,
            store=self.home.store,
            cache=memo.cache,
            roots=Roots.around(self.cwd, self.env),
            home=os.fsencode(self.home.path),
            started_ns=recorded.started_ns,
            around=decision.around,
            searched=searched_in_vain(self.command, self.program, cwd=self.cwd, env=self.env),
            unlisted=dependency_folders(self.command, self.cwd),
            secrets=recorded.secrets,
        )

    def _trace_of(
        self,
        decision: Decision,
        recorded: "_Recorded",
        found: "Observation",
    ) -> Trace:
        recording = recorded.recording
        assert decision.around is not None, "a decision made here has looked around"
        around = decision.around._replace(
            stdin=recorded_fact(recording.stdin, recorded.file_rest),
            terminals=recording.terminals,
            window=None if recording.window is None else tuple(recording.window),
            merged=recording.merged,
        )
        return Trace(
            command=tuple(os.fsencode(word) for word in self.command),
            root=Roots.around(self.cwd, self.env).project,
            surroundings=around,
            inputs=tuple(found.inputs),
            targets=found.targets,
            outputs=tuple(found.outputs),
            exit_code=recording.exit.status,
            printed=found.printed,
            cuts=tuple(found.cuts),
            stdin_moved=moved(recording.stdin),
        )

    def _judge(
        self,
        decision: Decision,
        recording: "Recording",
        trace: Trace | None,
        cid: Cid | None,
        doubts: "tuple[Doubt, ...]",
    ) -> RunResult:
        code = TIMED_OUT if recording.timed_out else recording.exit.status
        verdict: Verdict = "ran" if code == 0 else "failed"
        reason = decision.reason
        if decision.kept is not None and trace is not None and not doubts:
            # It held, and was run all the same: then its results must be these again.
            drift = difference(decision.kept.trace, trace)
            if decision.reuse or drift:
                reason = drift or "run again as asked, with the same results"
            verdict = "drifted" if drift else verdict
        return RunResult(
            exit_code=code,
            verdict=verdict,
            reason=reason,
            subject=decision.subject,
            trace=cid,
            published=cid is not None,
            known_before=decision.known > 0,
            changed=decision.changed,
            doubts=doubts,
            inputs=0 if trace is None else len(trace.inputs),
            outputs=0 if trace is None else len(trace.outputs),
            wall_s=recording.wall_s,
            cpu_s=recording.cpu_s,
            max_rss_bytes=recording.max_rss_bytes,
            attempt=self.attempt,
            timed_out=recording.timed_out,
            interrupted=recording.interrupted,
        )

    def _acknowledge(
        self, result: RunResult, counts: Mapping[str, int], words: Sequence[str]
    ) -> RunResult:
        """Enter the run in the ledger, and say what became of it."""
        try:
            seq = append_run(self.home.ledger, result, words, counts)
        except (RedoxaError, OSError) as error:
            return result._replace(message=f"{message_of(result)}; not in the ledger: {error}")
        return result._replace(seq=seq, message=message_of(result))
