"""What changed, in a few words."""

from collections.abc import Sequence

from ring2_orchestrator.runs.surroundings import Change


def summary(changes: Sequence[Change]) -> str:
    """The changes in a few words: the first by name, the others by number."""
    first = changes[0]
    verb = {
        "appeared": "appeared",
        "disappeared": "is gone",
        "environment": "differs",
        "listing": f"lists other names ({first.now})",
        "network": f"is answered otherwise ({first.now})",
        "stdin": "differs",
    }.get(first.kind, "changed")
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f"{first.path} {verb}{more}"
