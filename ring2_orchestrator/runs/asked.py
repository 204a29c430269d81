"""A command together with how a person wants it run, and the doing of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.runs.result import RunResult


class Asked(NamedTuple):
    """What was asked for besides the command; as it stands, what `redoxa run` does unasked."""

    reuse: bool = True
    cache_failures: bool = False
    shortcut: bool = False
    plain: bool = False  # nothing is recorded and no home is opened


def do(
    command: Sequence[str],
    asked: Asked,
    *,
    open_home: "Callable[[], Home]",
    cwd: Path,
    env: Mapping[str, str],
) -> "RunResult":
    """Run the command as asked. Raises what `execute` raises, and CannotExecuteError."""
    if asked.plain:
        from ring2_orchestrator.runs.plain import run_plainly  # noqa: PLC0415 - rarely

        return run_plainly(command, cwd=cwd, env=env)
    from ring2_orchestrator.runs.execute import execute  # noqa: PLC0415 - start-up is performance

    with open_home() as home:
        return execute(
            command,
            home=home,
            cwd=cwd,
            env=env,
            reuse=asked.reuse,
            cache_failures=asked.cache_failures,
            shortcut=asked.shortcut,
        )
