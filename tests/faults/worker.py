"""Work on a home without end, in four threads: a program that is made to be stopped.

Started as `python -m tests.faults.worker HOME NAME SEED [nosync]`; says on standard output what it
was promised, a line at a time, each after the nanosecond of the system's clock when it was said.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from cid_store.errors import RedoxaError
from tests.faults.work import ROUNDS, ToyHome, Work


def say(*words: object) -> None:
    """One line, in one write: threads never mix theirs. When it is said comes first."""
    os.write(1, (" ".join(map(str, (time.monotonic_ns(), *words))) + "\n").encode())


def repeat(work: Work, acts: list[Callable[[int], None]], seed: int) -> None:
    """Until something is refused, or for ever."""
    for at in range(seed, seed + ROUNDS):
        if not all(work.attempt(act, at) for act in acts):
            return


def main(path: str, name: str, seed: int) -> None:
    """Open the home once and let four threads at it."""
    try:
        home = ToyHome(Path(path))
        home.ledger.head()  # opened before the threads ask for it
    except RedoxaError as error:  # right only if the disk is gone, which whoever listens knows
        say("unopened", str(error).replace("\n", " "))
        return
    say("open")
    one, other, third, fourth = (Work(home, say, f"{name}.{at}") for at in range(4))
    chores = [
        (one, [one.puts, one.batch, one.unbind]),
        (other, [other.puts, other.stream, other.batch]),
        (third, [third.entries, third.demote, third.promote]),
        (fourth, [fourth.collect]),
    ]
    threads = [
        threading.Thread(target=repeat, args=(work, acts, seed * ROUNDS)) for work, acts in chores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    if sys.argv[4:] == ["nosync"]:
        os.fdatasync = os.fsync = os.fstat  # takes a file, and waits for nothing
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
