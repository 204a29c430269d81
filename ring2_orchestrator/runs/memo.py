"""The memo: up to 32 traces of each command, and the exact answer to whether one of them holds."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from cid_store.cid import Cid
from cid_store.encoding import NodeLike, encode
from cid_store.errors import DamageError, MalformedNodeError, RedoxaError
from cid_store.nodes import put_node
from cid_store.store import Store
from ring2_orchestrator.clock import Clock
from ring2_orchestrator.home import Home
from ring2_orchestrator.net.variables import without_proxy
from ring2_orchestrator.runs.compare import Comparison, Products, products_of
from ring2_orchestrator.runs.kept import Kept, Origin, load_kept
from ring2_orchestrator.runs.paths import canonical, shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.statcache import Aspect, StatCache
from ring2_orchestrator.runs.state import Present, State, What
from ring2_orchestrator.runs.stdin import StandardInput
from ring2_orchestrator.runs.summary import summary
from ring2_orchestrator.runs.surroundings import (
    Change,
    EnvironmentKey,
    Surroundings,
    surroundings_of,
)
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.shortcuts.folder import discard, drop, let_answer

if TYPE_CHECKING:
    from ring2_orchestrator.net.policy import Policy

MAX_TRACES = 32
_KEY_BYTES = 20
_ASPECTS: Mapping[int, bytes] = {What.NAMES: Aspect.NAMES, What.BYTECODE: Aspect.BYTECODE}
_UNHASHED = frozenset({What.MISSING, What.DIR, What.LINK, What.PRESENT, What.BLANK, What.OTHER})
_DEFAULT_STREAMS = (0, 1, 2)


def weak_key(command: Sequence[str], cwd: Path) -> str:
    """The name under which a command's traces and history are kept: its words and its folder."""
    words = [os.fsencode(word) for word in command]
    node = encode({"command": words, "cwd": canonical(cwd)})
    return blake3(node).hexdigest(_KEY_BYTES)


class Decision(NamedTuple):
    """Whether a command need not run, and why.

    `changed` says what differs from the `nearest` trace, the one that least differs from; empty
    when there is none, or when the run may be reused. `kept` is the trace that holds; `stale` the
    paths of its outputs that a reuse would put back, and `old` those that are right and older than
    an input.
    """

    reuse: bool
    reason: str
    changed: tuple[Change, ...]
    trace: Cid | None
    subject: str
    known: int = 0
    kept: Kept | None = None
    nearest: Kept | None = None
    stale: tuple[bytes, ...] = ()
    old: tuple[bytes, ...] = ()
    newest_ns: int = 0  # of the files of the project that the run read
    holds: bool = False  # a trace holds, even if it may not be reused (a failure)
    around: Surroundings | None = None
    elsewhere: str = ""  # why nothing is reused from another folder, where that was asked for
    candidate: Kept | None = None  # a trace of another folder that this run may confirm

    def without_reuse(self, error: RedoxaError) -> "Decision":
        """The decision to run after all, because the results cannot be had."""
        return self._replace(
            reuse=False, kept=None, reason=f"its results are not to be had: {error}"
        )


