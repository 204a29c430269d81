"""Garbage collected as it is asked for, and what is said where the disk has no room left."""

from cid_store.collect import Collector, Progress, Starts
from cid_store.errors import UnavailableError, is_full
from cid_store.gc_report import GcReport
from cid_store.keeper import Keeper
from cid_store.reading import Reader


def collect(
    keeper: Keeper,
    reader: Reader,
    *,
    starts: Starts,
    grace_s: float,
    dry_run: bool,
    progress: Progress | None,
) -> GcReport:
    """Drop what neither roots nor `starts` lead to, unless it is younger than the grace period."""
    if not dry_run:
        keeper.check_writable()
    try:
        return Collector(keeper, reader, starts, grace_s).run(dry_run=dry_run, progress=progress)
    except UnavailableError as error:
        if not is_full(error):
            raise
        raise UnavailableError(
            f"the disk of {keeper.path} is full, and a collection of garbage must write a little "
            "before it gives anything back: delete or move some other file there, of a few "
            "megabytes, and collect again"
        ) from error
