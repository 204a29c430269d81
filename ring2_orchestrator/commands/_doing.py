"""Runs a command as asked, and says in words and by exit code why one could not be run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import RedoxaError
from ring2_orchestrator.commands import Context, system_text
from ring2_orchestrator.runs.asked import Asked, do
from ring2_orchestrator.runs.environment import given_environment

if TYPE_CHECKING:
    from ring2_orchestrator.runs.result import RunResult

CANNOT_RECORD = 125


def result_of(command: Sequence[str], asked: Asked, context: Context) -> "RunResult | int":
    """What became of it; where it never ran or could not be recorded, the exit code of that.

    Raises NoSuchCommandError or NotExecutableError before anything was tried.
    """
    from ring2_orchestrator.recorder.errors import (  # noqa: PLC0415 - start-up is performance
        CannotExecuteError,
    )
    from ring2_orchestrator.runs.errors import (  # noqa: PLC0415
        NoSuchCommandError,
        NotExecutableError,
    )

    try:
        return do(
            command,
            asked,
            open_home=context.open_home,
            cwd=Path.cwd(),
            env=given_environment(),
            tell=context.report.say,
        )
    except (NoSuchCommandError, NotExecutableError, BrokenPipeError):
        raise
    except CannotExecuteError as error:
        if context.debug:
            raise
        context.report.refuse(error)
        return NoSuchCommandError.exit_code if error.missing else NotExecutableError.exit_code
    except (RedoxaError, OSError) as error:
        # Every other code would be taken for the program's.
        if context.debug:
            raise
        context.report.warn(str(error) if isinstance(error, RedoxaError) else system_text(error))
        return CANNOT_RECORD


def exit_code_of(result: "RunResult") -> int:
    """The program's own, unless what it printed went nowhere: that it cannot know."""
    if result.exit_code == 0 and any(doubt.kind == "output-lost" for doubt in result.doubts):
        return CANNOT_RECORD
    return result.exit_code
