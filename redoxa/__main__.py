"""`python -m redoxa` and the installed `redoxa`."""

import sys

from ring2_orchestrator.commands import main as run_command


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run_command())


if __name__ == "__main__":
    main()
