"""What is known of a run before it, and what came of it: all that learning ever sees."""

from typing import NamedTuple


class Before(NamedTuple):
    """What is known when a run is asked for. Nothing here may come from the run itself.

    `changed` is what hashes decide: whether an input differs from the last run of this command;
    None while that is not known. The paths are inputs that differ.
    """

    subject: str
    name: str = ""  # of the script, as a path; empty where there is none
    changed: bool | None = None
    paths: tuple[str, ...] = ()
    own_changed: bool = False  # the script itself is among them
    returned: bool = False  # inputs differ from the last run, and equal those of an older one
    lines: int | None = None  # how many lines the change has
    load: float | None = None  # programs that want to run, as the system counts them


class After(NamedTuple):
    """What came of it. `executed` is false where it was served from the store.

    Costs that were not measured are None. `drifted`: unchanged inputs gave other results.
    """

    must_rerun: bool
    executed: bool
    failed: bool = False
    drifted: bool = False
    cpu_s: float | None = None
    wall_s: float | None = None
    max_rss_bytes: float | None = None
