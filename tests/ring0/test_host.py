"""The host on kernels that behave: the same bytes wherever they run, and every outcome named."""

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cid_store.errors import UsageError
from ring0.abi import MAX_PORTS, Op
from ring0.boundary import MIB, Boundary
from ring0.errors import EngineError
from ring0.examination import Depth, examine
from ring0.host import Host, declarations, library, machine
from ring0.kernel import Kernel
from ring0.outcome import (
    Outcome,
    OutOfFuel,
    OutOfMemory,
    Refused,
    Result,
    TimedOut,
    Trapped,
    sentence,
)
from tests.ring0.conftest import FOLDERS

Kernels = dict[str, Kernel]
NAMES = sorted(path.stem for path in FOLDERS.glob("*/*.wasm"))
DATA = np.arange(4096, dtype=np.uint32).tobytes()


def params(kernel: Kernel, dtype: str = "u32") -> bytes:
    return kernel.manifest.encode_parameters({}, dtype=dtype if kernel.manifest.types else None)


def done(outcome: Outcome) -> Result:
    assert isinstance(outcome, Result), outcome
    return outcome


def places(host: Host, foreign: Host) -> Iterator[tuple[Host, Boundary]]:
    """Every way a kernel can be run: bare, metered, and in a worker."""
    slow = 30_000
    yield host, Boundary(wall_ms=slow)
    yield host, Boundary(wall_ms=slow, fuel=1_000_000_000)
    yield foreign, Boundary(wall_ms=slow)
    yield foreign, Boundary(wall_ms=slow, fuel=1_000_000_000)


@pytest.mark.parametrize("name", ["delta", "byte_split", "rans0"])
def test_it_gives_the_same_bytes_wherever_it_runs(
    host: Host, foreign: Host, kernels: Kernels, name: str
) -> None:
    kernel = kernels[name]
    given = params(kernel)
    results = [
        done(place.call(kernel, Op.FORWARD, given, [DATA], boundary))
        for place, boundary in places(host, foreign)
    ]
    assert len({tuple(result.outputs) for result in results}) == 1
    for place, boundary in places(host, foreign):
        back = done(place.call(kernel, Op.INVERSE, given, results[0].outputs, boundary))
        assert back.outputs == [DATA]


def test_fuel_is_the_same_in_both_places_and_absent_when_not_metered(
    host: Host, foreign: Host, kernels: Kernels
) -> None:
    kernel = kernels["rans0"]
    metered = Boundary(fuel=1_000_000_000, wall_ms=30_000)
    fuels = {
        done(place.call(kernel, Op.FORWARD, b"", [DATA], metered)).fuel
        for place in (host, foreign, host)
    }
    assert len(fuels) == 1
    assert None not in fuels
    assert done(host.call(kernel, Op.FORWARD, b"", [DATA])).fuel is None


def test_any_buffer_will_do(host: Host, foreign: Host, kernels: Kernels) -> None:
    kernel = kernels["delta"]
    array = np.frombuffer(DATA, dtype=np.uint32).reshape(64, 64)
    forms = [DATA, bytearray(DATA), memoryview(DATA), array.data]
    outputs = {
        done(place.call(kernel, Op.FORWARD, params(kernel), [form])).outputs[0]
        for place in (host, foreign)
        for form in forms
    }
    assert len(outputs) == 1


def test_a_prepared_call_can_be_repeated(host: Host, kernels: Kernels) -> None:
    kernel = kernels["delta"]
    prepared = host.prepare(kernel, Op.FORWARD, params(kernel))
    long, short = prepared([DATA]), prepared([DATA[:16]])
    for _ in range(50):
        assert prepared([DATA]) == long
        assert prepared([DATA[:16]]) == short


@pytest.mark.parametrize("length", [0, 4, 60, 65_536, 1 << 20])
def test_lengths_from_nothing_to_many_pages(host: Host, kernels: Kernels, length: int) -> None:
    kernel = kernels["delta"]
    data = bytes(range(256)) * (length // 256 + 1)
    result = done(host.call(kernel, Op.FORWARD, params(kernel), [data[:length]]))
    back = done(host.call(kernel, Op.INVERSE, params(kernel), result.outputs))
    assert back.outputs == [data[:length]]


def test_what_lies_outside_the_domain_is_refused(
    host: Host, foreign: Host, kernels: Kernels
) -> None:
    for place in (host, foreign):
        outcome = place.call(kernels["delta"], Op.FORWARD, params(kernels["delta"]), [b"abc"])
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.reason) == (1, "outside-domain")


def test_a_width_that_is_none_reaches_the_kernel(host: Host, kernels: Kernels) -> None:
    for given in (b"", b"\xff", b"\x03"):
        outcome = host.call(kernels["byte_split"], Op.FORWARD, given, [DATA])
        assert isinstance(outcome, Refused)
        assert outcome.code == 2


