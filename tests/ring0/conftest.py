"""Kernels that ship with Redoxa, read from their folders, and hosts to run them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ring0.host import Host
from ring0.kernel import Kernel

FOLDERS = Path(__file__).parents[2] / "ring1_kernels"


@pytest.fixture(scope="session")
def kernels() -> dict[str, Kernel]:
    found = [Kernel.from_wasm(path.read_bytes()) for path in sorted(FOLDERS.glob("*/*.wasm"))]
    return {kernel.name: kernel for kernel in found}


@pytest.fixture(scope="session")
def host(kernels: dict[str, Kernel], compiled: bool) -> Iterator[Host]:
    """A host that runs every shipped kernel in this process."""
    base = frozenset(kernel.cid for kernel in kernels.values())
    with Host(base=base, compiled=compiled) as one:
        yield one


@pytest.fixture(scope="session")
def foreign() -> Iterator[Host]:
    """A host that knows no kernel, so that each runs in a worker process."""
    with Host() as one:
        yield one
