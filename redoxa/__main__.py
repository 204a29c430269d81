"""`python -m redoxa` and the installed `redoxa`."""

import gc
import sys

# Hardly anything of a start-up becomes garbage, and looking for it takes a tenth of a short
# command's time. A command that keeps more new objects than this still has them looked through.
_FEW_OBJECTS = 100_000


def main(words: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(_FEW_OBJECTS, *gc.get_threshold()[1:])
    words = list(sys.argv[1:] if words is None else words)
    try:
        if words[:1] == ["run"]:
            from ring2_orchestrator.runs.ask import NO_ANSWER, ask  # noqa: PLC0415 - as below

            code = ask(words)
            if code not in (None, NO_ANSWER):
                sys.exit(code)
            if code == NO_ANSWER:
                words.insert(1, "--shortcut")  # whoever asks in vain leaves an answer
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
