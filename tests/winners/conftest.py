from collections.abc import Iterator

import pytest

from ring2_orchestrator.toolbox import Toolbox, open_toolbox


@pytest.fixture(scope="session")
def tools() -> Iterator[Toolbox]:
    with open_toolbox() as opened:
        yield opened
