"""Programs run in C: every call of a plan in turn, values copied from memory to memory."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from ring0.abi import MAX_PORTS
from ring0.boundary import Boundary
from ring0.host.answers import outcome_of
from ring0.host.direct import DirectInstance, DirectResident, fill, new_bounds
from ring0.host.engine import Stopped
from ring0.program import Program, Ran

# A longer program would hold that many instances at once, and goes step by step instead.
MOST_LINKS = 64
# Every instance reserves gigabytes of addresses, so idle ones are few.
_KEPT_RIGS = min(os.cpu_count() or 1, 4)


class _Rig(NamedTuple):
    """What one run at a time needs: an instance for each link, and the arrays that C reads."""

    instances: list[DirectInstance]
    steps: Any
    values: Any
    ending: Any
    work: Any
    held: list[Any]


class DirectProgram:
    """A program whose every kernel is called directly. Any number of threads may run it."""

    def __init__(self, program: Program, residents: Sequence[DirectResident]) -> None:
        # Not the program itself: the host holds this for as long as anybody holds that.
        self._links, self._values = program.links, program.values
        self._given, self._wanted = program.given, program.wanted
        self._residents = residents
        self.ffi, self.lib = residents[0].ffi, residents[0].lib
        self._rigs: list[_Rig] = []

    @classmethod
    def of(cls, program: Program, residents: Sequence[object]) -> "DirectProgram | None":
        """The program in C; None where a kernel cannot be called so, or there are too many."""
        direct = [one for one in residents if isinstance(one, DirectResident)]
        widest = max((len(link.inputs) for link in program.links), default=0)
        if not direct or len(direct) != len(residents):
            return None
        return cls(program, direct) if len(direct) <= MOST_LINKS and widest <= MAX_PORTS else None

    def run(self, given: Sequence[Any], boundary: Boundary, work_bytes: int) -> Ran | None:
        """Run it within a boundary for each link, and that much work for all of them.

        None where the machine has no room for an instance for each.
        """
        try:
            rig = self._take()
        except Stopped:
            return None
        bounds = new_bounds(
            self.ffi, boundary.memory_bytes, boundary.output_bytes, boundary.wall_ms, work_bytes
        )
        held = fill(self.ffi, rig.values, given, self._given)
        rig.work[0] = 0
        count = len(rig.instances)
        kind = self.lib.rdx_call_all(rig.steps, count, rig.values, bounds, rig.ending, rig.work)
        ran = self._ran(rig, kind, boundary)
        del held
        if kind not in (self.lib.RDX_STOPPED, self.lib.RDX_OVERDUE):
            self._keep(rig, bounds.kept_bytes)
        return ran

    def drop_idle(self) -> None:
        """Free the instances that no run is using."""
        self._rigs.clear()

    def _take(self) -> _Rig:
        # Not asked first: between the question and the taking, another thread may take the last.
        try:
            return self._rigs.pop()
        except IndexError:
            return self.make_rig()

    def _ran(self, rig: _Rig, kind: int, boundary: Boundary) -> Ran:
        work = int(rig.work[0])
        if kind == self.lib.RDX_DONE:
            # Whichever kernel made it, what is taken out of memory is bytes.
            take_out = self._residents[0].take_out
            return Ran([take_out(rig.values[at]) for at in self._wanted], work)
        step = int(rig.ending.step)
        if kind == self.lib.RDX_WORK_LIMIT:
            return Ran([], work, self._links[step])
        answer = rig.instances[step].answer(rig.ending)
        return Ran([], work, self._links[step], outcome_of(answer, boundary))

    def _keep(self, rig: _Rig, kept_bytes: int) -> None:
        for one in rig.instances:
            self.lib.rdx_forget(one.c, kept_bytes)
        if len(self._rigs) < _KEPT_RIGS:
            self._rigs.append(rig)

    def make_rig(self) -> _Rig:
        """Instances and arrays for one more thread. Raises Stopped."""
        ffi, links = self.ffi, self._links
        instances = [resident.make() for resident in self._residents]
        steps = ffi.new("rdx_step[]", len(links))
        held: list[Any] = []
        for at, (link, resident, one) in enumerate(
            zip(links, self._residents, instances, strict=True)
        ):
            shape = (link.op, link.params, len(link.inputs), len(link.outputs))
            operation = resident.operation(*shape)
            inputs = ffi.new("uint32_t[]", link.inputs)
            outputs = ffi.new("uint32_t[]", link.outputs)
            spent = [instances[other].c for other in self._spent_after(at)]
            spent_array = ffi.new("rdx_instance *[]", spent)
            steps[at].instance, steps[at].operation = one.c, operation[0]
            steps[at].inputs, steps[at].outputs = inputs, outputs
            steps[at].spent, steps[at].n_spent = spent_array, len(spent)
            held += [operation, inputs, outputs, spent_array]
        values = ffi.new("rdx_span[]", self._values)
        ending, work = ffi.new("rdx_ending *"), ffi.new("uint64_t *")
        return _Rig(instances, steps, values, ending, work, held)

    def _spent_after(self, at: int) -> list[int]:
        """The links whose last output the link at that place takes."""
        links, wanted = self._links, {*self._wanted}
        taken = {value: place for place, link in enumerate(links) for value in link.inputs}
        return [
            maker
            for maker, link in enumerate(links[:at])
            if wanted.isdisjoint(link.outputs) and max(taken[value] for value in link.outputs) == at
        ]
