"""`python -m redoxa` and the installed `redoxa`."""

import gc
import sys
from collections.abc import Sequence

# Hardly anything of a start-up becomes garbage, and looking for it takes a tenth of a short
# command's time. A command that keeps more new objects than this still has them looked through.
_FEW_OBJECTS = 100_000


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(_FEW_OBJECTS, *gc.get_threshold()[1:])
    try:
        from ring2_orchestrator.commands import main as run_command  # noqa: PLC0415 - see below
    except KeyboardInterrupt:
        # Loading takes long enough to be interrupted, and then there is nothing yet to say it.
        sys.stderr.write("redoxa: interrupted\n")
        sys.exit(130)
    code = run_command(words)
    # The interpreter would look through everything once more before it ends.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