class Memo:
    """The traces in one home. Looking never changes anything but the stat cache.

    With `keeps` False it does not change that either.
    """

    def __init__(self, home: Home, *, keeps: bool = True) -> None:
        self._home = home
        self.key = EnvironmentKey(home.path)
        self.cache = StatCache(home.path / "stat.db", clock=home.clock, keeps=keeps)

    def decide(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: StandardInput | None = None,
        cache_failures: bool = False,
        streams: tuple[int, int, int] | None = _DEFAULT_STREAMS,
        around: Surroundings | None = None,
        elsewhere: "Callable[[Inquiry, Decision], Decision] | None" = None,
        network: "Policy | None" = None,
    ) -> Decision:
        """Whether the command's results are known for the world as it is now.

        Without `stdin` the standard input counts as unchanged, without `streams` the kind of all
        three streams does: that is the question of whoever does not run the command itself. The
        surroundings are those of this process, unless it asks for another, `around` which is what
        that one told. Where
        nothing holds, `elsewhere` decides by what other folders know. With `network` that of the
        command is recorded, and servers may be asked what still holds.
        """
        subject = weak_key(command, cwd)
        env = env if network is None else without_proxy(env)
        if around is None:
            around = surroundings_of(cwd, env, self.key, streams=streams or _DEFAULT_STREAMS)
        around = around if network is None else around.with_network()
        inquiry = Inquiry(
            store=self._home.store,
            cache=self.cache,
            seal=self.key.seal,
            roots=Roots.around(cwd, env),
            around=around,
            stdin=stdin,
            streams_known=streams is not None,
            network_changes=self._network_changes(network),
            names=self._names(subject),
            subject=subject,
            cache_failures=cache_failures,
            loaded={},
        )
        decision = inquiry.decide()
        if not decision.holds:
            decision = self._or_waiting(inquiry, decision)
        if elsewhere is not None and not decision.holds:
            decision = elsewhere(inquiry, decision)
        self.cache.save()
        return decision

    def _network_changes(self, network: "Policy | None") -> Callable[[Kept], list[Change]]:
        """Asked last of all: it takes longest."""
        if network is None:
            return lambda _: []
        from ring2_orchestrator.runs.answers import network_changes  # noqa: PLC0415 - few runs

        store, clock = self._home.store, self._home.clock
        return lambda at: network_changes(network, store, clock, at.trace.network, at.begun_ns)

    def _or_waiting(self, inquiry: "Inquiry", decision: Decision) -> Decision:
        """The decision, told from traces that are not published yet where these say more."""
        from ring2_orchestrator.runs.presence import waiting  # noqa: PLC0415 - a hit needs none

        entries = waiting(self._home.path, inquiry.subject)
        if not entries:
            return decision
        names = [(str(entry), entry) for entry in entries]
        among = inquiry._replace(names=names, loaded={}, cache_failures=True).decide()
        if among.kept is not None:
            reason = "another command that ran at the same time has not ended"
            return decision._replace(reason=reason, changed=(), nearest=among.kept)
        return decision if decision.known else among._replace(known=0)

    def traces(self, subject: str) -> Iterator[Kept]:
        """Every trace kept of a command, newest first."""
        for name, cid in self._names(subject):
            yield load_kept(self._home.store, name, cid)

    def put(
        self,
        trace: Trace,
        *,
        wall_ns: int,
        cpu_ns: int,
        max_rss_bytes: int,
        begun_ns: int = 0,
        origin: Origin | None = None,
    ) -> tuple[Cid, Cid]:
        """Store a trace and its cost, to be published; the CIDs of the trace and of its entry."""
        store = self._home.store
        begun: dict[str, NodeLike] = {} if trace.network is None else {"begun_ns": begun_ns}
        with store.batch():
            cid = put_node(store, trace.node())
            node: dict[str, NodeLike] = begun | {
                "cpu_ns": cpu_ns,
                "max_rss_bytes": max_rss_bytes,
                "trace": cid,
                "type": "kept-trace",
                "v": 2 if begun else 1,
                "wall_ns": wall_ns,
            }
            if origin is not None:
                node |= {"origin": origin._asdict(), "v": 2}
            entry = put_node(store, node)
        return cid, entry

    def publish(self, subject: str, entry: Cid) -> None:
        """Let an entry's trace be reused; when this returns it would survive a power cut."""
        store = self._home.store
        kept = load_kept(store, "", entry)
        self._drop_shortcut(kept.trace)
        with store.batch():
            older = self._names(subject)
            store.set_root(root_name(f"memo/{subject}", self._home.clock, older), entry)
            for name in self._outdated(older, kept.cid):
                store.set_root(name, None)
        with suppress(OSError):  # then it answers no one, and Python does
            command, cwd = kept.trace.command, kept.trace.surroundings.cwd
            let_answer(self._home.path, command, cwd, str(entry))

    def give_up(self, entry: Cid) -> None:
        """An entry's trace will never be published: what waits for that goes."""
        trace = load_kept(self._home.store, "", entry).trace
        discard(self._home.path, trace.command, trace.surroundings.cwd, str(entry))

    def _outdated(self, older: Sequence[tuple[str, Cid]], newest: Cid) -> Iterator[str]:
        """The names that a new trace makes idle: those of its equals, and those past the limit."""
        others = 1
        for name, entry in older:  # newest first
            if self._is_entry_of(name, entry, newest) or others == MAX_TRACES:
                yield name
            else:
                others += 1

    def _is_entry_of(self, name: str, entry: Cid, trace: Cid) -> bool:
        try:
            return load_kept(self._home.store, name, entry).cid == trace
        except (DamageError, MalformedNodeError):
            return False

    def forget(self, kept: Kept) -> None:
        """Drop one trace: its outputs cannot be had any more, or another run contradicts it."""
        self._drop_shortcut(kept.trace)
        self._home.store.set_root(kept.name, None)

    def condemn(self, subject: str, kept: Kept) -> None:
        """Drop a trace that a second run contradicts, and never take an equal one again.

        One of another folder stays there, where nothing contradicts it, and is never moved again.
        """
        self.forget(kept)
        self.mark_drifted(subject, kept.cid.digest)
        if kept.origin is not None:
            self.mark_drifted(kept.origin.key, kept.origin.trace)

    def mark_drifted(self, subject: str, digest: bytes) -> None:
        """Never take a trace of that digest again under that subject."""
        store = self._home.store
        mark = {"trace": digest, "type": "drifted-trace", "v": 1}
        store.set_root(_mark_name(subject, digest), put_node(store, mark))

    def is_condemned(self, subject: str, trace: Cid) -> bool:
        """Whether such a trace was dropped because a second run contradicted it."""
        return any(self._home.store.roots(_mark_name(subject, trace.digest)))

    def products(self, subject: str) -> Products:
        """What a command is known to have left at each path, by any of its traces."""
        return products_of(kept.trace for kept in self.traces(subject))

    def _drop_shortcut(self, trace: Trace) -> None:
        """Before the change: a shortcut must never answer with what the memo has given up."""
        drop(self._home.path, trace.command, trace.surroundings.cwd)

    def _names(self, subject: str) -> list[tuple[str, Cid]]:
        return list(self._home.store.roots(f"memo/{subject}/"))


