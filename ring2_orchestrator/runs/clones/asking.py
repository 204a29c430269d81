"""Whether anybody asked for other folders: looked at in each run, so it loads hardly anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.net.policy import Policy
    from ring2_orchestrator.runs.clones.folders import Folders
    from ring2_orchestrator.runs.clones.wanted import Moving
    from ring2_orchestrator.runs.memo import Memo


def folders_for(
    home: "Home",
    memo: "Memo",
    command: Sequence[str],
    *,
    moving: "Moving | None",
    cwd: Path,
    env: Mapping[str, str],
    network: "Policy | None",
    compiler: bool = False,
) -> "Folders | None":
    """What other folders know of the command; None where nobody wants to know.

    None also with a `network`: what a server says to a program in one folder says nothing of what
    it would be asked from another. Raises InputError where the variable that asks for it means
    nothing.
    """
    if network is not None:
        return None
    if moving is None and not compiler and "REDOXA_RELOCATABLE" not in env:
        return None
    from ring2_orchestrator.runs.clones.wanted import Moving, wanted  # noqa: PLC0415 - rarely

    asked = wanted(moving or Moving.NEVER, command, cwd=cwd, env=env, compiler=compiler)
    if asked is Moving.NEVER:
        return None
    from ring2_orchestrator.runs.clones.folders import Folders  # noqa: PLC0415 - rarely

    return Folders(home, memo, asked, command=command, cwd=cwd, env=env)
