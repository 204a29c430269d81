"""A probe: one observed act of loading, local or remote, told in the same words."""

import enum
from dataclasses import dataclass

from cid_store.cid import Cid


class Realm(enum.StrEnum):
    """How much of what was asked for is at hand."""

    ILLUMINATED = "illuminated"  # all of it, kept and checked
    PENUMBRA = "penumbra"  # a part; the rest can be had without starting over
    UMBRA = "umbra"  # none of it: it failed, or may not be kept


@dataclass(frozen=True, slots=True)
class Probe:
    """What became of one local or remote load.

    `cid` names what was loaded: of a script its trace, of an address its bytes, in the penumbra
    the part that came; None where nothing may be kept. `exit_code` is the script's own, or what
    `redoxa fetch` ends with. `reason` is one sentence on why it was reused, ran, or may not be
    reused. No credentials stand in any of this.
    """

    target: str
    realm: Realm
    cid: Cid | None
    exit_code: int
    reused: bool
    latency_s: float  # a script's wall time; of an address until its answer began, 0 if not asked
    reason: str
    entry: int | None  # the place in the shadow ledger
    jitter_s: float = 0.0  # how much latencies of neighbours in time differ, on average
    size_bytes: int = 0  # of what `cid` names; of a script 0
    moved_bytes: int = 0  # that came over the network for it
    retries: int = 0
    provenance: tuple[str, ...] = ()  # where it is from, step by step, the last one last
