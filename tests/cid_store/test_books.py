"""The books balance: whatever is done, every object is in the account of its tier, and is right."""

import io
import math
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cid_store.chunks import CHUNK_BYTES
from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import InputError
from cid_store.nodes import links
from cid_store.tiers import Recipe, Tier, encode_recipe
from tests.cid_store.conftest import remove_index
from tests.cid_store.rebuilder import opened
from tests.cid_store.test_crash import CutDisk, PowerCut

# Each of these can be made of others, and some of one another: forwards, backwards, in threes.
WORDS = [b"abc", b"cba", b"abcabcabc", b"cbacbacba", b"abc" * 9, b"cba" * 9, b"lone"]
LARGE = b"abc" * (CHUNK_BYTES // 3 + 99)  # kept in chunks when it comes as a stream
WAYS = [("backwards", 1), ("joined", 3), ("joined", len(LARGE) // 3)]
DATA = {Cid.of(data): data for data in (*WORDS, LARGE)}
WORD_CIDS = [Cid.of(word) for word in WORDS]
CHUNKS = {Cid.of(part): part for part in (LARGE[:CHUNK_BYTES], LARGE[CHUNK_BYTES:])}


def made_of(data: bytes, how: str, times: int) -> bytes | None:
    """What this would be made of, that way; None where it cannot be."""
    need = data[::-1] if how == "backwards" else data[: len(data) // times]
    made = need[::-1] if how == "backwards" else need * times
    return need if made == data and need in WORDS and need != data else None


class Accounts(RuleBasedStateMachine):
    """A store, and what it must hold: names, bytes, tiers, roots, and who needs whom."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "store"
        self.store = opened(self.path)
        self.objects: dict[Cid, bytes] = {}
        self.chunked: set[Cid] = set()
        self.demoted: dict[Cid, tuple[Tier, Cid, Cid]] = {}  # with recipe and need
        self.roots: dict[str, Cid] = {}
        self.crashes = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def rests_on(self, cid: Cid, other: Cid) -> bool:
        while cid != other and cid in self.demoted:
            cid = self.demoted[cid][2]
        return cid == other

    # What is done

    @initialize()
    def put_all(self) -> None:
        for word in WORDS:
            self.put(word)

    @rule(word=st.sampled_from(WORDS))
    def put(self, word: bytes) -> None:
        self.learn(self.store.put(word), word)

    def learn(self, cid: Cid, data: bytes) -> None:
        self.objects[cid] = data
        self.demoted.pop(cid, None)

    @rule()
    def put_large(self) -> None:
        cid = Cid.of(LARGE)
        if cid not in self.objects or cid in self.demoted:
            self.chunked.add(cid)
        assert self.store.put_stream(io.BytesIO(LARGE)) == cid
        self.learn(cid, LARGE)
        self.objects.update(CHUNKS)

    @rule(
        cid=st.sampled_from(list(DATA)),
        way=st.sampled_from(WAYS),
        tier=st.sampled_from([Tier.PENUMBRA, Tier.UMBRA]),
    )
    def demote(self, cid: Cid, way: tuple[str, int], tier: Tier) -> None:
        need = made_of(DATA[cid], *way)
        if need is not None:
            self.demote_from(cid, Cid.of(need), way, tier)

    def demote_from(self, cid: Cid, need: Cid, way: tuple[str, int], tier: Tier) -> None:
        how, times = way
        data = encode_recipe(Recipe(how, (need,), {"times": times}))
        recipe = self.store.put(data, Codec.NODE)
        self.objects[recipe] = data
        there = cid in self.objects and need in self.objects
        if there and not self.rests_on(need, cid):
            assert self.store.demote(cid, recipe, tier).size == len(DATA[cid])
            self.demoted[cid] = (tier, recipe, need)
            self.chunked.discard(cid)
        else:
            with pytest.raises(InputError):
                self.store.demote(cid, recipe, tier)

    @rule(cid=st.sampled_from(list(DATA)))
    def promote(self, cid: Cid) -> None:
        if cid in self.objects:
            assert self.store.promote(cid) == (cid in self.demoted)
            if cid in self.demoted and len(DATA[cid]) > CHUNK_BYTES:
                self.chunked.add(cid)
                self.objects.update(CHUNKS)
            self.demoted.pop(cid, None)

    @rule(name=st.sampled_from("abc"), cid=st.sampled_from([*DATA, None]))
    def bind(self, name: str, cid: Cid | None) -> None:
        if cid is None:
            self.store.set_root(name, None)
            self.roots.pop(name, None)
        elif cid in self.objects:
            self.store.set_root(name, cid)
            self.roots[name] = cid

    @rule()
    def collect(self) -> None:
        before = self.store.books()
        forgotten = self.store.gc(grace_s=0).forgotten
        after = self.store.books()
        # What leaves one account is what was forgotten of it.
        for had, went, has in zip(before, forgotten, after, strict=True):
            assert went[:3] == tuple(a - b for a, b in zip(had[:3], has[:3], strict=True))
            assert math.isclose(went.debt_s, had.debt_s - has.debt_s, abs_tol=1e-9)
        needed: set[Cid] = set()
        waiting = list(self.roots.values())
        while waiting:
            cid = waiting.pop()
            if cid in needed:
                continue
            needed.add(cid)
            if cid in self.demoted:
                waiting += self.demoted[cid][1:]
            elif cid in self.chunked:
                waiting += CHUNKS
            elif cid.codec is Codec.NODE:
                waiting += links(decode(self.objects[cid]))
        self.objects = {cid: data for cid, data in self.objects.items() if cid in needed}
        self.demoted = {cid: how for cid, how in self.demoted.items() if cid in needed}
        self.chunked &= needed

    @rule(lose=st.booleans())
    def reopen(self, lose: bool) -> None:
        self.store.close()
        if lose:
            remove_index(self.path)
        self.store = opened(self.path)

    @precondition(lambda self: self.crashes < 3)
    @rule(
        what=st.sampled_from([collect, put_large, put_all]),
        cut_at=st.integers(1, 6),
        lose=st.booleans(),
    )
    def crash(self, what: Callable[["Accounts"], None], cut_at: int, lose: bool) -> None:
        """The power goes at some sync. What was asked for is then asked for again."""
        self.power_fails(lambda: what(self), cut_at, lose)
        what(self)
        self.collect()

    @precondition(lambda self: self.crashes < 3)
    @rule(
        cid=st.sampled_from(list(DATA)),
        way=st.sampled_from(WAYS),
        cut_at=st.integers(1, 3),
        lose=st.booleans(),
    )
    def crash_while_moving(self, cid: Cid, way: tuple[str, int], cut_at: int, lose: bool) -> None:
        """The power goes while an object is promoted or demoted: it is in one tier or the other."""
        if cid in self.demoted:
            self.power_fails(lambda: self.promote(cid), cut_at, lose)
        else:
            self.power_fails(lambda: self.demote(cid, way, Tier.UMBRA), cut_at, lose)
        if cid in self.objects:
            assert self.store.get(cid) == DATA[cid]
            # In which tier it is nobody was told. Put again, it is whole.
            if cid in WORD_CIDS:
                self.put(DATA[cid])
            else:
                self.put_large()
        self.collect()

    def power_fails(self, work: Callable[[], None], cut_at: int, lose: bool) -> None:
        self.crashes += 1
        after = self.folder / f"after {self.crashes}"
        with pytest.MonkeyPatch.context() as patch:
            CutDisk(patch, cut_at, seed=cut_at)
            try:
                work()
            except PowerCut:
                shutil.copytree(self.path, after)
        self.store.close()
        if after.exists():
            self.path = after
            # Not its log alone: a collection waits for the disk to have what it forgets.
            if lose:
                remove_index(after)
        self.store = opened(self.path)

    # What must hold

    @invariant()
    def the_books_balance(self) -> None:
        books = self.store.books()
        assert books.total[:2] == (len(self.objects), sum(map(len, self.objects.values())))
        for tier in Tier:
            held = [
                len(data)
                for cid, data in self.objects.items()
                if self.demoted.get(cid, (Tier.ILLUMINATED,))[0] is tier
            ]
            assert books.of(tier)[:2] == (len(held), sum(held))
        assert (books.illuminated.debt_s, dict(self.store.roots())) == (0.0, self.roots)

    @invariant()
    def every_object_is_there(self) -> None:
        for cid, data in self.objects.items():
            assert self.store.size(cid) == len(data)
            assert self.store.get(cid) == data


@pytest.mark.slow
def test_the_books_balance_through_everything() -> None:
    run = settings(max_examples=10, stateful_step_count=12, deadline=None)
    run_state_machine_as_test(Accounts, settings=run)


@pytest.mark.long
def test_the_books_balance_for_long() -> None:
    rounds = 30 if os.environ.get("REDOXA_LONG") == "bounded" else 300
    run = settings(max_examples=rounds, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(Accounts, settings=run)
