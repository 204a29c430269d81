"""Demoting and promoting objects of one home, by name or by the policy; each act is booked."""

from collections.abc import Callable, Container, Generator, Iterable, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from cid_store.cid import Cid, Codec
from cid_store.errors import DamageError, InputError
from cid_store.inventory import Entry
from cid_store.local import LocalStore
from cid_store.tiers import Tier, encode_recipe
from ring2_orchestrator.clock import Clock
from ring2_orchestrator.container import Advance
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.planner import library
from ring2_orchestrator.tiers.booking import Move, book_moves
from ring2_orchestrator.tiers.frames import makers
from ring2_orchestrator.tiers.policy import (
    MIN_GAIN,
    MIN_SIZE,
    Candidate,
    Option,
    Policy,
    Why,
    ranked,
)
from ring2_orchestrator.tiers.recipe import FromContainer, Way, recipe_of
from ring2_orchestrator.tiers.trial import Trials
from ring2_orchestrator.tiers.tried import TriedFile
from ring2_orchestrator.toolbox import Toolbox


class Verdict(NamedTuple):
    """What became of one object. `option` is the best way there was; `move` what was done."""

    cid: Cid
    size_bytes: int
    why: Why
    option: Option | None = None
    move: Move | None = None
    note: str = ""  # what the store said where it refused

    @property
    def saved_bytes(self) -> int:
        """What the packs need less, or would need less that way."""
        if self.move is not None:
            return self.move.saved_bytes
        return self.option.saved_bytes if self.option is not None else 0


class Acts:
    """Demotes and promotes the objects of one store, and keeps account of what it did."""

    def __init__(
        self,
        store: LocalStore,
        *,
        ledger: Callable[[], Ledger],
        tools: Callable[[], Toolbox],
        clock: Clock,
        tried: Path,
        live: Callable[[], Iterable[Cid]],
    ) -> None:
        """`tried` is a file of the home, and `live` says what is needed besides the roots.

        `ledger` and `tools` are asked when something is done.
        """
        self._store = store
        self._ledger = ledger
        self._tools = tools
        self._clock = clock
        self._tried = tried
        self._live = live

    def demote(
        self, cids: Iterable[Cid], to: Tier | None = None, advance: Advance | None = None
    ) -> list[Verdict]:
        """Demote these objects wherever that saves anything, to that tier or to the better one.

        `advance` hears of each object, and meanwhile of what is tried for it. Raises
        MissingObjectError for what the store does not know.
        """
        with self._at_work("demote") as work:
            entries = work.name(cids, to)
            for at, entry in enumerate(entries, start=1):
                tell = _counting(advance, at, len(entries))
                work.verdicts.append(work.named(entry, to, tell))
                if advance is not None:
                    advance(1)
        return work.verdicts

    def demote_best(
        self,
        policy: Policy,
        *,
        put_before_ns: int | None = None,
        dry_run: bool = False,
        advance: Advance | None = None,
    ) -> list[Verdict]:
        """Demote what gains most until the policy is content; with `dry_run`, say what would be.

        Left alone is what no root and nothing in the ledger leads to, what was put later than
        `put_before_ns`, what others are kept in or rebuilt from, nodes, and what is small. Other
        objects are tried, on a sample first.
        """
        with self._at_work("demote") as work:
            entries = self._store.inventory(MIN_SIZE, live=self._live())
            candidates = work.candidates(entries, put_before_ns, policy.min_gain, advance)
            for at, candidate in enumerate(ranked(candidates), start=1):
                tell = _counting(advance, at, len(candidates))
                work.verdicts.append(work.judged(candidate, policy, tell, dry_run=dry_run))
        return work.verdicts

    def promote(self, cids: Iterable[Cid], advance: Advance | None = None) -> list[Verdict]:
        """Keep these objects whole again. Raises MissingObjectError and as reading them does."""
        verdicts: list[Verdict] = []
        try:
            for cid in dict.fromkeys(cids):
                before = self._store.entry(cid)
                size = before.size_bytes
                if not self._store.promote(cid):
                    verdicts.append(Verdict(cid, size, Why.THERE))
                    continue
                stored = (before.stored_bytes, self._store.entry(cid).stored_bytes)
                move = Move(cid, before.tier, Tier.ILLUMINATED, size, *stored, before.cost_s)
                verdicts.append(Verdict(cid, size, Why.ASKED, move=move))
                if advance is not None:
                    advance(1)
        finally:
            self._book("promote", verdicts)
        return verdicts

    @contextmanager
    def _at_work(self, act: str) -> "Generator[_Work]":
        tools = self._tools()
        genes = library(tools.palette)
        tried = TriedFile(self._tried, tools.kernels.cids, (gene.text for gene in genes))
        with closing(tried):
            work = _Work(self._store, tools, self._clock, tried, genes)
            try:
                yield work
            finally:
                # What was done is booked, also where an error or Ctrl-C ends the rest.
                self._book(act, work.verdicts)

    def _book(self, act: str, verdicts: Sequence[Verdict]) -> None:
        moves = [verdict.move for verdict in verdicts if verdict.move is not None]
        if moves:
            book_moves(self._ledger(), act, moves, self._store.books())


