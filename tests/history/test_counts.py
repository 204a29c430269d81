"""What test runners say, and what of their output is the same each time."""

import pytest

from ring2_orchestrator.history.counts import Counts, counts_in, output_hash


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (b"....\n4 passed in 0.12s\n", Counts(4)),
        (
            b"=== 2 failed, 97 passed, 1 skipped, 3 warnings, 2 errors in 1.2s ===\n",
            Counts(97, 2, 2),
        ),
        (b"FAILED t.py::t - x\n1 failed, 1 error in 3s (0:00:03)\nmore\n", Counts(0, 1, 1)),
        (b"Ran 12 tests in 0.1s\n\nOK\n", Counts(12)),
        (b"Ran 12 tests in 0.1s\n\nOK (skipped=2)\n", Counts(10)),
        (b"Ran 12 tests in 1s\n\nFAILED (failures=1, errors=2, skipped=1)\n", Counts(8, 1, 2)),
        (b"no tests ran in 0.01s\n", Counts()),
        (b"", Counts()),
        (b"\xff\n", Counts()),
    ],
)
def test_counts_are_read_where_they_are_said(said: bytes, counts: Counts) -> None:
    assert counts_in(said) == counts


def test_times_and_addresses_do_not_count() -> None:
    one = b"<A object at 0x7f00aa11>\n4 passed in 0.12s\n"
    assert output_hash(one) == output_hash(b"<A object at 0x7f00bb22>\n4 passed in 3.4s\n")
    assert output_hash(one) != output_hash(b"<A object at 0x7f00aa11>\n5 passed in 0.12s\n")
