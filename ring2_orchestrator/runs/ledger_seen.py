"""What the ledger says of earlier runs, read without writing anything."""

from collections.abc import Iterator

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.runs.past import Run, run_in
from ring2_orchestrator.runs.result import LEDGER_KIND


def ledger_seen(home: Home) -> Ledger | None:
    """The home's ledger as it lies there; None where none was begun.

    `Home.ledger` would begin one, and enter the reuses that wait in the spool.
    """
    if not home.has_ledger or not (home.path / "ledger" / "checkpoint").is_file():
        return None
    return Ledger(home.path / "ledger", store=home.store, clock=home.clock)


def last_run(home: Home, subject: str) -> Run | None:
    """The newest run of a command; None where there is none, or the ledger cannot be read."""
    try:
        ledger = ledger_seen(home)
        batches = () if ledger is None else ledger.batches(LEDGER_KIND, subject, newest_first=True)
        return next((run for batch in batches if (run := run_in(batch)) is not None), None)
    except RedoxaError:
        return None  # the ledger's own command says what is wrong with it


def last_runs(home: Home) -> Iterator[Run]:
    """The newest run of every command, the newest first. Raises RedoxaError."""
    ledger = ledger_seen(home)
    if ledger is None:
        return
    seen: set[str] = set()
    for seq, leaf in ledger.leaves(LEDGER_KIND, newest_first=True):
        if leaf.subject not in seen:
            seen.add(leaf.subject)
            if (run := run_in(ledger.read(seq))) is not None:
                yield run
