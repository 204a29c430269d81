"""A call in place: views are bounded, die when they must, and never show another call's bytes."""

import gc
import threading

import numpy as np
import pytest

from cid_store.errors import UsageError
from ring0.abi import Op
from ring0.boundary import Boundary
from ring0.host import Host, Prepared
from ring0.host.call import Answer
from ring0.host.session import Loan, Places, Session
from ring0.kernel import Kernel
from ring0.outcome import OutOfMemory, Refused, Result

Kernels = dict[str, Kernel]
WORDS = np.arange(1000, dtype=np.uint32)


@pytest.fixture
def delta(host: Host, kernels: Kernels) -> Prepared:
    kernel = kernels["delta"]
    return host.prepare(kernel, Op.FORWARD, kernel.manifest.encode_parameters({}, dtype="u32"))


def expected(delta: Prepared, data: bytes) -> list[bytes]:
    outcome = delta([data])
    assert isinstance(outcome, Result)
    return outcome.outputs


@pytest.mark.parametrize("length", [0, 4, 4000, 65_536, 1 << 20])
def test_what_is_written_in_place_is_what_the_kernel_reads(delta: Prepared, length: int) -> None:
    data = bytes(at * 31 % 256 for at in range(length))
    for _ in range(3):
        with delta.open([length]) as session:
            assert session.inputs[0].nbytes == length
            assert not any(session.inputs[0]), "nothing of another call"
            session.inputs[0][:] = data
            assert session.run() is None
            assert [bytes(view) for view in session.outputs] == expected(delta, data)


def test_arrays_are_filled_and_read_where_they_lie(delta: Prepared) -> None:
    with delta.open([WORDS.nbytes]) as session:
        np.frombuffer(session.inputs[0], np.uint32)[:] = WORDS
        assert session.run() is None
        made = np.frombuffer(session.outputs[0], np.uint32)
        assert not made.flags.writeable
        assert made[1:].tolist() == [1] * 999


def test_many_streams(host: Host, kernels: Kernels) -> None:
    kernel = kernels["byte_split"]
    params = kernel.manifest.encode_parameters({}, dtype="u32")
    streams = [bytes([at]) * 100 for at in range(4)]
    with host.prepare(kernel, Op.INVERSE, params).open([100] * 4) as session:
        for view, stream in zip(session.inputs, streams, strict=True):
            view[:] = stream
        assert session.run() is None
        assert bytes(session.outputs[0]) == bytes(range(4)) * 100


def test_every_touch_is_checked(delta: Prepared) -> None:
    with delta.open([16]) as session:
        view = session.inputs[0]
        for at in (16, -17, 1 << 40):
            with pytest.raises(IndexError):
                view[at] = 1
        with pytest.raises(ValueError, match="assignment"):
            view[8:] = bytes(9)
        assert session.run() is None
        with pytest.raises(TypeError, match="read-only"):
            session.outputs[0][0] = 1


def test_views_die_when_the_kernel_runs_and_when_the_session_ends(delta: Prepared) -> None:
    with delta.open([16]) as session:
        before = session.inputs[0]
        assert session.run() is None
        with pytest.raises(ValueError, match="released"):
            before[0] = 1
        after = session.outputs[0]
    with pytest.raises(ValueError, match="released"):
        bytes(after)
    assert session.inputs == session.outputs == ()
    session.close()


def test_nothing_runs_while_an_array_could_touch_the_memory(delta: Prepared) -> None:
    with delta.open([16]) as session:
        array = np.frombuffer(session.inputs[0], np.uint32)
        part = session.inputs[0][4:8]
        for _ in range(2):
            with pytest.raises(UsageError, match="still exists"):
                session.run()
        array[:] = 7
        del array
        with pytest.raises(UsageError, match="still exists"):
            session.run()
        part[0] = 9
        del part
        assert session.run() is None
        assert np.frombuffer(session.outputs[0], np.uint32).tolist() == [7, 2, (1 << 32) - 2, 0]


def test_memory_that_an_array_still_sees_is_left_to_it(host: Host, delta: Prepared) -> None:
    """It outlives the session, and other calls neither show nor change it."""
    kept = []
    for at in range(6):
        with delta.open([1 << 16]) as session:
            session.inputs[0][:] = bytes([at]) * (1 << 16)
            assert session.run() is None
            kept.append(np.frombuffer(session.outputs[0], np.uint32))
        assert expected(delta, b"\xff" * (1 << 16))
    gc.collect()
    for at, array in enumerate(kept):
        assert array[0] == at * 0x01010101
        assert not array[1:].any()


def test_a_session_makes_one_call(delta: Prepared) -> None:
    with delta.open([16]) as session:
        assert session.run() is None
        with pytest.raises(UsageError, match="one call"):
            session.run()
    with pytest.raises(UsageError, match="one call"):
        session.run()


def test_what_does_not_end_with_a_result_is_an_outcome(delta: Prepared) -> None:
    with delta.open([15]) as session:
        refused = session.run()
        assert isinstance(refused, Refused)
        assert refused == delta([bytes(15)])
        assert session.outputs == ()
    small = Boundary(memory_bytes=80_000)
    with delta.open([1 << 20], small) as session:
        assert session.inputs == ()
        lacking = session.run()
        assert isinstance(lacking, OutOfMemory)
        assert lacking == delta([bytes(1 << 20)], small)
    with delta.open([16], Boundary(output_bytes=15)) as session:
        assert session.run() == delta([bytes(16)], Boundary(output_bytes=15))


def test_only_what_runs_here_lends_its_memory(foreign: Host, kernels: Kernels) -> None:
    kernel = kernels["zigzag"]
    with pytest.raises(UsageError, match="does not run in this process"):
        foreign.prepare(kernel, Op.FORWARD, b"\1").open([4])


def test_calls_with_fuel_and_lengths_below_nothing_are_no_sessions(delta: Prepared) -> None:
    with pytest.raises(UsageError, match="does not run in this process"):
        delta.open([16], Boundary(fuel=1000))
    with pytest.raises(UsageError, match="not negative"):
        delta.open([-1])


@pytest.mark.parametrize(
    "lengths", [[1 << 63, 1 << 63], [(1 << 64) - 16], [1 << 64], [(1 << 64) - 65_536, 65_336, 40]]
)
def test_lengths_whose_sum_has_more_than_64_bits_are_refused(
    delta: Prepared, lengths: list[int]
) -> None:
    with delta.open(lengths) as session:
        assert isinstance(session.run(), OutOfMemory)
    assert expected(delta, b"")


def test_an_instance_whose_call_was_interrupted_is_never_used_again() -> None:
    class Interrupted(Loan):
        def __init__(self) -> None:
            self.given_back = False

        def open(self) -> Places | Answer:
            return []

        def work(self) -> Places | Answer:
            raise KeyboardInterrupt

        def window(self, address: int, length: int) -> object:
            raise AssertionError(f"nothing was laid out, so {length} bytes at {address} are not")

        def give_back(self) -> None:
            self.given_back = True

    loan = Interrupted()
    with pytest.raises(KeyboardInterrupt), Session(loan, Boundary(), lambda: None) as session:
        session.run()
    assert not loan.given_back
    with pytest.raises(UsageError, match="one call"):
        session.run()


def test_a_session_runs_on_a_thread_with_a_small_stack(delta: Prepared) -> None:
    made: list[bytes] = []

    def work() -> None:
        with delta.open([16]) as session:
            session.inputs[0][:] = b"\1" * 16
            assert session.run() is None
            made.append(bytes(session.outputs[0]))

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert made == expected(delta, b"\1" * 16)
