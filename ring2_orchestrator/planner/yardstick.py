"""What a plan is expected to cost on everything, from what it costs on the sample."""

from ring0.execution import Executor, RecentMemo
from ring0.plan import Plan
from ring2_orchestrator.container import BLOCK_BYTES, limits
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.mdl import body_bytes, header_bytes
from ring2_orchestrator.planner.sample import Sample


class Yardstick:
    """Measures plans on one sample. What plans have in common is executed once."""

    def __init__(self, sample: Sample, executor: Executor, kernels: KernelSet) -> None:
        self.sample = sample
        self.kernels = kernels
        self._executor = executor.with_limits(limits(len(sample.data)), memo=RecentMemo())
        self._known: dict[Plan, int] = {}
        self._here: dict[Plan, int] = {}

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
        block_bytes = 0 if self.sample.total <= BLOCK_BYTES else BLOCK_BYTES
        return header_bytes(plan, self.sample.total, block_bytes, self.kernels)

    def _size(self, plan: Plan) -> int:
        header = self.header(plan)
        body = self.size_here(plan) - header
        if not self.sample.is_whole:
            first, second = (self._body(plan, half) for half in self.sample.halves())
            body = self.sample.project(body, first, second)
        return header + body

    def _body(self, plan: Plan, data: bytes) -> int:
        return body_bytes(plan, data, self._executor)
