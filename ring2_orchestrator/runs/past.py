"""The runs that the ledger tells of: each as a value, newest first, no more read than asked for.

What a batch says is checked before it is believed: another Redoxa may have written it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast

from cid_store.cid import Cid
from cid_store.encoding import Node
from cid_store.errors import DamageError, InputError, MalformedNodeError, RedoxaError
from cid_store.nodes import get_node
from cid_store.store import Store
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Batch, Ledger
from ring2_orchestrator.ledger.leaf import Leaf, decode_batch
from ring2_orchestrator.runs.result import LEDGER_KIND, WITHDRAWAL_KIND
from ring2_orchestrator.runs.trace import Trace

if TYPE_CHECKING:
    from ring2_orchestrator.runs.process_table import ProcessTable

SHORT_DIGITS = 10
# Batches are read together, as they lie side by side in the packs; few at first, as few may do.
_FIRST_READ, _MOST_READ = 32, 512

Doubts = tuple[tuple[str, str], ...]


class Run(NamedTuple):
    """One run as the ledger tells of it. `id` is the digest of its batch in hexadecimal."""

    seq: int
    id: str
    subject: str
    time_ns: int
    command: tuple[bytes, ...]
    verdict: str
    exit_code: int
    wall_s: float
    cpu_s: float = 0.0
    max_rss_bytes: int = 0
    saved_s: float = 0.0
    reason: str = ""
    trace: Cid | None = None
    processes: Cid | None = None
    published: bool = False
    doubts: Doubts = ()
    inputs: int = 0
    outputs: int = 0
    restored: int = 0
    changed: tuple[str, ...] = ()  # what differed from the nearest recording, as far as it is kept

    @property
    def short(self) -> str:
        """As much of the id as people are shown."""
        return self.id[:SHORT_DIGITS]

    @property
    def may_be_withdrawn(self) -> bool:
        """Whether it waited for others to end, so that a doubt may have come up later."""
        return not (self.published or self.doubts) and self.verdict != "reused"


class LostRun(NamedTuple):
    """A run of which the ledger still knows that it was; its batch cannot be read."""

    seq: int
    id: str
    time_ns: int


def run_in(batch: Batch) -> Run | None:
    """The run in a batch; None where its first keys are not those of a run."""
    match batch.entries:
        case (
            {
                "verdict": str(verdict),
                "exit_code": int(exit_code),
                "wall_s": int() | float() as wall_s,
            } as entry,
            *_,
        ):
            trace, processes = entry.get("trace"), entry.get("processes")
            return Run(
                seq=batch.seq,
                id=batch.cid.digest.hex(),
                subject=batch.subject,
                time_ns=batch.time_ns,
                command=_words(entry.get("command")),
                verdict=verdict,
                exit_code=exit_code,
                wall_s=_seconds(wall_s),
                cpu_s=_seconds(entry.get("cpu_s")),
                max_rss_bytes=_number(entry.get("max_rss_bytes")),
                saved_s=_seconds(entry.get("saved_s")),
                reason=_text(entry.get("reason")),
                trace=trace if isinstance(trace, Cid) else None,
                processes=processes if isinstance(processes, Cid) else None,
                published=entry.get("published") is True,
                doubts=doubts_in(entry.get("doubts")),
                inputs=_number(entry.get("inputs")),
                outputs=_number(entry.get("outputs")),
                restored=_number(entry.get("restored")),
                changed=_texts(entry.get("changed")),
            )
        case _:
            return None


def runs(
    home: Home, *, subject: str | None = None, wanted: Callable[[Leaf], bool] | None = None
) -> Iterator[Run | LostRun]:
    """Every run in the ledger, newest first; of that `subject`, and of leaves that are `wanted`.

    Raises LedgerDamagedError where the log itself is not what it was.
    """
    if not home.has_ledger:
        return
    leaves = home.ledger.leaves(LEDGER_KIND, subject, newest_first=True)
    chosen = ((seq, leaf) for seq, leaf in leaves if wanted is None or wanted(leaf))
    count = _FIRST_READ
    while part := list(islice(chosen, count)):
        yield from _read(home.store, part)
        count = min(2 * count, _MOST_READ)


def runs_at(home: Home, leaves: Sequence[tuple[int, Leaf]]) -> Iterator[Run | LostRun]:
    """The runs of these leaves, in their order, without batches that tell of something else."""
    yield from _read(home.store, leaves)


def run_at(home: Home, seq: int, leaf: Leaf) -> Run | LostRun | None:
    """The run of one leaf; None where its batch tells of something else."""
    return next(_read(home.store, [(seq, leaf)]), None)


def _read(store: Store, leaves: Sequence[tuple[int, Leaf]]) -> Iterator[Run | LostRun]:
    try:
        found: Iterable[bytes | None] = store.get_many([leaf.batch for _, leaf in leaves])
    except DamageError:
        found = [_get(store, leaf.batch) for _, leaf in leaves]
    for (seq, leaf), data in zip(leaves, found, strict=True):
        batch = None if data is None else _decoded(seq, leaf, data)
        run = (
            LostRun(seq, leaf.batch.digest.hex(), leaf.time_ns) if batch is None else run_in(batch)
        )
        if run is not None:
            yield run


def _decoded(seq: int, leaf: Leaf, data: bytes) -> Batch | None:
    try:
        return decode_batch(seq, leaf, data)
    except MalformedNodeError:
        return None


def _get(store: Store, cid: Cid) -> bytes | None:
    try:
        return store.get(cid)
    except RedoxaError:
        return None


class Withdrawals:
    """The doubts about traces that came up while these waited for other runs to end."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[tuple[str, Cid], Doubts] | None = None

    def about(self, run: Run) -> Doubts:
        """Why a run that had no doubts is not reusable after all; empty where it is."""
        if not run.may_be_withdrawn or run.trace is None:
            return ()
        if self._known is None:
            # One walk for all of them: most ledgers hold few withdrawals, or none.
            self._known = dict(self._all())
        return self._known.get((run.subject, run.trace), ())

    def _all(self) -> Iterator[tuple[tuple[str, Cid], Doubts]]:
        try:
            for batch in self._ledger.batches(WITHDRAWAL_KIND):
                match batch.entries:
                    case ({"trace": Cid() as trace, "doubts": doubts}, *_):
                        yield (batch.subject, trace), doubts_in(doubts)
                    case _:
                        pass
        except RedoxaError:
            return  # the ledger's own command says what is wrong with it


