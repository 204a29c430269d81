"""How one run may use the network."""

from typing import Literal, NamedTuple

from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.upstream import Limits


class Policy(NamedTuple):
    """`record`: from the hosts that are granted, taken down; `replay`: from what was taken down."""

    mode: Literal["record", "replay"]
    hosts: Hosts
    limits: Limits = Limits()
