"""Containers that a command looks into without unpacking them."""

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ring2_orchestrator.commands._files import open_input

if TYPE_CHECKING:
    from cid_store.cid import Cid
    from ring0.manifest import Manifest
    from ring2_orchestrator.container import Container


def add_container(parser: argparse.ArgumentParser) -> None:
    """The argument of a command that looks into one container."""
    parser.add_argument(
        "file", type=Path, metavar="IN.rdx", help="the container; '-' is standard input"
    )


@contextmanager
def looked_into(path: Path) -> Generator[tuple["Container", int]]:
    """The container, its header and the sizes of its parts checked, and how long it is."""
    from ring2_orchestrator.container import Container  # noqa: PLC0415 - start-up
    from ring2_orchestrator.toolbox import open_toolbox  # noqa: PLC0415 - start-up

    with open_input(path) as source, open_toolbox() as tools:
        container = Container(source, tools.kernels, allow_foreign=True)  # it runs none
        container.check_end()
        yield container, source.size


def manifests_of(container: "Container") -> "dict[Cid, Manifest]":
    """What the kernels of the container's plans say of themselves, by their names."""
    kernels = [container.kernels.by_cid(cid) for cid in container.header.kernels]
    return {kernel.cid: kernel.manifest for kernel in kernels if kernel is not None}
