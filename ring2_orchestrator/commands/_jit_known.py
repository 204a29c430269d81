"""What a home knows of past runs, for the verbs of `redoxa jit`; a damaged ledger is a doubt."""

from typing import TYPE_CHECKING, NamedTuple

from cid_store.errors import InputError, RedoxaError, UnavailableError
from ring2_orchestrator.ce1.kept import Learned, caught_up, newest_in, nothing_learned
from ring2_orchestrator.ledger import Ledger, LedgerWriteError

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home


class Known(NamedTuple):
    """What was learned, sentences that say what could not be read, and how far the ledger was."""

    learned: Learned
    doubts: tuple[str, ...] = ()
    state: tuple[int, str] = (0, "")


def known_of(home: "Home") -> Known:
    """What all runs of a home taught; nothing, and why, where its ledger cannot be read."""
    try:
        ledger = ledger_of(home)
        if ledger is None:
            return Known(nothing_learned())
        return Known(caught_up(home.path, ledger), state=newest_in(ledger))
    except (InputError, UnavailableError):
        raise  # nothing is wrong with what is kept: this person or this disk cannot have it
    except RedoxaError as error:
        return Known(nothing_learned(), (f"no past run is known: {error}",))


def ledger_of(home: "Home") -> Ledger | None:
    """The home's ledger; None where none was begun yet, and none can be: then nothing ever ran."""
    try:
        return home.ledger
    except LedgerWriteError:
        if home.has_ledger:
            raise
        return None
