"""`kernel bench` in processes of its own: native code that nobody examined may crash, or never end.

    python -m ring2_orchestrator.kernel_bench MODULE LIBRARY CHOICE SECONDS

times one choice of `kernel_speed.every_choice` and writes what came of it as one JSON object, with
so much processor time and a limit on memory. Both are for mistakes: native code is in no sandbox.
"""

import json
import resource
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from cid_store.errors import InputError, RedoxaError
from ring0.boundary import MIB
from ring0.host.engine import Engine, Stopped
from ring0.host.library import find
from ring0.kernel import Kernel
from ring2_orchestrator import kernel_speed
from ring2_orchestrator.kernel_speed import DifferentBytesError, Timed

# The slowest call of a kernel that ships takes 2.3 seconds of processor time on a busy machine.
_CALL_S = 5
# Each way: two for the bounds, four whose answers are compared, and two with which timing may end.
_CALLS = 8
# Of processor time, which does not depend on what else the machine does.
DEADLINE_S = 2 * (int(kernel_speed.LONGEST_S) + _CALLS * _CALL_S)
# Only for what does not use the processor at all: on a machine that busy, nothing is timed.
_WAITING_TIMES = 10

# A memory and the answers before and after, on either side; and what the engine takes to compile.
MEMORY_BYTES = 2 * 3 * kernel_speed.ROOM + 256 * MIB


def time_all(kernel: Kernel, library: Path, *, deadline_s: int = DEADLINE_S) -> list[Timed]:
    """Every choice, each in a new process. Raises InputError where one crashes or does not end.

    `deadline_s` is of processor time, for each.
    """
    module = library.with_name("module.wasm")
    module.write_bytes(kernel.wasm)
    count = len(kernel_speed.every_choice(kernel))
    return [_time_apart(kernel.name, module, library, at, deadline_s) for at in range(count)]


def _time_apart(name: str, module: Path, library: Path, at: int, deadline_s: int) -> Timed:
    words = [str(module), str(library), str(at), str(deadline_s)]
    wall_s = _WAITING_TIMES * deadline_s
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __spec__.name, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=wall_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{name} was not timed: it did not come to an end within {wall_s} seconds"
        ) from error
    if done.returncode == -signal.SIGXCPU:
        raise InputError(
            f"{name} was not timed: it did not come to an end within {deadline_s} seconds of "
            "processor time"
        )
    if done.returncode < 0:
        ending = signal.Signals(-done.returncode).name
        raise InputError(f"{name} was not timed: its native code crashed ({ending})")
    try:
        said = json.loads(done.stdout)
    except ValueError as error:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        last = words[-1] if words else f"code {done.returncode}"
        raise InputError(f"{name} was not timed: its process failed ({last})") from error
    if "differs" in said:
        raise DifferentBytesError(said["differs"])
    if "trouble" in said:
        raise InputError(said["trouble"])
    return Timed(**said)


def _limit(deadline_s: int) -> None:
    """So much processor time for this process, and no more memory than timing needs."""
    has_bytes = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * resource.getpagesize()
    for what, limit in (
        (resource.RLIMIT_CPU, deadline_s),
        (resource.RLIMIT_DATA, has_bytes + MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (least, hard))


def _main(module: str, library: str, at: str, deadline_s: str) -> None:
    _limit(int(deadline_s))
    kernel = Kernel.from_wasm(Path(module).read_bytes())
    said: dict[str, object]
    try:
        engine = Engine(find(), metered=False, canonical_nan=False)
        sides = kernel_speed.sandbox(engine, kernel), kernel_speed.loaded(Path(library))
        choice = kernel_speed.every_choice(kernel)[int(at)]
        said = asdict(kernel_speed.measure(kernel, sides, choice))
    except DifferentBytesError as error:
        said = {"differs": str(error)}
    except RedoxaError as error:
        said = {"trouble": str(error)}
    except Stopped as stopped:
        said = {"trouble": f"{kernel.name} was not timed: the sandbox stopped it ({stopped})"}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    _main(*sys.argv[1:])
