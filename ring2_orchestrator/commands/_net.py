"""The options that say how a command may use the network."""

import argparse
from typing import TYPE_CHECKING, Literal, cast

from cid_store.errors import UsageError

if TYPE_CHECKING:
    from ring2_orchestrator.net.policy import Policy


def add_net_arguments(parser: argparse.ArgumentParser) -> None:
    """--net and --net-allow."""
    parser.add_argument(
        "--net",
        choices=("deny", "record", "replay"),
        default="deny",
        help="deny (default): what uses the network is never reused; record: its HTTP and HTTPS "
        "go through a recording proxy to the hosts granted, and a reuse asks whether the answers "
        "still hold; replay: answers come from the recording alone",
    )
    parser.add_argument(
        "--net-allow",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="with --net=record: a host that may be asked; also *.example.org, and * for every "
        "public one; may be given several times",
    )


def policy_in(args: argparse.Namespace) -> "Policy | None":
    """What the options say; None where nothing is granted. Raises UsageError."""
    mode, words = cast("str", args.net), cast("list[str]", args.net_allow)
    if mode != "record" and words:
        raise UsageError("--net-allow grants a host to --net=record; add that, or leave it out")
    if mode == "deny":
        return None
    from ring2_orchestrator.net.hosts import Hosts  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.net.policy import Policy  # noqa: PLC0415 - start-up is performance

    if mode == "record" and not words:
        raise UsageError("--net=record asks only hosts that are granted; add --net-allow HOST")
    return Policy(cast("Literal['record', 'replay']", mode), Hosts.of(words))