def test_limits_hold_in_both_places(host: Host, foreign: Host, kernels: Kernels) -> None:
    kernel = kernels["delta"]
    for place in (host, foreign):

        def come_to(boundary: Boundary, place: Host = place) -> Outcome:
            return place.call(kernel, Op.FORWARD, params(kernel), [DATA], boundary)

        assert isinstance(come_to(Boundary(memory_bytes=80_000)), OutOfMemory)
        refused = come_to(Boundary(output_bytes=100))
        assert isinstance(refused, Refused)
        assert refused.reason == "output-limit"
        assert come_to(Boundary(fuel=100)) == OutOfFuel(100)
        assert isinstance(come_to(Boundary(memory_bytes=MIB, output_bytes=MIB)), Result)


def test_more_inputs_than_any_kernel_takes_cannot_be_meant(host: Host, kernels: Kernels) -> None:
    with pytest.raises(UsageError):
        host.call(kernels["delta"], Op.FORWARD, b"", [b""] * (MAX_PORTS + 1))


def test_threads_share_a_host(host: Host, kernels: Kernels) -> None:
    kernel = kernels["delta"]
    expected = host.call(kernel, Op.FORWARD, params(kernel), [DATA])
    wrong: list[Outcome] = []

    def work() -> None:
        for _ in range(100):
            outcome = host.call(kernel, Op.FORWARD, params(kernel), [DATA])
            if outcome != expected:
                wrong.append(outcome)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_host_starts_anew(kernels: Kernels) -> None:
    kernel = kernels["zigzag"]
    host = Host(base=frozenset({kernel.cid}))
    before = host.call(kernel, Op.FORWARD, params(kernel), [DATA])
    host.close()
    assert host.call(kernel, Op.FORWARD, params(kernel), [DATA]) == before
    host.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_told_instead_of_hanging(host: Host, kernels: Kernels) -> None:
    kernel = kernels["zigzag"]
    zigzag = host.prepare(kernel, Op.FORWARD, params(kernel))
    done(zigzag([DATA]))
    with zigzag.open([4]) as session:
        pid = os.fork()
        if pid == 0:
            told = 0
            for call in (lambda: zigzag([DATA]), session.run):
                with suppress(EngineError):
                    call()
                    continue
                told += 1
            os._exit(told)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
        assert session.run() is None


def test_another_engine_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "VERSION", "49.0.0")
    with pytest.raises(EngineError, match=r"pip install wasmtime==49\.0\.0"):
        Host()


def test_a_missing_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_found(name: str) -> None:
        return None

    monkeypatch.setattr(library.PathFinder, "find_spec", none_found)
    with pytest.raises(EngineError, match="wasmtime is not installed"):
        Host()


@pytest.mark.slow
def test_the_precompiled_declarations_are_those_of_the_source() -> None:
    committed = Path(declarations.__file__).with_name("capi.py").read_text(encoding="utf-8")
    assert declarations.generate() == committed


@pytest.fixture(scope="module")
def swift(kernels: Kernels) -> Iterator[Host]:
    """The usual host. Both ways of calling a kernel are held to the laws elsewhere."""
    with Host(base=frozenset(kernel.cid for kernel in kernels.values())) as host:
        yield host


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_kernel_passes_the_examination(name: str, swift: Host, kernels: Kernels) -> None:
    examination = examine(kernels[name].wasm, swift, depth=Depth(long=False))
    assert examination.passed, examination.checks


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_kernel_takes_long_inputs(name: str, swift: Host, kernels: Kernels) -> None:
    examination = examine(kernels[name].wasm, swift, depth=Depth(cases=0, lengths=0))
    assert examination.passed, examination.checks
    assert "long inputs" in {check.name for check in examination.checks}


def imported_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return set(done.stdout.split())


@pytest.mark.slow
def test_a_worker_imports_little() -> None:
    modules = imported_by("import ring0.host.worker")
    assert not modules & {"wasmtime", "cffi", "dataclasses", "inspect", "numpy", "subprocess"}


@pytest.mark.slow
def test_the_python_binding_is_never_imported() -> None:
    modules = imported_by("import ring0.host.machine, ring0.examination")
    assert not modules & {"wasmtime", "cffi", "pycparser", "ctypes"}


def test_every_outcome_is_a_sentence() -> None:
    for outcome, told in [
        (Result([b"ab", b"c"], 7), "done: 2 outputs, 3 bytes, 7 fuel"),
        (Refused("domain", 1, "odd length"), "refused, domain (code 1): odd length"),
        (Refused("import", None, "it imports x"), "refused, import: it imports x"),
        (Trapped("unreachable", "stopped"), "trapped, unreachable: stopped"),
        (OutOfFuel(1000), "out of fuel: it used all 1,000 units"),
        (TimedOut(250), "timed out: it took longer than 250 ms"),
        (OutOfMemory(4096, "too much"), "out of memory: too much (limit 4,096 bytes)"),
    ]:
        assert sentence(outcome) == told


def test_the_lazy_names_are_the_real_ones() -> None:
    assert Host is machine.Host
    with pytest.raises(AttributeError, match="no attribute 'Guest'"):
        getattr(sys.modules["ring0.host"], "Guest")  # noqa: B009 - the name must not be known


