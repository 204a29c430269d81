"""What a collection of garbage came to."""

from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.tiers import Books


class GcReport(NamedTuple):
    """What a collection did, or with `dry_run` would do."""

    kept: int  # objects that stay, needed or young
    kept_bytes: int
    dropped: int
    dropped_bytes: int
    young: int  # objects that nothing leads to, and that the grace period keeps
    young_bytes: int
    spared: int  # the same in packs that are mostly needed
    spared_bytes: int
    packs: tuple[int, ...]  # the packs that go
    moved_bytes: int  # what was copied out of them
    freed_bytes: int  # what the disk gets back
    forgotten: Books  # the objects that went, as the index had them; a dry run forgets none
    lost: tuple[Cid, ...]  # needed, and not there or not readable
    notes: tuple[str, ...]
