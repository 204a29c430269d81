"""A command together with how a person wants it run, and the doing of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cid_store.errors import RedoxaError

if TYPE_CHECKING:
    from cid_store.cid import Cid
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.net.policy import Policy
    from ring2_orchestrator.runs.clones.wanted import Moving
    from ring2_orchestrator.runs.result import RunResult


class Asked(NamedTuple):
    """What was asked for besides the command; as it stands, what `redoxa run` does unasked."""

    reuse: bool = True
    cache_failures: bool = False
    shortcut: bool = False
    compiler: bool = False  # for its wrapper: it is silent, and leaves a shortcut each time
    plain: bool = False  # nothing is recorded and no home is opened
    timeout_s: float | None = None
    kill_after_s: float = 5.0
    retries: int = 0
    retry_delay_s: float = 1.0
    verify: float = 0.0
    keep_inputs: bool = False  # so that it can be replayed when they have changed
    leaves: bool = False  # compilers that it calls are answered, and kept, one by one
    moving: "Moving | None" = None  # on what grounds results of other folders may be used
    network: "Policy | None" = None  # what goes over HTTP is recorded, or answered from that


def do(
    command: Sequence[str],
    asked: Asked,
    *,
    open_home: "Callable[[], Home]",
    cwd: Path,
    env: Mapping[str, str],
    tell: Callable[[str], None],
) -> "RunResult":
    """Run the command as asked, telling of each try but the last.

    Raises what `execute` raises, CannotExecuteError, and UnavailableError where compilers are to be
    answered and there are no wrappers for them.
    """
    if asked.leaves and not asked.plain:
        from ring2_orchestrator.runs.leaves.masquerade import with_leaves  # noqa: PLC0415 - if asked for

        env = with_leaves(env)
    once = _plain(command, asked, cwd, env) if asked.plain else None
    if once is None:
        once = _recorded(command, asked, open_home, cwd, env)
    if not asked.retries:
        return once(1)
    import time  # noqa: PLC0415 - start-up is performance

    from ring2_orchestrator.runs.retry import with_retries  # noqa: PLC0415

    return with_retries(
        once,
        retries=asked.retries,
        delay_s=asked.retry_delay_s,
        pause=time.sleep,
        tell=tell,
    )


def _plain(
    command: Sequence[str], asked: Asked, cwd: Path, env: Mapping[str, str]
) -> "Callable[[int], RunResult]":
    from ring2_orchestrator.runs.plain import run_plainly  # noqa: PLC0415 - rarely

    def once(number: int) -> "RunResult":
        result = run_plainly(
            command, cwd=cwd, env=env, timeout_s=asked.timeout_s, kill_after_s=asked.kill_after_s
        )
        return result._replace(attempt=number)

    return once


def _recorded(
    command: Sequence[str],
    asked: Asked,
    open_home: "Callable[[], Home]",
    cwd: Path,
    env: Mapping[str, str],
) -> "Callable[[int], RunResult]":
    from ring2_orchestrator.runs.execute import execute  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.runs.stdin import StandardInput  # noqa: PLC0415

    stdin = StandardInput()

    def once(number: int) -> "RunResult":
        if number > 1:
            stdin.rewind()
        with open_home() as home:
            result = execute(
                command,
                home=home,
                cwd=cwd,
                env=env,
                reuse=asked.reuse,
                cache_failures=asked.cache_failures,
                shortcut=asked.shortcut,
                compiler=asked.compiler,
                timeout_s=asked.timeout_s,
                kill_after_s=asked.kill_after_s,
                attempt=number,
                verify=asked.verify,
                moving=asked.moving,
                stdin=stdin,
                network=asked.network,
            )
            if asked.keep_inputs and result.trace is not None:
                result = _with_inputs(home, result, result.trace, cwd, env)
            return result

    return once


def _with_inputs(
    home: "Home", result: "RunResult", trace: "Cid", cwd: Path, env: Mapping[str, str]
) -> "RunResult":
    """Keep what the run read; the same result, whose message says so."""
    from ring2_orchestrator.runs.kept_inputs import keep_inputs  # noqa: PLC0415 - rarely

    try:
        files, size_bytes = keep_inputs(home, result.subject, trace, cwd=cwd, env=env)
    except (RedoxaError, OSError) as error:
        return result._replace(message=f"{result.message}; its inputs are not kept: {error}")
    said = f"{files:,} inputs kept ({size_bytes:,} bytes)"
    return result._replace(message=f"{result.message}; {said}")
