from collections.abc import Iterator

import pytest

from ring0.host import Host
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.toolbox import Toolbox


@pytest.fixture(scope="session")
def tools(compiled: bool) -> Iterator[Toolbox]:
    kernels = KernelSet.shipped()
    with Host(base=kernels.cids, compiled=compiled) as host:
        yield Toolbox(kernels, host)
