"""What the demos share: a check is said when it holds, and ends the demo when it does not."""

import sys
from typing import NoReturn


def check(what: str, *, holds: bool) -> None:
    """Say what holds; what does not ends the program with exit code 1."""
    if not holds:
        fail(what)
    print(f"  ok  {what}")


def fail(what: str) -> NoReturn:
    """End with one sentence that says what did not hold."""
    sys.stdout.flush()
    print(f"{sys.argv[0]}: this does not hold: {what}", file=sys.stderr)
    sys.exit(1)