def test_the_length_of_an_array_is_that_of_its_bytes(
    host: Host, foreign: Host, kernels: Kernels
) -> None:
    kernel = kernels["delta"]
    numbers: Any = np.arange(60, dtype=np.uint32)
    nothing: Any = np.zeros((0, 4), np.uint32)
    for place in (host, foreign):
        delta = place.prepare(kernel, Op.FORWARD, params(kernel))
        plain = done(delta([numbers.tobytes()])).outputs
        for array in (numbers, numbers.reshape(3, 20), memoryview(numbers)):
            assert done(delta([array])).outputs == plain
        assert done(delta([nothing])).outputs == [b""]


def test_elements_that_lie_apart_are_copied(host: Host, foreign: Host, kernels: Kernels) -> None:
    kernel = kernels["delta"]
    square = np.arange(400, dtype="<u4").reshape(20, 20)
    apart: list[Any] = [square[::2], square.T, square[:, ::-1], memoryview(square.tobytes())[::3]]
    for place in (host, foreign):
        delta = place.prepare(kernel, Op.FORWARD, params(kernel, "u8"))
        for given in apart:
            assert done(delta([given])) == done(delta([memoryview(given).tobytes()]))


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, None], dtype=object),
        np.zeros(2, dtype=[("a", "u1"), ("b", object)]),
        np.zeros(2, dtype=">u2"),
        np.zeros(2, dtype="M8[s]"),
        (ctypes.c_void_p * 2)(),
        "text",
        None,
        7,
    ],
    ids=lambda value: str(getattr(value, "dtype", type(value).__name__)),
)
def test_what_has_no_bytes_of_its_own_reaches_no_kernel(
    host: Host, foreign: Host, kernels: Kernels, value: Any
) -> None:
    kernel = kernels["delta"]
    for place in (host, foreign):
        with pytest.raises(UsageError, match="convert the value of type"):
            place.call(kernel, Op.FORWARD, params(kernel, "u8"), [value])


def test_a_call_that_cannot_be_meant_is_refused_in_a_sentence(host: Host, kernels: Kernels) -> None:
    kernel = kernels["delta"]
    given = params(kernel)
    wrong: list[Any] = [7, -1, 70_000, "forward", None]
    for op in wrong:
        with pytest.raises(UsageError, match="no operation of ABI v1"):
            host.prepare(kernel, op, given)
    other: list[Any] = [bytearray(given), memoryview(given), "u8", None]
    for one in other:
        with pytest.raises(UsageError, match="parameters are bytes"):
            host.prepare(kernel, Op.FORWARD, one)
    lengths: list[Any] = [[1.5], ["a"], "ab", [None], [-1]]
    for one in lengths:
        with pytest.raises(UsageError, match="a length is a whole number"):
            host.prepare(kernel, Op.FORWARD, given).open(one)


def test_a_worker_takes_limits_of_any_size(foreign: Host, kernels: Kernels) -> None:
    kernel = kernels["delta"]
    plain = done(foreign.call(kernel, Op.FORWARD, params(kernel), [DATA]))
    huge = 1 << 100
    boundary = Boundary(memory_bytes=huge, output_bytes=huge, wall_ms=huge)
    assert foreign.call(kernel, Op.FORWARD, params(kernel), [DATA], boundary) == plain


def test_the_first_call_compiles_on_a_thread_with_a_small_stack(
    kernels: Kernels, compiled: bool
) -> None:
    kernel = kernels["rans0"]
    made: list[Outcome] = []
    with Host(base=frozenset({kernel.cid}), compiled=compiled) as host:
        before = threading.stack_size(64 * 1024)
        try:
            thread = threading.Thread(
                target=lambda: made.append(host.call(kernel, Op.FORWARD, b"", [DATA]))
            )
            thread.start()
        finally:
            threading.stack_size(before)
        thread.join()
        assert isinstance(done(made[0]), Result)


NO_ROOM = """
import resource, sys
from pathlib import Path
from ring0.abi import Op
from ring0.boundary import Boundary
from ring0.errors import EngineError
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import OutOfMemory

kernel = Kernel.from_wasm(Path(sys.argv[1]).read_bytes())
with Host(base=frozenset({kernel.cid}), compiled=sys.argv[2] == "True") as host:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
    rans0 = host.prepare(kernel, Op.FORWARD)
    for boundary in (Boundary(), Boundary(fuel=1_000_000)):
        try:
            sys.exit(f"no error, but {rans0([b'abc'], boundary)}")
        except EngineError as error:
            assert "ulimit -v" in str(error)
    with rans0.open([3]) as session:
        assert isinstance(session.run(), OutOfMemory)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert rans0([b"abc"]).outputs
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
def test_a_machine_without_room_for_an_instance_blames_no_kernel(compiled: bool) -> None:
    wasm = Path(__file__).parents[2] / "ring1_kernels/rans0/rans0.wasm"
    command = [sys.executable, "-c", NO_ROOM, str(wasm), str(compiled)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
