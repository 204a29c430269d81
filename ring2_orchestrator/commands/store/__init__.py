"""Keep objects, directories and CAR files; verify and measure the store.

An object is named by its CID: the same bytes have the same name everywhere. What was put is on the
disk when its CID is printed.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from cid_store.local import LocalStore
from ring2_orchestrator.commands import Context, Parser, add_verbs
from ring2_orchestrator.commands.store import cars, garbage, health, objects, remotes, trees

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
    "redoxa store gc --grace 30d --dry-run",
    "redoxa store stat",
    "redoxa store verify --sample 5%",
    "redoxa store repair",
)


class Group(Protocol):
    """The shape of a module with some of the verbs."""

    SUMMARIES: Mapping[str, str]
    VERBS: Mapping[str, Callable[[LocalStore, argparse.Namespace, Context], int]]
    add_arguments: Callable[[Mapping[str, Parser]], None]


_GROUPS = cast("Sequence[Group]", (objects, trees, cars, remotes, garbage, health))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words after `redoxa store`."""
    summaries = {verb: said for group in _GROUPS for verb, said in group.SUMMARIES.items()}
    verbs = add_verbs(parser, **summaries)
    for group in _GROUPS:
        group.add_arguments(verbs)


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the verb says; the exit code."""
    does = next(group.VERBS[args.verb] for group in _GROUPS if args.verb in group.VERBS)
    with context.open_home() as home:
        return does(home.store, args, context)
