"""Another process, which edits files when it is told to, while a run goes on."""

import multiprocessing
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from tests.runs.model.edits import Edit


class Meddler:
    """Does one edit at a time."""

    def __init__(self, orders: "Connection") -> None:
        self._orders = orders

    def order(self, delay_s: float, project: Path, edit: Edit) -> None:
        """Have the edit done after so long."""
        self._orders.send((delay_s, project, edit))

    def wait(self) -> None:
        """Until the edit has been done."""
        self._orders.recv()


@contextmanager
def meddler() -> Generator[Meddler]:
    """A process of its own, which ends with the context."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_obey, args=(theirs,))
    process.start()
    try:
        yield Meddler(ours)
    finally:
        ours.send(None)
        process.join()
        ours.close()
        theirs.close()


def _obey(orders: "Connection") -> None:
    while (order := orders.recv()) is not None:
        delay_s, project, edit = order
        time.sleep(delay_s)
        edit(project)
        orders.send(None)
