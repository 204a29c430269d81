"""What commands that search for plans have in common: the bounds of a search, and its bar."""

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring2_orchestrator.planner import Profile

# A search that ends sooner needs no bar.
BAR_AFTER_S = 1.0

_MOST = 10**9


def add_bounds(parser: argparse.ArgumentParser) -> None:
    """The profile and the budget of a search."""
    parser.add_argument(
        "-p",
        "--profile",
        metavar="PROFILE",
        help="fast decodes at 300 MB/s or more, balanced at 20, max at 1 (default: balanced)",
    )
    parser.add_argument(
        "--budget",
        type=_millions,
        metavar="FUEL",
        help="how much all searches of the command may execute together, in millions of the "
        "engine's units of fuel; 0 leaves the library's genes and whatever the first step of a "
        "search finds",
    )


def bounds(args: argparse.Namespace) -> "Profile":
    """The profile that was asked for, within the budget. Raises UsageError."""
    from dataclasses import replace  # noqa: PLC0415 - start-up

    from ring2_orchestrator.planner import BALANCED, find_profile  # noqa: PLC0415 - start-up

    profile = BALANCED if args.profile is None else find_profile(args.profile)
    return profile if args.budget is None else replace(profile, search_fuel=args.budget)


def _millions(text: str) -> int:
    # int() takes digits of other scripts, underlines and spaces.
    if re.fullmatch(r"\d{1,10}", text, re.ASCII) is None or int(text) > _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_MOST:,}")
    return int(text) * 1_000_000
