"""One command to be done: what is known of it before anything is decided."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.result import RunResult, append_run, message_of
from ring2_orchestrator.runs.stdin import StandardInput
from ring2_orchestrator.runs.surroundings import OF_BUILD_TOOLS

if TYPE_CHECKING:
    from ring2_orchestrator.net.policy import Policy
    from ring2_orchestrator.runs.clones.wanted import Moving


class Task(NamedTuple):
    """A command, where it is done, and within which limits."""

    command: list[str]
    program: Path
    home: Home
    cwd: Path
    env: Mapping[str, str]
    stdin: StandardInput
    attempt: int
    timeout_s: float | None = None
    kill_after_s: float = 5.0
    verify: float = 0.0
    compiler: bool = False
    moving: "Moving | None" = None
    network: "Policy | None" = None

    @property
    def counted(self) -> Mapping[str, str]:
        """The variables that may count."""
        if not self.compiler:
            return self.env
        return {
            name: value
            for name, value in self.env.items()
            if os.fsencode(name) not in OF_BUILD_TOOLS
        }

    def acknowledge(
        self, result: RunResult, counts: Mapping[str, int], words: Sequence[str]
    ) -> RunResult:
        """Enter the run in the ledger, and say what became of it."""
        try:
            seq = append_run(self.home.ledger, result, words, counts)
        except (RedoxaError, OSError) as error:
            return result._replace(message=f"{message_of(result)}; not in the ledger: {error}")
        return result._replace(seq=seq, message=message_of(result))
