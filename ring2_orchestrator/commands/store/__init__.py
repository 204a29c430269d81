"""Keep objects, directories and CAR files; verify and measure the store.

An object is named by its CID: the same bytes have the same name everywhere. What was put is on the
disk when its CID is printed.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from ring2_orchestrator.commands import Context, VerbGroup, add_verb_groups, group_of
from ring2_orchestrator.commands.store import cars, garbage, health, objects, remotes, tiers, trees
from ring2_orchestrator.home import Home

EXAMPLES: Sequence[str] = (
    "redoxa store put data.csv",
    "redoxa store put - < data.csv",
    "redoxa store get bafkr4i… -o data.csv",
    "redoxa store add photos --root photos",
    "redoxa store checkout photos copy",
    "redoxa store export bafkr4i… -o objects.car",
    "redoxa store import objects.car",
    "redoxa store push s3://bucket/shared photos",
    "redoxa store pull s3://bucket/shared photos",
    "redoxa store roots memo/",
    "redoxa store demote photos",
    "redoxa store demote --auto --free 1000000000 --older 30d --dry-run",
    "redoxa store gc --grace 30d --dry-run",
    "redoxa store stat",
    "redoxa store verify --sample 5%",
    "redoxa store repair",
)


class Group(VerbGroup, Protocol):
    """A module with some of the verbs of the store."""

    VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]]


_READING = {"get", "checkout", "export", "push", "remote", "roots", "stat", "verify"}
_GROUPS = cast("Sequence[Group]", (objects, trees, cars, remotes, tiers, garbage, health))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words after `redoxa store`."""
    add_verb_groups(parser, _GROUPS)


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the verb says; the exit code."""
    does = group_of(_GROUPS, args).VERBS[args.verb]
    reads = args.verb in _READING or (args.verb == "gc" and args.dry_run)
    with context.open_home(to_read=reads) as home:
        return does(home, args, context)
