"""A parser of verbs that take a command after `--` besides arguments and options of their own."""

import argparse
import sys
from collections.abc import Sequence

from ring2_orchestrator.commands import Parser


class CommandParser(Parser):
    """Takes everything after `--` as it is; argparse itself would forget where that was."""

    takes_command = True

    def parse_known_args(  # type: ignore[override] - narrower than the overloads it replaces
        self,
        args: Sequence[str] | None = None,
        namespace: argparse.Namespace | None = None,
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse what stands before `--`; the rest becomes `command_words`."""
        words = list(args if args is not None else sys.argv[1:])
        at = words.index("--") if "--" in words else len(words)
        parsed = namespace if namespace is not None else argparse.Namespace()
        parsed.command_words = words[at + 1 :]
        _, extra = super().parse_known_args(words[:at], parsed)
        return parsed, extra
