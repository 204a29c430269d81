"""What `--learned` means to a command: winners of the home's ledger, before a search and after."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring2_orchestrator.commands import Context
    from ring2_orchestrator.gene import Gene
    from ring2_orchestrator.planner import Profile
    from ring2_orchestrator.toolbox import Toolbox
    from ring2_orchestrator.winners import Winners


@contextmanager
def learning(
    context: "Context",
    tools: "Toolbox",
    genes: "Sequence[Gene]",
    profile: "Profile",
) -> "Generator[Winners]":
    """What won before. What wins in the block is kept, and said what was left out."""
    from ring2_orchestrator.winners.kept import keep_winners, open_winners  # noqa: PLC0415

    report = context.report
    with context.open_home() as home:
        ledger = (lambda: home.ledger) if home.has_ledger else None
        winners, ignored = open_winners(ledger, tools, genes, profile, in_parts=True)
        if ignored is not None:
            report.warn(ignored)
        yield winners
        trouble = keep_winners(lambda: home.ledger, winners)
    if trouble is not None:
        report.warn(trouble)
    if winners.left_out is not None:
        report.say(winners.left_out)


def learned_data(winners: "Winners | None") -> dict[str, object] | None:
    """What was learned, in the JSON answer; None where nothing was to be."""
    if winners is None:
        return None
    return {
        "recalled": winners.recalled,
        "taken_over": winners.taken_over,
        "searched": winners.searched,
    }
