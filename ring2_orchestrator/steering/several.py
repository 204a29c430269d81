"""Several commands at a time: which starts first, and which of them fit into memory together."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from ring2_orchestrator.runs.order import Order
from ring2_orchestrator.steering.expectation import NOTHING, Expectation
from ring2_orchestrator.steering.schedule import urgency

_MEMINFO = Path("/proc/meminfo")
_LIMITED = Path("/sys/fs/cgroup")


class Several(NamedTuple):
    """What is expected of each command, by its place, and the memory that they may share."""

    expected: tuple[Expectation, ...]
    available_bytes: float | None = None

    @classmethod
    def unknown(cls, count: int) -> "Several":
        """So many commands of which nothing is known."""
        return cls((NOTHING,) * count)

    def rank(self, order: Order) -> Sequence[float]:
        """How urgent each one is: the seconds that hang on its start."""
        return urgency(order.before, [each.seconds for each in self.expected])

    def fits(self, at: int, running: Collection[int]) -> bool:
        """Whether the upper ends of what all of them should take fit into memory together.

        One of which nothing is known takes none; whoever is alone always fits.
        """
        if self.available_bytes is None or not running:
            return True
        needed = sum(self.expected[each].memory_bytes or 0.0 for each in (at, *running))
        return needed <= self.available_bytes


def available_memory() -> float | None:
    """Bytes to be had without swapping, within this control group; None where unknown."""
    found = [each for each in (_of_machine(), _of_group()) if each is not None]
    return min(found) if found else None


def _of_machine() -> float | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), "")
    return 1024.0 * int(kilobytes) if kilobytes.isdecimal() else None


def _of_group() -> float | None:
    try:
        most, now = ((_LIMITED / f"memory.{name}").read_text() for name in ("max", "current"))
    except (OSError, UnicodeDecodeError):
        return None
    most, now = most.strip(), now.strip()
    return float(max(int(most) - int(now), 0)) if most.isdecimal() and now.isdecimal() else None