class _Work:
    """One act of demoting, under way."""

    def __init__(
        self,
        store: LocalStore,
        tools: Toolbox,
        clock: Clock,
        tried: TriedFile,
        genes: Sequence[Gene],
    ) -> None:
        self.verdicts: list[Verdict] = []
        self._store = store
        self._tools = tools
        self._tried = tried
        self._trials = Trials(store, tools, clock, tried, genes)
        self._entries: dict[Cid, Entry] = {}
        self._makers: dict[Cid, list[tuple[Cid, int]]] = {}
        self._ingredients: set[Cid] = set()

    # By name

    def name(self, cids: Iterable[Cid], to: Tier | None) -> list[Entry]:
        """The entries of these objects, with the frames that make them where they are asked for."""
        entries = [self._store.entry(cid) for cid in dict.fromkeys(cids)]
        self._trials.together_bytes = sum(entry.size_bytes for entry in entries)
        if to is not Tier.PENUMBRA:
            self._makers = makers(self._store, {entry.cid for entry in entries})
        return entries

    def named(self, entry: Entry, to: Tier | None, advance: Advance | None) -> Verdict:
        """Demote one object because it was named."""
        if entry.tier is to or (to is None and entry.tier is not Tier.ILLUMINATED):
            return Verdict(entry.cid, entry.size_bytes, Why.THERE)

        def judge(option: Option) -> Why:
            if entry.tier is Tier.ILLUMINATED and option.saved_bytes <= 0:
                return Why.NO_WAY
            # Nobody asked for the umbra: then packing is tried, too.
            slow = to is None and option.tier is Tier.UMBRA and option.gain < MIN_GAIN
            return Why.LOW_GAIN if slow else Why.ASKED

        if to is not None:
            return self._attempt(entry, to, judge, advance)
        verdict = self._attempt(entry, Tier.UMBRA, judge, advance)
        if verdict.why.is_taken:
            return verdict
        return self._attempt(entry, Tier.PENUMBRA, judge, advance)

    # By gain

    def candidates(
        self,
        entries: Iterable[Entry],
        put_before_ns: int | None,
        min_gain: float,
        advance: Advance | None,
    ) -> list[Candidate]:
        """The objects that may be demoted, each with its options; verdicts of all the others."""
        kernels = self._tools.kernels.cids
        for entry in entries:
            why = _passed_over(entry, kernels, put_before_ns)
            if why is None:
                self._entries[entry.cid] = entry
            else:
                self.verdicts.append(Verdict(entry.cid, entry.size_bytes, why))
        self._trials.together_bytes = sum(entry.size_bytes for entry in self._entries.values())
        self._tried.load(self._entries)
        self._makers = makers(self._store, self._entries.keys())
        found: list[Candidate] = []
        for at, entry in enumerate(self._entries.values(), start=1):
            tell = _counting(advance, at, len(self._entries))
            if tell is not None:
                tell(0, f"looking at {entry.cid.short}")
            found.append(self._candidate(entry, min_gain))
        return found

    def judged(
        self, candidate: Candidate, policy: Policy, advance: Advance | None, *, dry_run: bool
    ) -> Verdict:
        """Demote a candidate if that pays, as the trial of it in full tells; or say if it would."""
        choice = policy.judge(candidate)
        if choice.option is None or not choice.taken or dry_run:
            if choice.option is not None and choice.taken:
                policy.count(choice.option.saved_bytes)
            return Verdict(candidate.cid, candidate.size_bytes, choice.why, choice.option)
        if candidate.cid in self._ingredients:
            return Verdict(candidate.cid, candidate.size_bytes, Why.INGREDIENT)

        def judge(option: Option) -> Why:
            return policy.judge(candidate._replace(options=(option,))).why

        entry = self._entries[candidate.cid]
        verdict = self._attempt(entry, choice.option.tier, judge, advance)
        if verdict.move is not None:
            policy.count(verdict.move.saved_bytes)
        return verdict

    def _candidate(self, entry: Entry, min_gain: float) -> Candidate:
        found = self._trials.executed(entry, self._makers.get(entry.cid, ()))
        options = () if found is None else (found.option,)
        # Trying to pack takes longest, so it is not done where a frame gains enough.
        if not any(option.saved_bytes > 0 and option.gain >= min_gain for option in options):
            options = (*options, self._trials.expected(entry))
        return Candidate(entry.cid, entry.size_bytes, options)

    # Doing it

    def _attempt(
        self, entry: Entry, to: Tier, judge: Callable[[Option], Why], advance: Advance | None
    ) -> Verdict:
        """Try one way in full, and take it if the judge says so of what it came to."""
        if to is Tier.UMBRA:
            executed = self._trials.executed(entry, self._makers.get(entry.cid, ()))
            if executed is None:
                return Verdict(entry.cid, entry.size_bytes, Why.NO_FRAME)
            why = judge(executed.option)
            if not why.is_taken:
                return Verdict(entry.cid, entry.size_bytes, why, executed.option)
            return self._moved(entry, executed.way, executed.option, why)
        with self._trials.packed(entry, advance) as packed:
            why = judge(packed.option)
            if not why.is_taken:
                return Verdict(entry.cid, entry.size_bytes, why, packed.option)
            way = FromContainer(self._store.put_stream(packed.file), packed.kernels)
            return self._moved(entry, way, packed.option, why)

    def _moved(self, entry: Entry, way: Way, option: Option, why: Why) -> Verdict:
        recipe = recipe_of(way)
        known = self._tools.kernels.cids
        with self._store.batch():
            # The store alone must be able to rebuild, also when a later Redoxa ships others.
            self._store.put_many(
                self._tools.kernel(cid).wasm
                for cid in recipe.needs
                if cid in known and not self._store.has(cid)
            )
            name = self._store.put(encode_recipe(recipe), Codec.NODE)
        try:
            done = self._store.demote(entry.cid, name, option.tier)
        except (InputError, DamageError) as error:
            return Verdict(entry.cid, entry.size_bytes, Why.REFUSED, option, note=str(error))
        self._ingredients.update(recipe.needs)
        stored = (entry.stored_bytes, entry.stored_bytes - option.saved_bytes)
        move = Move(entry.cid, entry.tier, option.tier, entry.size_bytes, *stored, done.cost_s)
        return Verdict(entry.cid, entry.size_bytes, why, option, move)


def _counting(advance: Advance | None, at: int, of: int) -> Advance | None:
    """What is told of one object says which it is of how many; its bytes move no bar of objects."""
    if advance is None:
        return None

    def tell(amount: float = 1, note: str | None = None) -> None:
        del amount
        if note is not None:
            advance(0, f"{at:,} of {of:,}: {note}")

    return tell


def _passed_over(entry: Entry, kernels: Container[Cid], put_before_ns: int | None) -> Why | None:
    """Why an object is left alone without a trial; None where it is not."""
    if not entry.is_needed:
        return Why.GARBAGE
    if entry.is_chunk:
        return Why.CHUNK
    if entry.is_ingredient or entry.cid in kernels:
        return Why.INGREDIENT
    if put_before_ns is not None and entry.written_ns > put_before_ns:
        return Why.YOUNG
    return None
