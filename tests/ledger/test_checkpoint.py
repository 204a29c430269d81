"""The checkpoint text: the C2SP body, one spelling, everything else refused in one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.ledger import Checkpoint, MalformedNoteError

# The example of c2sp.org/tlog-checkpoint, with its signature line.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""  # noqa: E501 - a published example, as it is


def test_the_published_example_is_read() -> None:
    found = Checkpoint.parse(EXAMPLE)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.text == EXAMPLE.split("\n\n", maxsplit=1)[0] + "\n"


def test_extension_lines_are_passed_over() -> None:
    assert Checkpoint.parse("o\n0\n" + "A" * 43 + "=\nmore\n").size == 0


@given(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_text_and_value_say_the_same(origin: str, size: int, root: bytes) -> None:
    head = Checkpoint(origin, size, root)
    assert Checkpoint.parse(head.text) == head


ROOT = "A" * 43 + "="


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not a checkpoint"),
        ("o\n1\n", "not a checkpoint"),
        (f"o\n1\n{ROOT}", "not a checkpoint"),
        (f"\n1\n{ROOT}\n", "not a checkpoint"),
        (f"o\n01\n{ROOT}\n", "not a size: '01'"),
        (f"o\n-1\n{ROOT}\n", "not a size"),
        (f"o\n1e3\n{ROOT}\n", "not a size"),
        (f"o\n{'9' * 20}\n{ROOT}\n", "not a size"),
        (f"o\n\u0661\n{ROOT}\n", "not a size"),
        ("o\n1\nAAAA\n", "not a root hash: 'AAAA'"),
        (f"o\n1\n{'A' * 42}B=\n", "not a root hash"),
        (f"o\n1\n{'A' * 43}\n", "not a root hash"),
        ("o\n1\n" + "!" * 44 + "\n", "not a root hash"),
        ("x" * 270_000, "at most 262144 characters"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(MalformedNoteError, match=sentence) as caught:
        Checkpoint.parse(text)
    assert "\n" not in str(caught.value)