class _Miss(NamedTuple):
    """A trace that does not hold, and the first thing found to differ from it."""

    kept: Kept
    comparison: Comparison
    changes: list[Change]


class Inquiry(NamedTuple):
    """One question to the memo."""

    store: Store
    cache: StatCache
    seal: Callable[[bytes], bytes]
    roots: Roots
    around: Surroundings
    stdin: StandardInput | None
    streams_known: bool
    network_changes: Callable[[Kept], list[Change]]
    names: list[tuple[str, Cid]]
    subject: str
    cache_failures: bool
    loaded: dict[str, Kept]

    def decide(self) -> Decision:
        """The answer from these traces alone."""
        present = Present(self.cache, self.seal)
        misses: list[_Miss] = []
        failure: Kept | None = None
        for name, cid in self.names:
            kept = self._load(name, cid)
            if kept is None:
                continue
            comparison = Comparison(
                kept.trace, present=present, roots=self.roots, store=self.store,
                products=self._products,
            )  # fmt: skip
            self._prime(kept.trace)
            changes = (
                self._surrounding_changes(kept.trace)
                or comparison.input_changes(all_of_them=False)
                or comparison.obstacles()
                or self._stdin_changes(kept.trace)
                or self.network_changes(kept)
            )
            if changes:
                misses.append(_Miss(kept, comparison, changes))
                continue
            if kept.trace.exit_code != 0 and not self.cache_failures:
                failure = failure or kept
                continue
            stale, old = comparison.stale_outputs(), comparison.old_outputs()
            answer = self._answer(
                reuse=True,
                reason=f"nothing it depends on changed{_since(kept.origin)}",
                kept=kept,
                stale=tuple(stale),
                old=tuple(old),
            )
            if not stale and not old:
                return answer
            return answer._replace(newest_ns=comparison.newest_input_ns())
        if failure is not None:
            return self._answer(
                reuse=False,
                reason=f"it failed last time (exit code {failure.trace.exit_code}), and failures "
                "are reused only with --cache-failures",
                kept=failure,
            )
        return self._explained(misses)

    def _explained(self, misses: Sequence[_Miss]) -> Decision:
        """Why nothing holds, told from the trace that differs least, the newest of several."""
        nearest: Kept | None = None
        fewest: list[Change] = []
        for miss in misses:
            changes = self._surrounding_changes(miss.kept.trace)
            if nearest is None or len(changes) < len(fewest):
                # Where only the standard input differs, the first look has found it.
                changes = changes + miss.comparison.input_changes() or miss.changes
            if nearest is None or len(changes) < len(fewest):
                nearest, fewest = miss.kept, changes
        reasons = [summary(fewest)] if fewest else []
        if lost := len(self.names) - len(misses):
            what = "an earlier recording of it" if lost == 1 else f"{lost} earlier recordings of it"
            reasons.append(f"{what} cannot be read (`redoxa store verify` says why)")
        reason = ", and ".join(reasons) or "no run of it has been kept for reuse yet"
        return self._answer(reuse=False, reason=reason, changed=tuple(fewest), nearest=nearest)

    def _answer(
        self,
        *,
        reuse: bool,
        reason: str,
        kept: Kept | None = None,
        nearest: Kept | None = None,
        changed: tuple[Change, ...] = (),
        stale: tuple[bytes, ...] = (),
        old: tuple[bytes, ...] = (),
    ) -> Decision:
        return Decision(
            reuse=reuse,
            reason=reason,
            changed=changed,
            trace=None if kept is None else kept.cid,
            subject=self.subject,
            known=len(self.names),
            kept=kept,
            nearest=nearest,
            stale=stale,
            old=old,
            holds=kept is not None,
            around=self.around,
        )

    def _load(self, name: str, cid: Cid) -> Kept | None:
        """The trace under a root; None where the store lost it, which is no reason to fail."""
        if name not in self.loaded:
            try:
                self.loaded[name] = load_kept(self.store, name, cid)
            except (DamageError, MalformedNodeError):
                return None
        return self.loaded[name]

    def _prime(self, trace: Trace) -> None:
        full = self.roots.full
        keys = [
            _ASPECTS.get(row.state.what, Aspect.CONTENT) + full(row.path)
            for row in trace.inputs
            if row.state.what not in _UNHASHED
        ]
        keys += [
            Aspect.CONTENT + full(output.path)
            for output in trace.outputs
            if output.what == What.FILE
        ]
        self.cache.load(keys)

    def _products(self) -> Mapping[bytes, set[State]]:
        """What this command is known to have left at each path, by any of its traces."""
        known = (self._load(name, cid) for name, cid in self.names)
        return products_of(kept.trace for kept in known if kept is not None)

    def _surrounding_changes(self, trace: Trace) -> list[Change]:
        changes = trace.surroundings.changes(self.around)
        if trace.root != self.roots.project:
            # A .git that came or went gives all paths of the trace another meaning.
            was, is_now = shown(trace.root), shown(self.roots.project)
            changes.append(Change("project folder", "project", was, is_now))
        if self.streams_known:
            return changes
        return [change for change in changes if change.kind != "terminal"]

    def _stdin_changes(self, trace: Trace) -> list[Change]:
        """Asked last: it may have to wait for bytes that only a reuse needs."""
        recorded = trace.surroundings.stdin
        if self.stdin is None or recorded is None:
            return []
        now = self.stdin.like(recorded)
        return trace.surroundings.changes(self.around.with_stdin(now))


def _since(origin: Origin | None) -> str:
    return "" if origin is None else f" since it ran in {shown(origin.root)}"


def _mark_name(subject: str, digest: bytes) -> str:
    return f"drifted/{subject}/{digest.hex()}"


def root_name(folder: str, clock: Clock, older: Sequence[tuple[str, Cid]]) -> str:
    """A name that sorts before every older one, even when the clock was set back."""
    newest = 0
    if older:
        newest = (1 << 64) - 1 - int(older[0][0].rpartition("/")[2].partition("-")[0], 16)
    stamp = max(clock.now_ns(), newest + 1)
    return f"{folder}/{(1 << 64) - 1 - stamp:016x}-{os.getpid():x}"
