"""Asks `redoxa-run` about a run before the rest of Redoxa is loaded, which takes most of a reuse.

So this loads hardly anything itself.
"""

import os
import sys

HINT_FORM = 1  # of what hints say; one more whenever code or keys of theirs change
NO_ANSWER = 204  # no shortcut has this exit code: all are of runs that ended with 0
_ASKING = "redoxa-run?"  # under this name it leaves nothing to Python by itself
_ASKING_HINT = "redoxa-hint?"  # under this name it says again what `redoxa jit hint` said
_READER_LEFT = 141


def ask(words: list[str]) -> int | None:
    """The exit code of the run that these words mean, if it was reused; NO_ANSWER if it was not.

    None where there was nobody to ask, or options say more than which command is meant.
    """
    try:
        command = _command_of(words)
        if not command:
            return None
        child = os.posix_spawn(front_end(), [_ASKING, "--", *command], _environment())
    except Exception:  # noqa: BLE001 - whatever is wrong is found again, and said, by `redoxa run`
        return None
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def ask_hint(words: list[str]) -> int | None:
    """The exit code of the hint that these words ask for, if it could be said again; else None."""
    try:
        command, json = _hint_in(words)
        if not command or (sys.stdout.encoding.lower() != "utf-8" and not json):
            return None
        asked = [_ASKING_HINT, question(json=json), *command]
        child = os.posix_spawn(front_end(), asked, _environment())
    except Exception:  # noqa: BLE001 - as above
        return None
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code in (0, _READER_LEFT) else None


def question(*, json: bool) -> str:
    """What a hint depends on besides the command and the home: its form, and how busy it is."""
    from ring2_orchestrator.load import load_step  # noqa: PLC0415 - a run need not know

    return f"{HINT_FORM} {'json' if json else 'text'} {load_step()}"


def _hint_in(words: list[str]) -> tuple[list[str], bool]:
    """The command of `jit hint [--json] SCRIPT ARG...` or `... -- COMMAND`, and if it is JSON."""
    at = words.index("--") if "--" in words else len(words)
    script = [word for word in words[2:at] if word != "--json"]
    if any(word.startswith("-") for word in script):
        return [], False
    json, rest = "--json" in words[2:at], words[at + 1 :]
    if not script:
        return rest, json
    from ring2_orchestrator.runs.script import script_command  # noqa: PLC0415 - if asked for

    return script_command(script[0], [*script[1:], *rest]), json


def _command_of(words: list[str]) -> list[str]:
    """The command of `run -- COMMAND`, `run COMMAND` and `run --script SCRIPT`; else none."""
    at = 2 if words[1:2] == ["--script"] else 1
    marked = words[at : at + 1] == ["--"]
    command = words[at + marked :]
    if not command or (not marked and command[0].startswith("-")):
        return []
    if at == 1:
        return command
    from ring2_orchestrator.runs.script import script_command  # noqa: PLC0415 - if asked for

    return script_command(command[0], command[1:])


def front_end() -> str:
    """Where `redoxa-run` is: beside the `redoxa` that was started, or beside this Python."""
    folder, _, name = sys.argv[0].rpartition("/")
    if name != "redoxa" or not folder.startswith("/"):
        folder = sys.executable.rpartition("/")[0]
    # Never what happens to lie in the folder somebody works in.
    return f"/{folder.removeprefix('/')}/redoxa-run"


def _environment() -> dict[str, str]:
    if "LC_CTYPE" not in os.environ:
        return dict(os.environ)
    from ring2_orchestrator.runs.environment import given_environment  # noqa: PLC0415 - rarely

    return given_environment()
