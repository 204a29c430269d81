"""Demotes by gain, and is killed when it waits for the disk for the nth time."""

import os
import signal
import sys
from collections.abc import Sequence

from ring2_orchestrator.commands import main
from ring2_orchestrator.gene import Gene, Palette
from ring2_orchestrator.planner import library_gene
from ring2_orchestrator.tiers import demotion


def few_genes(palette: Palette) -> list[Gene]:
    """Few, so that little time passes between the writes."""
    return [library_gene("series_u16", palette)]


def run(home: str, kill_at: int, words: Sequence[str]) -> int:
    """Type the words at that home; the exit code, where it comes to one."""
    waits = 0
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        nonlocal waits
        waits += 1
        if waits == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        real(fd)

    os.fdatasync = fdatasync
    demotion.library = few_genes
    return main(["--home", home, *words])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
