"""`python -m redoxa` and the installed `redoxa`."""

import gc
import os
import sys

# Hardly anything of a start-up becomes garbage, and looking for it takes a tenth of a short
# command's time. A command that keeps more new objects than this still has them looked through.
_FEW_OBJECTS = 100_000


def main(words: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    gc.set_threshold(_FEW_OBJECTS, *gc.get_threshold()[1:])
    typed = words is None  # else we are a part of another program, whose imports are its own
    words = list(sys.argv[1:] if words is None else words)
    try:
        if words[:1] == ["run"]:
            from ring2_orchestrator.runs.ask import NO_ANSWER, ask  # noqa: PLC0415 - as below

            code = ask(words)
            if code not in (None, NO_ANSWER):
                sys.exit(code)
            if code == NO_ANSWER:
                words.insert(1, "--shortcut")  # whoever asks in vain leaves an answer
        elif words[:2] == ["jit", "hint"]:
            from ring2_orchestrator.runs.ask import ask_hint  # noqa: PLC0415 - as below

            code = ask_hint(words)
            if code is not None:
                sys.exit(code)
        if typed:
            _keep_bytecode()
        from ring2_orchestrator.commands import main as run_command  # noqa: PLC0415 - see below
    except KeyboardInterrupt:
        # Loading takes long enough to be interrupted, and then there is nothing yet to say it.
        sys.stderr.write("redoxa: interrupted\n")
        sys.exit(130)
    code = run_command(words)
    # The interpreter would look through everything once more before it ends.
    gc.freeze()
    sys.exit(code)


def _keep_bytecode() -> None:
    """Where no bytecode may lie beside our modules, have Python keep it among our caches.

    Compiling all of them takes longer than most commands, and a build's wrapper pays it each time.
    """
    cached = getattr(__spec__, "cached", None)
    if not sys.dont_write_bytecode and cached is not None and os.path.exists(cached):  # noqa: PTH110
        return
    from ring2_orchestrator.caches import bytecode_folder  # noqa: PLC0415 - rarely

    folder = bytecode_folder()
    if folder is not None:
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False


if __name__ == "__main__":
    main()
