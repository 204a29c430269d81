"""Every call of the system fails once, whoever makes it: a program that is run under `failing.c`.

Started as `python -m tests.faults.failing FOLDER HOW FIRST STEP` with that preloaded; says of every
round, in one JSON value a line, which call failed, what was refused and what was broken by it.
"""

import ctypes
import errno
import gc
import itertools
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cid_store.errors import RedoxaError
from tests.faults.promises import Promises, Tally
from tests.faults.stopped import remove_index
from tests.faults.work import ROUNDS, Say, ToyHome, Work

# As in failing.c: what happens to the call, the error it answers with, whether reads are left out.
_ONCE, _SHORT, _TORN, _EVER = range(4)
FAILURES = {
    "EIO": (_ONCE, errno.EIO, False),
    "EINTR": (_ONCE, errno.EINTR, False),
    "short": (_SHORT, errno.EIO, False),  # less is moved than was asked for, which is no error
    "torn": (_TORN, errno.EIO, True),  # and then the error
    "ENOSPC": (_ONCE, errno.ENOSPC, True),
    "full": (_EVER, errno.ENOSPC, True),  # from there on nothing can be written
}


class Failing:
    """The preloaded library."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._arm = library.failing_arm
        self._arm.argtypes = [ctypes.c_char_p, ctypes.c_long, *[ctypes.c_int] * 3]
        self._disarm = library.failing_disarm
        self._disarm.restype = ctypes.c_long
        self._name = library.failing_name
        self._name.restype = ctypes.c_char_p

    def arm(self, folder: Path, at: int, how: str) -> None:
        """From here on calls on files below the folder are counted, and one fails."""
        self._arm(os.fsencode(folder), at, *FAILURES[how])

    def disarm(self) -> str | None:
        """The name of the call that failed; None where there were too few calls."""
        return None if self._disarm() > 0 else self._name().decode()


class Round(NamedTuple):
    """What came of letting one call fail."""

    call: str | None
    refusals: list[str]
    broken: list[str]


def two_passes(path: Path, say: Say) -> None:
    """Every act twice, the second time on what the first has left."""
    for again in range(2):
        with suppress(RedoxaError), ToyHome(path) as home:
            work = Work(home, say, "0", small=True)
            for step in work.steps():
                work.attempt(step, again * ROUNDS)


def warm_up(path: Path) -> None:
    """Do once what every round does: what that loads and computes, children need not again."""
    two_passes(path, lambda *_words: None)
    shutil.rmtree(path)
    gc.freeze()  # a child's collector of cycles need not look at it either


def work_in_child(failing: Failing, path: Path, said: Path, how: str, at: int) -> None:
    """Two passes over every act in another process, one of its calls failing."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        assert status == 0, f"the child of round {at} ended with status {status}"
        return
    code = 1
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

        def say(*words: object) -> None:
            os.write(out, (" ".join(map(str, words)) + "\n").encode())

        path.mkdir()
        failing.arm(path, at, how)
        two_passes(path, say)
        say("failed", failing.disarm() or "")
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def sweep(folder: Path, how: str, first: int, step: int) -> Iterator[Round]:
    """One round for every call, until there are no more calls to fail."""
    failing = Failing()
    warm_up(folder / "first")
    for at in itertools.count(first, step):
        path, said = folder / f"{at}", folder / "said"
        work_in_child(failing, path, said, how, at)
        lines = said.read_bytes().splitlines(keepends=True)
        *_, call = lines[-1].decode().strip("\n").split(" ")
        tally = Tally()
        promises = Promises(tally)
        promises.hear(lines)
        promises.compare(path)
        if not tally.broken:
            promises.go_on(path)
            remove_index(path)
            promises.compare(path)
        shutil.rmtree(path)
        yield Round(call or None, promises.refusals, tally.broken)
        if not call:
            return


if __name__ == "__main__":
    for done in sweep(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])):
        sys.stdout.write(json.dumps(done) + "\n")
        sys.stdout.flush()
