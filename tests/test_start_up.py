"""What a short command does not load: start-up is most of what it costs, and nobody waits for more.

No clock is asked. Python itself says which modules a process loaded.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.commands import COMMANDS

# Of the standard library: what costs milliseconds and is not needed to look something up.
HEAVY = {
    "asyncio", "ctypes", "email", "importlib.metadata", "json", "logging", "multiprocessing",
    "random", "secrets", "shutil", "socket", "ssl", "subprocess", "tempfile", "unittest",
}  # fmt: skip
OUTSIDE = {"cffi", "cryptography", "lark", "numpy", "rich", "wasmtime"}
STORE = {"blake3", "cid_store.local", "msgpack", "sqlite3"}
# What makes a class with generated methods compiles them at every start, a millisecond each.
GENERATING = {"dataclasses", "inspect"}
RECORDING = {
    "ring2_orchestrator.recorder.binary",
    "ring2_orchestrator.recorder.event",
    "ring2_orchestrator.recorder.record",
    "ring2_orchestrator.runs.fold",
    "ring2_orchestrator.runs.inputs",
    "ring2_orchestrator.runs.keeping",
    "ring2_orchestrator.runs.observe",
    "ring2_orchestrator.runs.outputs",
    "ring2_orchestrator.runs.scratch",
}
EXAMINING = {"cid_store.verify", "ring2_orchestrator.ledger.audit"}


def start(home: Path, *words: str) -> tuple[set[str], str]:
    """The modules that a command line loaded, and what it said to the person."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "redoxa", "--home", str(home), *words],
        capture_output=True,
        cwd=home.parent,
        # The test's own interpreter may be one that was told to load more.
        env={key: os.environ[key] for key in os.environ if not key.startswith(("COV_", "PYTEST_"))},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=120,
        check=True,
    )
    lines = done.stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "argparse" in loaded, "the list of modules is there"
    return loaded, "\n".join(line for line in lines if not line.startswith("import time:"))


def names_in(loaded: set[str], unwanted: set[str]) -> set[str]:
    """What was loaded of these packages and modules."""
    return {
        name for name in loaded if any(name == at or name.startswith(f"{at}.") for at in unwanted)
    }


def test_a_reused_run_loads_nothing_that_only_recording_needs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "work.py").write_text("print(len(open(__file__).read()))\n")
    command = ("run", "--", sys.executable, "work.py")
    loaded, said = start(home, *command)
    assert "recorded" in said
    assert loaded >= RECORDING, "these names are those of the modules that record"
    loaded, said = start(home, *command)
    assert "reused" in said
    unwanted = (
        HEAVY
        | OUTSIDE
        | GENERATING
        | RECORDING
        | EXAMINING
        | {"ring0", "ring2_orchestrator.runs.restore"}
    )
    assert not names_in(loaded, unwanted)


def test_what_was_removed_is_put_back_without_what_records(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "work.py").write_text("open('made.txt', 'w').write('made')\n")
    command = ("run", "--", sys.executable, "work.py")
    assert "recorded" in start(home, *command)[1]
    (tmp_path / "made.txt").unlink()
    loaded, said = start(home, *command)
    assert "restored" in said
    assert (tmp_path / "made.txt").read_text() == "made"
    assert not names_in(loaded, HEAVY | OUTSIDE | GENERATING | RECORDING | EXAMINING)


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_the_help_loads_no_command(tmp_path: Path, words: tuple[str, ...]) -> None:
    loaded, _ = start(tmp_path / "home", *words)
    commands = {f"ring2_orchestrator.commands.{name}" for name in COMMANDS}
    assert not names_in(loaded, HEAVY | OUTSIDE | STORE | commands | GENERATING)


def test_the_status_loads_neither_what_runs_nor_what_examines(tmp_path: Path) -> None:
    loaded, _ = start(tmp_path / "home", "jit", "status")
    unwanted = HEAVY | OUTSIDE | GENERATING | RECORDING | EXAMINING
    assert not names_in(loaded, unwanted | {"ring0", "ring2_orchestrator.runs"})
