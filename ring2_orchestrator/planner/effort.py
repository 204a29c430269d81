"""Effort: what decoding takes, in units that are the same on every machine and go with time.

Fuel counts instructions. What a call takes and gives also has to be carried, and some kernels wait
for memory at every step, as their `kernel.toml` says; docs/decisions/plan-profiles.md has the
figures.
"""

from ring0.execution import Execution
from ring2_orchestrator.kernels import KernelSet

# For each byte that a call takes or gives.
_CARRY = 2


def effort(execution: Execution, kernels: KernelSet) -> int:
    """The effort of an execution whose calls were metered."""
    fuel = sum(used * kernels.fuel_percent(cid) for cid, used in execution.kernel_fuel.items())
    return fuel // 100 + _CARRY * execution.work_bytes
