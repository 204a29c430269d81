"""How a person names a run: by the beginning of its id, or by its place in the ledger.

@          the newest run
@~2        the second before it
@17        entry 17 of the ledger, as `redoxa run --json` and `redoxa ledger log` count them
5f3a09     the one run whose id begins so; 4 digits at least
"""

import re
from itertools import islice

from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.leaf import Leaf
from ring2_orchestrator.runs.errors import AmbiguousRunError, NoSuchRunError
from ring2_orchestrator.runs.past import SHORT_DIGITS, Run, run_at
from ring2_orchestrator.runs.result import LEDGER_KIND

_NAMED = re.compile(r"@(?:~(?P<back>[0-9]{1,18})|(?P<seq>[0-9]{1,18}))?|(?P<id>[0-9a-fA-F]{4,64})")
_MOST_SHOWN = 5


def find_run(home: Home, text: str) -> Run:
    """The one run that the text names.

    Raises NoSuchRunError, AmbiguousRunError, and LedgerDamagedError where the log is damaged.
    """
    named = _NAMED.fullmatch(text)
    if named is None:
        raise NoSuchRunError(
            f"{text!r} names no run: type the first digits of an id (4 at least), @ for the newest "
            "run, @~1 for the one before it, or @17 for entry 17; `redoxa log` lists runs"
        )
    seq, leaf = _place(home, text, named)
    run = run_at(home, seq, leaf)
    if isinstance(run, Run):
        return run
    if run is None:
        raise NoSuchRunError(f"entry {seq} tells of no run that this Redoxa can read")
    raise NoSuchRunError(
        f"run {run.id[:SHORT_DIGITS]} (entry {seq}) is lost: its batch cannot be read; "
        "`redoxa ledger verify` says why"
    )


def _place(home: Home, text: str, named: "re.Match[str]") -> tuple[int, Leaf]:
    if not home.has_ledger or not len(home.ledger):
        raise NoSuchRunError(
            f"no run is in the ledger, so {text!r} names none; `redoxa run -- COMMAND` makes one"
        )
    if named["seq"] is not None:
        return _entry(home, int(named["seq"]))
    if named["id"] is not None:
        return _beginning(home, named["id"].lower())
    return _back(home, int(named["back"] or 0))


def _entry(home: Home, seq: int) -> tuple[int, Leaf]:
    leaf = home.ledger.leaf(seq)
    if leaf.kind != LEDGER_KIND:
        raise NoSuchRunError(f"entry {seq} of the ledger is of kind {leaf.kind!r}, and no run")
    return seq, leaf


def _back(home: Home, steps: int) -> tuple[int, Leaf]:
    leaves = home.ledger.leaves(LEDGER_KIND, newest_first=True)
    found = next(islice(leaves, steps, None), None)
    if found is None:
        known = sum(1 for _ in home.ledger.leaves(LEDGER_KIND))
        runs = "1 run" if known == 1 else f"{known:,} runs"
        raise NoSuchRunError(f"the ledger holds {runs}, so @~{steps} names none")
    return found


def _beginning(home: Home, digits: str) -> tuple[int, Leaf]:
    found = [
        (seq, leaf)
        for seq, leaf in home.ledger.leaves(LEDGER_KIND, newest_first=True)
        if leaf.batch.digest.hex().startswith(digits)
    ]
    if not found:
        raise NoSuchRunError(f"the id of no run begins with {digits}; `redoxa log` lists runs")
    if len(found) > 1:
        some = ", ".join(leaf.batch.digest.hex()[:16] for _, leaf in found[:_MOST_SHOWN])
        raise AmbiguousRunError(
            f"the ids of {len(found):,} runs begin with {digits} ({some}); type more of it"
        )
    return found[0]
