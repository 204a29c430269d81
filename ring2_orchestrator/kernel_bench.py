"""`kernel bench` in processes of its own: native code that nobody examined may crash, or never end.

    python -m ring2_orchestrator.kernel_bench MODULE LIBRARY CHOICE

times one choice of `kernel_speed.every_choice` and writes what came of it as one JSON object.
"""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from cid_store.errors import InputError, RedoxaError
from ring0.host.engine import Engine, Stopped
from ring0.host.library import find
from ring0.kernel import Kernel
from ring2_orchestrator import kernel_speed
from ring2_orchestrator.kernel_speed import DifferentBytesError, Timed

# The slowest kernels that ship take some twenty seconds for a choice on a busy machine.
DEADLINE_S = 120.0


def time_all(kernel: Kernel, library: Path, *, deadline_s: float = DEADLINE_S) -> list[Timed]:
    """Every choice, each in a new process. Raises InputError where one crashes or does not end."""
    module = library.with_name("module.wasm")
    module.write_bytes(kernel.wasm)
    count = len(kernel_speed.every_choice(kernel))
    return [_time_apart(kernel.name, module, library, at, deadline_s) for at in range(count)]


def _time_apart(name: str, module: Path, library: Path, at: int, deadline_s: float) -> Timed:
    command = [sys.executable, "-P", "-m", __spec__.name, str(module), str(library), str(at)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{name} was not timed: it did not come to an end within {deadline_s:g} seconds"
        ) from error
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


def _main(module: str, library: str, at: str) -> None:
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
