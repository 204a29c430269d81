"""What was learned, kept in the home beside the ledger it was learned from (docs/formats/ce1.md).

A cache: whatever is wrong with it, it is thrown away and learned again. It goes by the ledger's
order and entries, never by a clock.
"""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

from blake3 import blake3

from cid_store.encoding import decode, encode
from cid_store.errors import RedoxaError
from ring2_orchestrator.cachefile import CacheFile
from ring2_orchestrator.ce1.entries import happening_of
from ring2_orchestrator.ce1.learning.coding import (
    NotLearnedError,
    decode_learner,
    decode_mind,
    encode_learner,
    encode_mind,
)
from ring2_orchestrator.ce1.learning.learner import Learner
from ring2_orchestrator.ce1.learning.mind import Mind
from ring2_orchestrator.ce1.reseeding import Reseeding
from ring2_orchestrator.ledger import Ledger

FILE = "ce1.db"
MOST = 1000  # runs that are learned at once: of more, the newest
_COLUMNS = ("key BLOB PRIMARY KEY", "sealed BLOB")
_SHARED = b"shared"
_KIND = "run"


class _Row(NamedTuple):
    """What one row holds: how far in the ledger it goes, the batch there, and a state."""

    upto: int  # entries of the ledger that it knows of
    mark: str  # the CID of the last of them, as text
    state: bytes


class Learned:
    """What all runs of a home taught, up to the newest."""

    def __init__(self, home: Path | None, learner: Learner) -> None:
        self.learner = learner
        self.reseeds: list[Reseeding] = []  # of the runs that were learned just now
        self._path = None if home is None else home / FILE
        self._file = None if home is None else _cache(home)
        self._minds: dict[str, tuple[Mind, int]] = {}

    def mind(self, subject: str) -> Mind:
        """What is known of a command; that of one which never ran knows nothing."""
        return self._found(subject)[0]

    def throw_away(self) -> None:
        """Forget what is kept on disk: the next to ask learns it again."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _found(self, subject: str) -> tuple[Mind, int]:
        if subject not in self._minds:
            self._minds[subject] = self._read(subject)
        return self._minds[subject]

    def _read(self, subject: str) -> tuple[Mind, int]:
        with suppress(NotLearnedError):
            row = _row_in(self._file, _key(subject))
            return (Mind(), 0) if row is None else (decode_mind(row.state), row.upto)
        # One row that is not as it was written is no reason to trust the others.
        self.throw_away()
        return Mind(), 0

    def learn(self, ledger: Ledger, seqs: list[int]) -> set[str]:
        """Learn these entries of the ledger, oldest first; whose they were."""
        met: set[str] = set()
        for seq in seqs:
            with suppress(RedoxaError):  # the ledger's own command says what is wrong with it
                batch = ledger.read(seq)
                happening = happening_of(batch)
                mind, upto = self._found(batch.subject)
                # Somebody else may have learned it meanwhile: a run is never counted twice.
                if happening is not None and seq >= upto:
                    was = mind.prior
                    step = mind.tick(self.learner, *happening)
                    self.reseeds.append(Reseeding(seq, was, mind.prior, step))
                    self._minds[batch.subject] = mind, seq + 1
                    met.add(batch.subject)
        return met

    def keep(self, met: set[str], upto: int, mark: str) -> None:
        """Write what was learned of all, and of those met; a failure is harmless and silent."""
        if self._file is None:
            return
        rows = [(_SHARED, _sealed(_SHARED, _Row(upto, mark, encode_learner(self.learner))))]
        for subject in sorted(met):
            mind, known = self._minds[subject]
            row = _Row(known, "", encode_mind(mind))
            rows.append((_key(subject), _sealed(_key(subject), row)))
        self._file.keep(rows)


def nothing_learned() -> Learned:
    """What a home without a ledger knows."""
    return Learned(None, Learner())


def newest_in(ledger: Ledger) -> tuple[int, str]:
    """How many entries a ledger has, and the name of its newest batch: its state, for short."""
    newest = next(ledger.leaves(newest_first=True), None)
    return (0, "") if newest is None else (newest[0] + 1, str(newest[1].batch))


def caught_up(home: Path, ledger: Ledger, *, most: int = MOST) -> Learned:
    """What was kept in a home, and the newest runs of its ledger learned on top of it.

    Of more than `most` that are new, only the newest are learned. What does not belong to this
    ledger, or cannot be read, is thrown away, and the newest runs are learned anew.
    """
    size, mark = newest_in(ledger)
    learned, upto = _opened(home, _cache(home), ledger, size)
    if upto == size:
        return learned
    fresh: list[int] = []
    for seq, _ in ledger.leaves(_KIND, newest_first=True):
        if seq < upto or len(fresh) == most:
            break
        fresh.append(seq)
    met = learned.learn(ledger, fresh[::-1])
    learned.keep(met, size, mark)
    return learned


def _opened(home: Path, file: CacheFile, ledger: Ledger, size: int) -> tuple[Learned, int]:
    with suppress(NotLearnedError):
        row = _row_in(file, _SHARED)
        if row is not None and _is_of(ledger, row, size):
            return Learned(home, decode_learner(row.state)), row.upto
    fresh = Learned(home, Learner())
    fresh.throw_away()  # its other rows, too, would be of another past
    return fresh, 0


def _is_of(ledger: Ledger, row: _Row, size: int) -> bool:
    """Whether the ledger still holds what the row was learned from."""
    if row.upto == 0 or row.upto > size:
        return row.upto == 0
    return str(ledger.leaf(row.upto - 1).batch) == row.mark


def _cache(home: Path) -> CacheFile:
    return CacheFile(home / FILE, "learned", _COLUMNS)


def _key(subject: str) -> bytes:
    return b"of " + subject.encode()


def _sealed(key: bytes, row: _Row) -> bytes:
    payload = encode({"mark": row.mark, "state": row.state, "upto": row.upto})
    return _seal(key, payload) + payload


def _row_in(file: CacheFile | None, key: bytes) -> _Row | None:
    """The row of a key; None where there is none. Raises NotLearnedError where it was changed."""
    found = [] if file is None else file.find([key])
    for _, sealed in cast("list[tuple[bytes, object]]", found):
        if isinstance(sealed, bytes) and _seal(key, sealed[32:]) == sealed[:32]:
            with suppress(RedoxaError):
                match decode(sealed[32:]):
                    case {"mark": str(mark), "state": bytes(state), "upto": int(upto)}:
                        return _Row(upto, mark, state)
                    case _:
                        pass
        raise NotLearnedError("a row is not as it was written")
    return None


def _seal(key: bytes, payload: bytes) -> bytes:
    return blake3(key + b"\0" + payload).digest()
