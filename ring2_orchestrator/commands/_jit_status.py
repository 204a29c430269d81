"""`redoxa jit status`: where learning stands, how good it was, and what the home holds."""

import base64
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import RedoxaError
from cid_store.tiers import Tier
from ring2_orchestrator.ce1 import answer, show_status
from ring2_orchestrator.ce1.outlook import Mood, Outlook
from ring2_orchestrator.ce1.standing import standing_of
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._jit_known import Known, ledger_of
from ring2_orchestrator.ledger import Checkpoint
from ring2_orchestrator.ledger.merkle import EMPTY_ROOT

if TYPE_CHECKING:
    from ring2_orchestrator.ce1.plot import Drawn
    from ring2_orchestrator.home import Home


def status(
    known: Known, outlook: Outlook | None, home: "Home", context: Context, plot: Path | None
) -> int:
    """Say it, of one command or of all, and draw it where asked."""
    learned = known.learned
    mood: Mood = outlook or Mood(
        learned.whole.history, point=learned.whole.prior, doubts=known.doubts
    )
    standing = standing_of(learned.learner)
    action = last_action_of(home, learned.whole.acted) if outlook is None else None
    subjects = learned.whole.subjects if outlook is None else min(mood.history.counts.total, 1)
    facts: dict[str, object] = {
        "ledger": head_of(home),
        "store": tiers_of(home),
        "subjects": subjects,
    }
    if plot is not None:
        from ring2_orchestrator.ce1.plot import draw  # noqa: PLC0415 - rarely asked for

        draw(plot, standing, drawn_of(home))
    context.report.data(answer.status(mood, standing, facts, action))
    if context.report.json:
        return 0
    report = context.report
    if isinstance(mood, Outlook):
        report.line(shlex.join(mood.command))
        report.line()
    for part in show_status.parts(mood, standing, facts):
        match part:
            case show_status.Table(columns, rows):
                report.table(columns, rows)
            case _:
                report.parts(*part)
    if plot is not None:
        report.say(f"drawn: {plot}")
    return 0


def drawn_of(home: "Home") -> "Sequence[Drawn]":
    """The newest runs, oldest first, to be drawn; none where the ledger cannot be read."""
    from ring2_orchestrator.ce1.plot import newest_runs  # noqa: PLC0415 - as above

    with suppress(RedoxaError):
        ledger = ledger_of(home)
        return newest_runs(ledger) if ledger is not None else ()
    return ()


def head_of(home: "Home") -> dict[str, object]:
    """The head of the ledger; an empty one, and why, where there is none to be read."""
    head: Checkpoint | None = None
    origin = "none begun yet"
    try:
        ledger = ledger_of(home)
        head = Checkpoint.parse(ledger.checkpoint()) if ledger is not None else None
    except RedoxaError:
        origin = "cannot be read"
    root = base64.b64encode(head.root_hash if head is not None else EMPTY_ROOT).decode("ascii")
    origin, size = (head.origin, head.size) if head is not None else (origin, 0)
    return {"origin": origin, "root_hash": root, "size": size}


def tiers_of(home: "Home") -> dict[str, object] | None:
    """The account of each tier of the store; None where it cannot be read."""
    try:
        books = home.store.books()
    except RedoxaError:
        return None
    return {tier.value: books.of(tier)._asdict() for tier in Tier}


def last_action_of(home: "Home", seq: int | None) -> Mapping[str, object] | None:
    """The action of the newest loop, as it was recorded."""
    if seq is None:
        return None
    with suppress(RedoxaError):
        ledger = ledger_of(home)
        match ledger.read(seq).entries if ledger is not None else ():
            case ({"action": dict(action)}, *_):
                return action
            case _:
                return None
    return None
