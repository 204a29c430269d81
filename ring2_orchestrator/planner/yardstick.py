"""What a plan is expected to cost on everything, from what it costs on the sample."""

from dataclasses import replace

from cid_store.errors import InputError
from ring0.boundary import MIB
from ring0.execution import Executor, RecentMemo
from ring0.plan import Plan
from ring2_orchestrator.container import BLOCK_BYTES, limits
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.mdl import body_bytes, header_bytes
from ring2_orchestrator.planner.effort import effort
from ring2_orchestrator.planner.sample import Sample

# Plans that are asked for their effort one after another have most of their streams in common.
_UNDONE_BYTES = 16 * MIB


class Yardstick:
    """Measures plans on one sample. What plans have in common is executed once."""

    def __init__(self, sample: Sample, executor: Executor, kernels: KernelSet) -> None:
        self.sample = sample
        self.kernels = kernels
        self._executor = executor.with_limits(limits(len(sample.data)), memo=RecentMemo())
        self._known: dict[Plan, int] = {}
        self._here: dict[Plan, int] = {}
        self._headers: dict[Plan, int] = {}
        # What was undone with its fuel counted; forward calls are remembered without.
        self._undone = RecentMemo(_UNDONE_BYTES)
        self._coding: dict[tuple[Plan, int], bool] = {}
        self._efforts: dict[tuple[Plan, int], int | None] = {}

    @property
    def executor(self) -> Executor:
        """The executor that remembers."""
        return self._executor

    def size(self, plan: Plan) -> int:
        """The expected container bytes of everything under the plan; exact for a whole sample."""
        if plan not in self._known:
            self._known[plan] = self._size(plan)
        return self._known[plan]

    def size_here(self, plan: Plan) -> int:
        """The container bytes of the sample alone."""
        if plan not in self._here:
            self._here[plan] = self.header(plan) + self._body(plan, self.sample.data)
        return self._here[plan]

    def rough(self, plan: Plan) -> int:
        """The size of everything, were the sample's all there is to tell."""
        return self.size_here(plan) * self.sample.total // max(len(self.sample.data), 1)

    def header(self, plan: Plan) -> int:
        """How long the container's header will be."""
        if plan not in self._headers:
            total = self.sample.total
            block_bytes = 0 if total <= BLOCK_BYTES else BLOCK_BYTES
            self._headers[plan] = header_bytes(plan, total, block_bytes, self.kernels)
        return self._headers[plan]

    def codes(self, plan: Plan, most: int) -> bool:
        """Whether a plan codes the sample's whole lanes with so much fuel, where it applies."""
        if (plan, most) not in self._coding:
            self._coding[plan, most] = self._codes(plan, most)
        return self._coding[plan, most]

    def effort(self, plan: Plan, most: int) -> int | None:
        """The effort of undoing a plan on the sample's whole lanes.

        None where it takes more than `most`, where the plan does not apply to them, or does not
        give them back. What takes more is stopped there, so it costs no more than what fits.
        """
        if (plan, most) not in self._efforts:
            self._efforts[plan, most] = self._effort(plan, most)
        return self._efforts[plan, most]

    def _codes(self, plan: Plan, most: int) -> bool:
        metered = self._executor.with_limits(replace(limits(len(self.sample.data)), fuel=most))
        try:
            made = metered.forward(plan, self._lanes(plan))
        except InputError:
            return False
        return sum(made.kernel_fuel.values()) <= most

    def _effort(self, plan: Plan, most: int) -> int | None:
        bounds = replace(limits(len(self.sample.data)), fuel=max(most, 1))
        metered = self._executor.with_limits(bounds, memo=self._undone)
        lanes = self._lanes(plan)
        try:
            back = metered.inverse(plan, self._executor.forward(plan, lanes).outputs)
        except InputError:
            return None
        taken = effort(back, self.kernels)
        return taken if back.outputs == [lanes] and taken <= most else None

    def _lanes(self, plan: Plan) -> bytes:
        data = self.sample.data
        return data[: len(data) // plan.input.width * plan.input.width]

    def _size(self, plan: Plan) -> int:
        header = self.header(plan)
        body = self.size_here(plan) - header
        if not self.sample.is_whole:
            first, second = (self._body(plan, half) for half in self.sample.halves())
            body = self.sample.project(body, first, second)
        return header + body

    def _body(self, plan: Plan, data: bytes) -> int:
        return body_bytes(plan, data, self._executor)
