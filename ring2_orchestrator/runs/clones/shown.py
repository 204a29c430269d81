"""What runs in several folders show of another: that what differed between them does not matter."""

from collections.abc import Hashable, Mapping, Sequence

from ring2_orchestrator.runs.paths import inside

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./")


def covers(roots: Sequence[bytes], other: bytes, places: Sequence[bytes]) -> bool:
    """Whether equal results in these folders speak for another one.

    What all of them have in common may matter, so it must be so there, too: length and depth of the
    path, each name in it counted from either end, whether it is hidden, whether it lies in one of
    the `places`, and which signs other than letters and digits it holds.
    """
    if len(set(roots)) < 2:
        return False
    first, *rest = (_traits(root, places) for root in roots)
    theirs = _traits(other, places)
    for trait, value in first.items():
        common = all(trait in each and each[trait] == value for each in rest)
        if common and theirs.get(trait) != value:
            return False
    signs = frozenset[int]().union(*(_signs(root) for root in roots))
    return _signs(other) <= signs


def _traits(root: bytes, places: Sequence[bytes]) -> Mapping[Hashable, object]:
    names = root.split(b"/")[1:]
    traits: dict[Hashable, object] = {
        "bytes": len(root),
        "depth": len(names),
        "hidden": b"/." in root,
    }
    for at, name in enumerate(names):
        traits["from the top", at] = name
        traits["from the end", len(names) - at] = name
    for place in places:
        traits["in", place] = inside(root, place)
    return traits


def _signs(root: bytes) -> frozenset[int]:
    return frozenset(root) - _PLAIN
