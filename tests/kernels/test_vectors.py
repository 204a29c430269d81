"""Every vector of every kernel, through the host: what it makes, and what it refuses."""

import pytest

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernel_build import kernel_folders
from ring2_orchestrator.kernel_vectors import Case, read_cases
from ring2_orchestrator.kernels import KernelSet

CASES = [case for folder in kernel_folders() for case in read_cases(folder)]
by_id = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def test_every_kernel_has_accepted_and_refused_vectors() -> None:
    for folder in kernel_folders():
        cases = [case for case in CASES if case.kernel == folder.name]
        assert any(case.refuse is None for case in cases)
        assert any(case.refuse == 2 for case in cases)
        assert any(case.refuse in (1, 3) for case in cases)


@by_id
def test_a_vector_holds(case: Case, kernels: KernelSet, host: Host) -> None:
    kernel = kernels.by_name(case.kernel)
    outcome = host.call(kernel, case.op, case.params, case.inputs)
    if case.refuse is not None:
        assert isinstance(outcome, Refused)
        assert outcome.code == case.refuse
        return
    assert outcome == Result([*case.outputs], None)
    if case.op is Op.FORWARD:
        assert host.call(kernel, Op.INVERSE, case.params, case.outputs) == Result([*case.inputs])


@by_id
def test_a_vector_says_its_parameters_twice(case: Case, kernels: KernelSet) -> None:
    if case.refuse == 2:
        return
    manifest = kernels.by_name(case.kernel).manifest
    assert manifest.encode_parameters(case.values, dtype=case.dtype) == case.params
