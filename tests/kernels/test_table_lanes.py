"""table with lanes: columns of numbers, of any look, come back, and are no longer text."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring0.abi import Op
from ring0.host import Host
from ring0.outcome import Result
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.references import table

Forward = Callable[[Sequence[bytes]], list[bytes]]
CELLS, TYPES, LANES = 2, 5, 6
SETTING = {"delimiter": ord(","), "dictionary": 2}


@pytest.fixture
def forward(kernels: KernelSet, host: Host) -> Forward:
    """The streams of a table of one column, after the kernel and the reference gave it back."""

    def call(fields: Sequence[bytes]) -> list[bytes]:
        return there_and_back(b"".join(b"x,%s\n" % field for field in fields), kernels, host)

    return call


def there_and_back(text: bytes, kernels: KernelSet, host: Host) -> list[bytes]:
    """The streams of a text, after the kernel and the reference gave it back."""
    kernel = kernels.by_name("table")
    params = kernel.manifest.encode_parameters(SETTING)
    outcome = host.call(kernel, Op.FORWARD, params, [text])
    assert isinstance(outcome, Result), outcome
    assert host.call(kernel, Op.INVERSE, params, outcome.outputs) == Result([text])
    assert table.inverse(outcome.outputs) == text
    return outcome.outputs


# A walk of 40 numbers from -300 to 300.
WALK = np.cumsum(np.random.default_rng(1).integers(-15, 16, 40)).tolist()
FAR = np.random.default_rng(2).integers(-(10**8), 10**8, 40).tolist()


@pytest.mark.parametrize(
    "looks",
    [
        "{}",
        "{:.2f}",
        "{:+.3f}",
        "{:+06d}",
        "{:+09.4f}",
        "{!r}.0",
        "${:.2f}",
        '"{}"',
        "{} ms\r",
        "[{:.1f} %]",
    ],
)
def test_numbers_of_any_look_leave_the_text(looks: str, forward: Forward) -> None:
    for walk in (WALK, FAR):
        streams = forward([looks.format(each).encode() for each in walk])
        assert streams[TYPES], looks
        assert streams[CELLS] == b"x\n"
        assert len(streams[LANES]) in {2 * 40, 4 * 40, 8 * 40}


@pytest.mark.parametrize("least", ["{:g}", "{}"])
def test_decimals_without_zeros_at_the_end(least: str, forward: Forward) -> None:
    streams = forward([least.format(each / 100).encode() for each in WALK])
    assert streams[CELLS] == b"x\n"


def test_what_is_missing_stays_text(forward: Forward) -> None:
    fields = [b"%d" % each for each in FAR]
    fields[3], fields[30], fields[31] = b"NA", b"", b"-0"
    assert forward(fields)[CELLS] == b"x\nNA\n\n-0\n"


@pytest.mark.parametrize(
    "fields",
    [
        [b"word %d" % (each * each) for each in range(9)],
        [b"%x" % (each * 0x9E3779B1 % 2**32) for each in range(99)],
        [b"%d" % (each % 2) for each in FAR],
        [b"0." + b"%018d" % (each * 7919 * 10**13 % 10**18) for each in range(30)],
    ],
    ids=["few words", "hexadecimal", "flags", "noise of eighteen digits"],
)
def test_what_is_no_shorter_as_lanes_stays_as_it_is(
    fields: Sequence[bytes], forward: Forward
) -> None:
    streams = forward(fields)
    assert streams[TYPES] == streams[LANES] == b""


def test_texts_that_move_in_their_order_are_ranks(forward: Forward) -> None:
    names = [b"%d.25" % (each**5) for each in range(-9, 9)]
    steps = np.cumsum(np.random.default_rng(3).integers(-1, 2, 300))
    fields = [names[each % len(names)] for each in steps]
    cells = forward(fields)[CELLS].split(b"\n")[1:-1]
    assert cells == sorted({*fields}, key=float)


NUMBERS = st.from_regex(rb"[-+]?0{0,2}[0-9]{1,19}(\.[0-9]{1,19})?\Z") | st.sampled_from(
    [b"", b"-", b".5", b"5.", b"NA", b"-0", b"+0.0", b"1e5", b"9" * 18, b"-" + b"9" * 19]
)


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9),
    times=st.sampled_from([1, 4, 30]),
    end=st.sampled_from([b"\n", b"%\n", b"\r\n", b",\n"]),
)
def test_any_columns_of_numbers_come_back(
    rows: list[tuple[bytes, bytes]], times: int, end: bytes, kernels: KernelSet, host: Host
) -> None:
    there_and_back(
        b"".join(first + b"," + second + end for first, second in rows * times), kernels, host
    )


@given(
    drawn=st.tuples(st.integers(0, 2**32), st.integers(0, 40), st.integers(2, 60)),
    form=st.sampled_from(["%d", "%.1f", "%.2f", "%.4f", "%g", "%06.1f", "$%d"]),
)
def test_drawn_columns_come_back(
    drawn: tuple[int, int, int], form: str, kernels: KernelSet, host: Host
) -> None:
    seed, spread, missing = drawn
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.integers(-(2**spread), 2**spread + 1, 70)) / 4
    fields = [(form % each).encode() for each in values]
    fields[missing::missing] = [b"NA" for _ in fields[missing::missing]]
    told = [b"%d" % (round(each) % 7) for each in values]
    text = b"".join(b"%s,%s,%s\n" % row for row in zip(told, fields, fields[::-1], strict=True))
    there_and_back(text, kernels, host)
