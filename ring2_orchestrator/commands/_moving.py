"""The options that let a project's results be used in another folder."""

import argparse
from typing import TYPE_CHECKING

from cid_store.errors import UsageError

if TYPE_CHECKING:
    from ring2_orchestrator.runs.clones.wanted import Moving


def add_moving(parser: argparse.ArgumentParser) -> None:
    """The options that let a project's results be used in another folder."""
    grounds = parser.add_mutually_exclusive_group()
    grounds.add_argument(
        "--relocatable",
        action="store_true",
        help="the results do not depend on where the project lies: reuse them from, and let them "
        "be reused in, other folders",
    )
    grounds.add_argument(
        "--clones",
        action="store_true",
        help="reuse from other folders what runs in two of them have shown not to depend on them",
    )


def moving_in(args: argparse.Namespace) -> "Moving | None":
    """On what grounds results of other folders may be used; None where nothing was said.

    Raises UsageError beside a recorded network.
    """
    if not args.relocatable and not args.clones:
        return None
    if args.net != "deny":
        raise UsageError(
            "what servers say to one folder is never used in another; leave out --net, or "
            + ("--relocatable" if args.relocatable else "--clones")
        )
    from ring2_orchestrator.runs.clones.wanted import Moving  # noqa: PLC0415 - start-up

    return Moving.SAID if args.relocatable else Moving.SHOWN
