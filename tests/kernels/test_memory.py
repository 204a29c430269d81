"""Kernels touch only what they were given, watched byte by byte, with a region at memory's end."""

import itertools
import struct
from collections.abc import Callable
from typing import Any

import pytest
import wasmtime

from ring0 import abi
from ring0.abi import Op
from ring2_orchestrator.kernel_build import kernel_folders
from ring2_orchestrator.kernel_vectors import Case, read_cases
from ring2_orchestrator.kernels import KernelSet

CASES = [case for folder in kernel_folders() for case in read_cases(folder)]
NAMES = KernelSet.shipped().names
LEVELS = ("none", "speed")


def expected(case: Case) -> list[bytes] | int:
    return [*case.outputs] if case.refuse is None else case.refuse


def runs(case: Case) -> list[tuple[Op, list[bytes], list[bytes] | int]]:
    """The case itself and, where it is accepted, the way back."""
    both = [(case.op, [*case.inputs], expected(case))]
    if case.refuse is None and case.op is Op.FORWARD:
        both.append((Op.INVERSE, [*case.outputs], [*case.inputs]))
    return both


@pytest.mark.parametrize("name", NAMES)
def test_no_region_is_left(name: str, kernels: KernelSet, bare: Callable[..., Any]) -> None:
    """Each region in turn ends where memory ends, so one byte too far traps."""
    manifest = kernels.by_name(name).manifest
    for case in CASES:
        if case.kernel != name or sum(map(len, case.inputs)) > 20_000:
            continue
        for op, inputs, answer in runs(case):
            n_out = manifest.call_shape(op, case.params)[1]
            ports = [("in", port) for port in range(len(inputs))]
            ports += [("out", port) for port in range(n_out)]
            for last in (None, *ports[:2], ports[-1], ("scratch", 0), ("param", 0)):
                assert bare(name).call(op, case.params, inputs, n_out, last=last) == answer, (
                    f"{case.id} with {last} at the end of memory"
                )


@pytest.mark.parametrize(("name", "level"), [*itertools.product(NAMES, LEVELS)])
def test_the_compiler_makes_no_difference(
    name: str, level: str, kernels: KernelSet, bare: Callable[..., Any]
) -> None:
    manifest = kernels.by_name(name).manifest
    for case in CASES:
        if case.kernel == name:
            for op, inputs, answer in runs(case):
                n_out = manifest.call_shape(op, case.params)[1]
                assert bare(name, level).call(op, case.params, inputs, n_out) == answer, case.id


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_operation_is_refused(
    name: str, kernels: KernelSet, bare: Callable[..., Any]
) -> None:
    one = bare(name)
    for op in (4, 5, 0xFFFFFFFF):
        store = wasmtime.Store(one.engine)
        exports = wasmtime.Instance(store, one.optimised, []).exports(store)
        memory, run = exports["memory"], exports["run"]
        assert isinstance(memory, wasmtime.Memory)
        assert isinstance(run, wasmtime.Func)
        base = memory.data_len(store)
        memory.grow(store, 1)
        memory.write(store, struct.pack("<7I", op, 0, 0, 0, 0, 0, 0), base)
        assert run(store, base) == abi.Code.UNKNOWN_OPERATION


@pytest.mark.parametrize("name", NAMES)
def test_less_room_than_the_bound_is_refused(
    name: str, kernels: KernelSet, bare: Callable[..., Any]
) -> None:
    manifest = kernels.by_name(name).manifest
    for case in CASES:
        if case.kernel != name or case.refuse is not None:
            continue
        for op, inputs, _ in runs(case):
            n_out = manifest.call_shape(op, case.params)[1]
            for port in range(n_out):
                answer = bare(name).call(op, case.params, inputs, n_out, less=("out", port))
                assert answer in (None, abi.Code.CAPACITY), case.id
            answer = bare(name).call(op, case.params, inputs, n_out, less=("scratch", 0))
            assert answer in (None, abi.Code.SCRATCH), case.id
