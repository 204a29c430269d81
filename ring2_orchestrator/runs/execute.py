"""One command from question to acknowledgement: reuse it, or run it, record it and keep it."""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

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
from ring2_orchestrator.runs.program import find_program
from ring2_orchestrator.runs.result import RunResult
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.stdin import StandardInput, rest_of_file
from ring2_orchestrator.runs.task import Task
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.runs.verify import is_chosen

if TYPE_CHECKING:
    from ring2_orchestrator.net.policy import Policy
    from ring2_orchestrator.net.session import Session
    from ring2_orchestrator.runs.clones.folders import Folders
    from ring2_orchestrator.runs.clones.wanted import Moving
    from ring2_orchestrator.runs.secrets import Secrets


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
    network: "Policy | None" = None,
) -> RunResult:
    """Do what the command does: from the store when nothing it depends on changed, else by running.

    What the program prints goes to our standard output and error, byte for byte. With `shortcut` a
    reuse that restores nothing leaves what `redoxa-run` needs to answer the next one. Each run of a
    `compiler` does, and what make and cargo tell of their jobs does not count for it. A run whose
    time is over ends with exit code 124. `attempt` says which try of the same it is, `verify` which
    fraction of reuses is run again instead, to compare and not to keep; `moving` on what grounds
    results of other folders do. With `network` what goes over HTTP is recorded, or answered from a
    recording, and then is no doubt; such runs are not moved. Raises NoSuchCommandError,
    NotExecutableError or InputError before anything was run; whatever goes wrong after the program
    ran is told in the result's message, never by another exit code.
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
    run = run._replace(compiler=compiler, moving=moving, network=network)
    return run.result(reuse=reuse, cache_failures=cache_failures, shortcut=shortcut or compiler)


class _Run(Task):
    __slots__ = ()

    def result(self, *, reuse: bool, cache_failures: bool, shortcut: bool) -> RunResult:
        begun_ns = self.home.clock.monotonic_ns()
        memo = Memo(self.home)
        folders = folders_for(
            self.home,
            memo,
            self.command,
            cwd=self.cwd,
            env=self.counted,
            moving=self.moving,
            network=self.network,
            compiler=self.compiler,
        )
        decision = memo.decide(
            self.command,
            cwd=self.cwd,
            env=self.counted,
            stdin=self.stdin,
            cache_failures=cache_failures,
            elsewhere=folders and folders.elsewhere,
            network=self.network,
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
        if shortcut and self.network is None:
            self._leave_shortcut(memo, decision, result)
        return self.acknowledge(result, {}, self.command)

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
        from ring2_orchestrator.runs.keeping import Recorded, keep  # noqa: PLC0415
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
        with (
            scratch_folder(self.home.path) as scratch,
            Presence(self.home.path) as presence,
            self._session(memo, decision, scratch, secrets) as network,
        ):
            # A leaf's variables would be those of this run's own proxy, which never come again.
            if not self.compiler and network is None:
                announce_leaves(scratch, anew=anew)
            started_ns, folder = self.home.clock.now_ns(), identity_of_folder(self.cwd)
            load = load_now()
            recording = record(
                self.command,
                cwd=self.cwd,
                env=self.env if network is None else network.environment(self.env),
                scratch=scratch,
                stdin=self.stdin,
                limits=Limits(wall_s=self.timeout_s, grace_s=self.kill_after_s),
                clock=self.home.clock,
                presence=presence.descriptor,
                meanwhile=load_what_follows,
            )
            self.stdin.give_back(recording.stdin)
            if network is not None:
                network.settle(recording, secrets.found_in, secrets.found_in_stream)
            if words != self.command:
                recording.doubts.append(
                    Doubt("secret", "its words hold a secret, and no secret is kept")
                )
            recorded = Recorded(
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
                network,
            )
            return keep(self, memo, decision, presence, recorded)

    def _session(
        self, memo: Memo, decision: Decision, scratch: Path, secrets: "Secrets"
    ) -> "AbstractContextManager[Session | None]":
        """The network of the run, where it is recorded."""
        if self.network is None:
            return nullcontext()
        from ring2_orchestrator.runs.networked import open_session  # noqa: PLC0415 - few runs

        return open_session(
            self.network, memo, decision.subject, home=self.home, scratch=scratch, env=self.env,
            secrets=secrets,
        )  # fmt: skip
