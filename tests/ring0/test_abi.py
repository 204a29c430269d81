"""The call block and its layout."""

from hypothesis import given
from hypothesis import strategies as st

from ring0.abi import (
    ALIGNMENT,
    REFUSALS,
    Code,
    Layout,
    Op,
    align,
    block_words,
    unsigned_leb128,
    unzigzag,
    zigzag,
)


def test_every_operation_knows_its_bound_and_its_opposite() -> None:
    assert [op.bound for op in Op] == [0, 0, 2, 2]
    assert [op.opposite for op in Op] == [2, 3, 0, 1]


def test_every_code_but_done_is_a_refusal() -> None:
    assert set(REFUSALS) == set(Code) - {Code.DONE}
    assert len({word for word, _ in REFUSALS.values()}) == len(REFUSALS)


@given(
    st.integers(0, 1 << 20),
    st.integers(0, 100),
    st.lists(st.integers(0, 5_000), max_size=9),
    st.integers(0, 9),
)
def test_regions_are_aligned_in_order_and_apart(
    base: int, param_len: int, lengths: list[int], n_out: int
) -> None:
    base = align(base)
    layout = Layout.after(base, param_len, lengths, n_out)
    block_len = 4 * block_words(len(lengths), n_out)
    starts = [layout.block, layout.param, *layout.inputs, layout.end]
    assert all(start % ALIGNMENT == 0 for start in starts)
    for start, size, following in zip(
        starts, [block_len, param_len, *lengths], starts[1:], strict=False
    ):
        assert start + size <= following < start + size + ALIGNMENT


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_zigzag_comes_back_within_64_bits(value: int) -> None:
    assert 0 <= zigzag(value) < 1 << 64
    assert unzigzag(zigzag(value)) == value


def test_leb128_is_the_shortest() -> None:
    assert unsigned_leb128(0) == b"\0"
    assert unsigned_leb128(127) == b"\x7f"
    assert unsigned_leb128(128) == b"\x80\x01"
    assert unsigned_leb128((1 << 64) - 1) == b"\xff" * 9 + b"\x01"
