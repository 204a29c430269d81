"""What the demos share: a check is said when it holds, and ends the demo when it does not."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn


def run(main: Callable[[], int]) -> NoReturn:
    """End with the code of `main`; quietly where whoever reads stopped, or somebody interrupts."""
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # What is left to print goes nowhere, or Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 141
    sys.exit(code)


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
