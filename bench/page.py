"""What pages of measurements have in common: on what was measured, and how they are kept."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple


class Machine(NamedTuple):
    """The machine and the day, in the names that pages use."""

    day: str
    python: str
    system: str
    machine: str
    cores: int | None
    before: float
    after: float


def load() -> float:
    """How busy the machine is: to be asked before anything is measured."""
    return os.getloadavg()[0]


def machine(before: float) -> dict[str, object]:
    """What a page says of the machine, once all is measured; `before` is the load until then."""
    return Machine(
        day=str(datetime.now(UTC).date()),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count(),
        before=before,
        after=load(),
    )._asdict()


def show(page: str, result: Path, *, write: bool) -> None:
    """Print a page, and keep it where that was asked for."""
    sys.stdout.write(page + "\n")
    if write:
        result.write_text(page, encoding="utf-8")
