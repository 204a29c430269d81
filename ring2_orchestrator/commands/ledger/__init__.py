"""Show, verify, sign and prove the shadow ledger.

The ledger is an append-only log: each run adds one batch, and one hash fixes all of them. Keep a
checkpoint somewhere else, and no one can shorten or rewrite the ledger without being noticed. A
proof shows an entry, or the log's growth, to someone who has no copy of it.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from ring2_orchestrator.commands import Context, VerbGroup, add_verb_groups, group_of
from ring2_orchestrator.commands.ledger import browse, health, proofs, publishing

EXAMPLES: Sequence[str] = (
    "redoxa ledger log -n 5 --since 2026-01-31",
    "redoxa ledger show 12",
    "redoxa ledger show --at '2026-01-31 12:00'",
    "redoxa ledger checkpoint > /mnt/elsewhere/ledger.checkpoint",
    "redoxa ledger verify --checkpoint /mnt/elsewhere/ledger.checkpoint",
    "redoxa ledger key new",
    "redoxa ledger prove 12 --sign -o entry.tlog-proof",
    "redoxa ledger prove --from /mnt/elsewhere/ledger.checkpoint -o growth.proof",
    "redoxa ledger publish /srv/www/ledger",
    "redoxa ledger check entry.tlog-proof --key redoxa/ledger/…+…+…",
)


class Group(VerbGroup, Protocol):
    """A module with some of the verbs of the ledger."""

    VERBS: Mapping[str, Callable[[argparse.Namespace, Context], int]]


_GROUPS = cast("Sequence[Group]", (browse, health, proofs, publishing))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words after `redoxa ledger`."""
    add_verb_groups(parser, _GROUPS)


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the verb says; the exit code."""
    return group_of(_GROUPS, args).VERBS[args.verb](args, context)
