"""A winner: the plan that a search ended with, and what it was chosen for. Pure: nodes in and out.

docs/formats/ledger.md gives the node.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cid_store.cid import Cid
from cid_store.encoding import Node
from cid_store.errors import InputError
from ring0.manifest import Manifest
from ring0.plan import Plan
from ring0.signature import check_types
from ring2_orchestrator.planner import SEARCH
from ring2_orchestrator.winners.features import COUNT

VERSION = 1
_DIGEST_BYTES = 32
_MOST_BYTES = 1 << 62
_MOST_NAME = 256


class MalformedWinnerError(InputError):
    """A node that is not one winner, or whose plan does not fit the kernels."""


@dataclass(frozen=True, slots=True)
class Winner:
    """A plan that won, of what data, and how well it did.

    `under` says which kernels and genes and which profile it won under. `here` is what the sample
    takes under the plan and `estimated` what a view of its lanes was estimated to take, so what
    the plan gains can be compared with what is gained on other data. `of` is the name of the
    original and `container_bytes` its container's length where all of it is packed under this plan
    alone; elsewhere both are None.
    """

    under: bytes
    gene: str
    plan: Plan
    features: bytes
    here: int
    estimated: int
    of: Cid | None = None
    container_bytes: int | None = None
    is_part: bool = False

    @property
    def is_search(self) -> bool:
        """Whether it came from no gene."""
        return self.gene == SEARCH

    def to_node(self) -> dict[str, Node]:
        """The winner as one entry of a ledger's batch."""
        return {
            "v": VERSION,
            "under": self.under,
            "gene": self.gene,
            "plan": self.plan.to_node(),
            "features": self.features,
            "here": self.here,
            "estimated": self.estimated,
            # As text: the ledger keeps nothing alive that it only tells of.
            "of": None if self.of is None else str(self.of),
            "container_bytes": self.container_bytes,
            "part": self.is_part,
        }

    @classmethod
    def from_node(cls, node: Node, manifests: Mapping[Cid, Manifest]) -> "Winner":
        """The winner of this entry. Raises MalformedWinnerError unless its plan can run."""
        match node:
            case {
                "v": 1,
                "under": bytes(under),
                "gene": str(gene),
                "plan": dict(plan),
                "features": bytes(features),
                "here": int(here),
                "estimated": int(estimated),
                "of": str() | None as of,
                "container_bytes": int() | None as container_bytes,
                "part": bool(part),
            } if len(node) == 10:
                pass
            case _:
                raise MalformedWinnerError(f"not a winner of version {VERSION}")
        sizes = (here, estimated, *([] if container_bytes is None else [container_bytes]))
        if (
            len(under) != _DIGEST_BYTES
            or len(features) != COUNT
            or len(gene) > _MOST_NAME
            or not all(0 < size <= _MOST_BYTES for size in sizes)
            or (of is None) != (container_bytes is None)
        ):
            raise MalformedWinnerError("a winner with values that no search gives")
        checked = _checked(Plan.from_node(plan), manifests)
        name = None if of is None else Cid.parse(of)
        return cls(under, gene, checked, features, here, estimated, name, container_bytes, part)


def _checked(plan: Plan, manifests: Mapping[Cid, Manifest]) -> Plan:
    if not plan.steps or any(cid not in manifests for cid in plan.kernels):
        raise MalformedWinnerError("a winner whose plan has no steps, or other kernels than these")
    check_types(plan, manifests)
    return plan
