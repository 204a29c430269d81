"""`python -m redoxa` and the installed `redoxa`."""

import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    try:
        from ring2_orchestrator.commands import main as run_command  # noqa: PLC0415 - see below
    except KeyboardInterrupt:
        # Loading takes long enough to be interrupted, and then there is nothing yet to say it.
        sys.stderr.write("redoxa: interrupted\n")
        sys.exit(130)
    sys.exit(run_command(words))


if __name__ == "__main__":
    main()
