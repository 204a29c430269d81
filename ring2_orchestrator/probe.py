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

    `cid` names the trace of what was loaded, None where nothing may be kept; `latency_s` is wall
    time; `reason` is one sentence on why it was reused, ran, or may not be reused.
    """

    target: str
    realm: Realm
    cid: Cid | None
    exit_code: int
    reused: bool
    latency_s: float
    reason: str
    entry: int | None  # the place in the shadow ledger