def trace_of(home: Home, run: Run) -> Trace:
    """What the run saw and left. Raises InputError where nothing was kept of it, DamageError."""
    if run.trace is None:
        why = "; ".join(detail for _, detail in run.doubts)
        raise InputError(
            f"run {run.short} has no trace"
            + (f", as it is not reusable: {why}" if why else "")
            + "; the ledger has only its verdict and its cost"
        )
    return Trace.from_node(get_node(home.store, run.trace))


def table_of(home: Home, run: Run) -> "ProcessTable | None":
    """The processes of a run, or of the one whose trace it reused; None where none were kept.

    Raises DamageError where they are lost.
    """
    from ring2_orchestrator.runs.process_table import ProcessTable  # noqa: PLC0415 - rarely asked

    cid = run.processes
    if cid is None and run.trace is not None:
        same = (
            each.processes
            for each in runs(home, subject=run.subject)
            if isinstance(each, Run) and each.trace == run.trace and each.processes is not None
        )
        cid = next(same, None)
    return None if cid is None else ProcessTable.load(home.store, cid)


def doubts_in(value: Node) -> Doubts:
    """The doubts in an entry: kind and detail; whatever is none is left out."""
    pairs = value if isinstance(value, list) else []
    return tuple(
        (cast("str", pair[0]), cast("str", pair[1]))
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(at, str) for at in pair)
    )


def _words(value: Node) -> tuple[bytes, ...]:
    words = value if isinstance(value, list) else []
    return tuple(word for word in words if isinstance(word, bytes))


def _texts(value: Node) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else []
    return tuple(text for text in texts if isinstance(text, str))


def _text(value: Node) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Node) -> int:
    return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


def _seconds(value: Node) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
