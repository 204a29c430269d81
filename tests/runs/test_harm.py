"""Whether what one run changed lies on the way of another, by the plain definition of that."""

from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.runs.paths import folder_of
from ring2_orchestrator.runs.touched import Touched, harm

# Few names, so that paths often share folders, and names that begin alike.
NAMES = st.sampled_from([b"a", b"ab", b"b", b"\xff\n"])
PATHS = st.lists(NAMES, max_size=4).map(lambda names: b"/" + b"/".join(names))
TOUCHED = st.builds(Touched, *(st.frozensets(PATHS, max_size=8) for _ in range(4)))


def lies_in_a_change(path: bytes, changed: frozenset[bytes]) -> bool:
    """Whether the path or a folder above it, but the root, was changed."""
    while path != b"/":
        if path in changed:
            return True
        path = folder_of(path)
    return False


@given(TOUCHED, TOUCHED)
def test_a_run_is_harmed_at_the_first_path_that_the_other_changed(
    mine: Touched, theirs: Touched
) -> None:
    seen = mine.wrote | mine.made | mine.read
    harmed = {path for path in seen if lies_in_a_change(path, theirs.wrote)}
    harmed |= theirs.made & (mine.wrote | (mine.missed - mine.made))
    assert harm(mine, theirs) == min(harmed, default=None)
