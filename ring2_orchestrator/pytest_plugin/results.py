"""What the process of a test file reports: a line of JSON for each thing, read again elsewhere.

The first key of a line says what it tells; the last line of a whole report is `end`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

# What lies in the private folder of a test file.
NAME, TEMPORARY, CACHE = "results", "t", "c"
Values = Mapping[str, object]


class Line(NamedTuple):
    """One thing that was reported."""

    kind: str
    values: Values


def line(kind: str, **values: object) -> str:
    """One line of the file."""
    # A property of a report may be anything; what is no plain value is told by its name.
    return json.dumps([kind, values], default=repr) + "\n"


def lines_in(data: bytes) -> Iterator[Line]:
    """Every whole line; a process that was killed may leave half a line behind."""
    for raw in data.splitlines(keepends=True):
        if raw.endswith(b"\n"):
            kind, values = cast("tuple[str, Values]", json.loads(raw))
            yield Line(kind, values)


def is_clean(lines: Sequence[Line]) -> bool:
    """Whether a report is whole and tells of no failure."""
    return any(kind == "end" and values["exitstatus"] == 0 for kind, values in lines)


class Seen(NamedTuple):
    """One test of a file, and how it ended."""

    nodeid: str
    location: tuple[str, int | None, str]
    outcome: str
    collector: bool = False  # a whole module that was skipped while it was imported


def tests_in(lines: Sequence[Line]) -> list[Seen]:
    """Every test that a whole report tells of, in the order in which they ran."""
    found: dict[str, Seen] = {}
    for kind, values in lines:
        data = cast("Values", values.get("data", {}))
        nodeid = str(data.get("nodeid"))
        if kind == "report":
            where = cast(
                "tuple[str, int | None, str]", tuple(cast("list[object]", data["location"]))
            )
            outcome = "xfailed" if "wasxfail" in data else str(data["outcome"])
            if nodeid not in found or found[nodeid].outcome == "passed":
                found[nodeid] = Seen(nodeid, where, outcome)
        elif kind == "collect":
            found[nodeid] = Seen(
                nodeid, (nodeid, None, nodeid), str(data["outcome"]), collector=True
            )
    return list(found.values())
