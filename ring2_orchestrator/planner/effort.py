"""Effort: what decoding takes, in units that are the same on every machine and go with time.

Fuel counts instructions. What a call takes and gives also has to be carried, and some kernels wait
for memory at every step; docs/decisions/plan-profiles.md has the figures.
"""

from ring0.execution import Execution
from ring2_orchestrator.kernels import KernelSet

# For each byte that a call takes or gives.
_CARRY = 2
# What a unit of a kernel's fuel counts; for kernels that are not named it counts once.
_WEIGHTS = {"lz_mix": 2}


def effort(execution: Execution, kernels: KernelSet) -> int:
    """The effort of an execution whose calls were metered."""
    fuel = sum(
        used * (_WEIGHTS.get(kernel.name, 1) if (kernel := kernels.by_cid(cid)) else 1)
        for cid, used in execution.kernel_fuel.items()
    )
    return fuel + _CARRY * execution.work_bytes
