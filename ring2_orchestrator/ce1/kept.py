"""What was learned, kept in the home beside the ledger it was learned from (docs/formats/ce1.md).

A cache: whatever is wrong with it, it is thrown away and learned again. It goes by the ledger's
order and entries, never by a clock.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from blake3 import blake3

from cid_store.encoding import decode, encode
from cid_store.errors import RedoxaError
from ring2_orchestrator.cachefile import CacheFile
from ring2_orchestrator.ce1.account import Own, Whole
from ring2_orchestrator.ce1.entries import happening_of
from ring2_orchestrator.ce1.history import History, run_of
from ring2_orchestrator.ce1.learning.coding import (
    NotLearnedError,
    Reader,
    Writer,
    decode_learner,
    decode_mind,
    encode_learner,
    encode_mind,
)
from ring2_orchestrator.ce1.learning.learner import Learner
from ring2_orchestrator.ce1.learning.mind import Mind
from ring2_orchestrator.ce1.reseeding import Reseeding
from ring2_orchestrator.ledger import Batch, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "ce1.db"
MOST = 1000  # runs that are learned at once: of more, the newest
_COLUMNS = ("key BLOB PRIMARY KEY", "sealed BLOB")
_SHARED = b"shared"
_KIND = "run"
_LOOP = "jit"


class _Row(NamedTuple):
    """What one row holds: how far in the ledger it goes, the batch there, and a state."""

    upto: int  # entries of the ledger that it knows of
    mark: str  # the CID of the last of them, as text
    state: bytes
    account: bytes


class _Known(NamedTuple):
    """What is known of one command."""

    mind: Mind
    own: Own
    upto: int


class Learned:
    """What all runs of a home taught, up to the newest, and what they amount to."""

    def __init__(
        self,
        learner: Learner,
        whole: Whole | None = None,
        *,
        upto: int = 0,
        file: CacheFile | None = None,
        anew: "Callable[[], Learned] | None" = None,
    ) -> None:
        """What is known of that many entries of a ledger.

        Of what was kept in a `file`, rows are read as they are asked for. Where one cannot be, or
        is not as it was written, what is learned `anew` takes the place of all.
        """
        self.learner = learner
        self.reseeds: list[Reseeding] = []  # of the runs that were learned just now
        self.whole = Whole() if whole is None else whole
        self.upto = upto
        self._file = file
        self._anew = anew
        self._known: dict[str, _Known] = {}

    def mind(self, subject: str) -> Mind:
        """What is known of a command; that of one which never ran knows nothing."""
        return self._found(subject).mind

    def history(self, subject: str) -> History:
        """The latest runs of a command, and what all that were learned amount to."""
        return self._found(subject).own.history

    def _found(self, subject: str) -> _Known:
        if subject not in self._known:
            try:
                self._known[subject] = self._read(subject)
            except NotLearnedError:
                # One row that is not as it was written is no reason to trust the others.
                self._learn_again()
        return self._known.setdefault(subject, _Known(Mind(), Own(), 0))

    def _read(self, subject: str) -> _Known:
        row = _row_in(self._file, _key(subject))
        if row is None:
            return _Known(Mind(), Own(), 0)
        source = Reader(row.account)
        own = Own.read(source, subject)
        source.end()
        return _Known(decode_mind(row.state), own, row.upto)

    def _learn_again(self) -> None:
        assert self._anew is not None, "rows are only read of what can be learned again"
        fresh = self._anew()
        self.learner, self.whole, self.reseeds = fresh.learner, fresh.whole, fresh.reseeds
        self.upto, self._known = fresh.upto, fresh._known  # noqa: SLF001 - one of us
        self._file = self._anew = None

    def learn(self, ledger: Ledger, seqs: list[int]) -> set[str]:
        """Learn these entries of the ledger, oldest first; whose they were."""
        met: set[str] = set()
        for seq in seqs:
            if seq < self.upto:
                continue  # all was learned anew meanwhile
            with suppress(RedoxaError):  # the ledger's own command says what is wrong with it
                if self._learn_one(batch := ledger.read(seq)):
                    met.add(batch.subject)
        return met

    def _learn_one(self, batch: Batch) -> bool:
        happening, run = happening_of(batch), run_of(batch)
        if happening is None or run is None:
            self.whole.passed_over += 1
            return False
        mind, own, upto = self._found(batch.subject)
        # Somebody else may have learned it meanwhile: a run is never counted twice.
        if batch.seq < upto:
            return False
        was, prior = mind.told.right, mind.prior
        step = mind.tick(self.learner, *happening)
        self.reseeds.append(Reseeding(batch.seq, prior, mind.prior, step))
        assert mind.belief is not None, "a tick leaves a belief"
        right = mind.told.right > was
        self.whole.subjects += not own.totals.counts.total
        own.learn(run, right=right)
        self.whole.learn(run, mind.belief, right=right)
        self._known[batch.subject] = _Known(mind, own, batch.seq + 1)
        return True

    def keep(self, file: CacheFile, met: set[str], mark: str) -> None:
        """Write what was learned of all, and of those met; a failure is harmless and silent."""
        shared = _Row(self.upto, mark, encode_learner(self.learner), _account(self.whole))
        rows = [(_SHARED, _sealed(_SHARED, shared))]
        for subject in sorted(met & self._known.keys()):
            mind, own, known = self._known[subject]
            row = _Row(known, "", encode_mind(mind), _account(own))
            rows.append((_key(subject), _sealed(_key(subject), row)))
        file.keep(rows)


def nothing_learned() -> Learned:
    """What a home without a ledger knows."""
    return Learned(Learner())


def newest_in(ledger: Ledger) -> tuple[int, str]:
    """How many entries a ledger has, and the name of its newest batch: its state, for short."""
    newest = next(ledger.leaves(newest_first=True), None)
    return (0, "") if newest is None else (newest[0] + 1, str(newest[1].batch))


def caught_up(home: Path, ledger: Ledger, *, most: int = MOST) -> Learned:
    """What was kept in a home, and the newest runs of its ledger learned on top of it.

    Of more than `most` that are new, only the newest are learned. What does not belong to this
    ledger, or cannot be read, is thrown away, and the newest runs are learned anew.
    """
    file = CacheFile(home / FILE, "learned", _COLUMNS)

    def anew() -> Learned:
        with suppress(OSError):
            # Its other rows, too, would be of another past.
            (home / FILE).unlink(missing_ok=True)
        learned = Learned(Learner())
        _learn_newest(learned, file, ledger, most)
        return learned

    kept = _opened(file, ledger, anew)
    if kept is None:
        return anew()
    _learn_newest(kept, file, ledger, most)
    return kept


def _learn_newest(learned: Learned, file: CacheFile, ledger: Ledger, most: int) -> None:
    size, mark = newest_in(ledger)
    if learned.upto == size:
        return
    fresh: list[int] = []
    acted: int | None = None
    for seq, leaf in ledger.leaves(newest_first=True):
        if seq < learned.upto or len(fresh) == most:
            break
        if leaf.kind == _KIND:
            fresh.append(seq)
        elif leaf.kind == _LOOP and acted is None:
            acted = seq
    met = learned.learn(ledger, fresh[::-1])
    learned.whole.acted = learned.whole.acted if acted is None else acted
    learned.upto = size
    learned.keep(file, met, mark)


def _opened(file: CacheFile, ledger: Ledger, anew: "Callable[[], Learned]") -> Learned | None:
    """What was kept; None where nothing was, or of another ledger."""
    with suppress(NotLearnedError):
        row = _row_in(file, _SHARED)
        if row is not None and _is_of(ledger, row, len(ledger)):
            source = Reader(row.account)
            whole = Whole.read(source)
            source.end()
            learner = decode_learner(row.state)
            return Learned(learner, whole, upto=row.upto, file=file, anew=anew)
    return None


def _is_of(ledger: Ledger, row: _Row, size: int) -> bool:
    """Whether the ledger still holds what the row was learned from."""
    if row.upto == 0 or row.upto > size:
        return row.upto == 0
    return str(ledger.leaf(row.upto - 1).batch) == row.mark


def _account(of: Own | Whole) -> bytes:
    out = Writer()
    of.put(out)
    return out.done()


def _key(subject: str) -> bytes:
    return b"of " + subject.encode()


def _sealed(key: bytes, row: _Row) -> bytes:
    payload = encode(row._asdict())
    return _seal(key, payload) + payload


def _row_in(file: CacheFile | None, key: bytes) -> _Row | None:
    """The row of a key; None where there is none. Raises NotLearnedError where it was changed."""
    found = [] if file is None else file.look([key])
    if found is None:
        raise NotLearnedError("a row cannot be read")
    for _, sealed in cast("list[tuple[bytes, object]]", found):
        if isinstance(sealed, bytes) and _seal(key, sealed[32:]) == sealed[:32]:
            with suppress(RedoxaError):
                match decode(sealed[32:]):
                    case {
                        "account": bytes(account),
                        "mark": str(mark),
                        "state": bytes(state),
                        "upto": int(upto),
                    }:
                        return _Row(upto, mark, state, account)
                    case _:
                        pass
        raise NotLearnedError("a row is not as it was written")
    return None


def _seal(key: bytes, payload: bytes) -> bytes:
    return blake3(key + b"\0" + payload).digest()
