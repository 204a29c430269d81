"""What a short command does not load: start-up is most of what it costs, and nobody waits for more.

No clock is asked. Python itself says which modules a process loaded.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.commands import COMMANDS, build_parser
from ring2_orchestrator.commands.run import asked_in
from ring2_orchestrator.runs.asked import Asked

ROOT = Path(__file__).resolve().parents[1]

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


def imported(program: str) -> set[str]:
    """The modules that a program of Python's has loaded at its end."""
    text = f"{program}\nimport sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", text], text=True).split())


def test_importing_redoxa_loads_next_to_nothing() -> None:
    with_it, without = imported("import redoxa"), imported("")
    assert with_it - without == {"redoxa"}


def test_a_name_of_redoxa_loads_what_it_is_and_no_engine() -> None:
    engine = {"cffi", "numpy", "wasmtime", "ring0", "sqlite3"}
    assert not names_in(imported("from redoxa import Cid, InputError, Probe, Realm"), engine)
    # The engine itself waits until a kernel is called.
    assert not names_in(imported("from redoxa import VM; VM"), {"cffi", "wasmtime", "rich"})


@pytest.mark.parametrize("words", [("",), ("pack", "--pro"), ("run", "--", "ma"), ("gene", "")])
def test_a_tab_loads_no_more_than_it_must(tmp_path: Path, words: tuple[str, ...]) -> None:
    loaded, _ = start(tmp_path / "home", "completion", "answer", "--", *words)
    heavy = HEAVY - {"shutil", "tempfile", "random"}  # which the files of `pack` need
    assert not names_in(loaded, heavy | OUTSIDE | STORE | RECORDING | {"ring0"})


def test_the_status_loads_neither_what_runs_nor_what_examines(tmp_path: Path) -> None:
    loaded, _ = start(tmp_path / "home", "jit", "status")
    unwanted = HEAVY | OUTSIDE | GENERATING | RECORDING | EXAMINING
    assert not names_in(loaded, unwanted | {"ring0", "ring2_orchestrator.runs"})


COMPILED = re.compile(
    r"# code object from '?([^'\n]*/(?:ring2_orchestrator|cid_store)/[^'\n]*)\.py\b"
)


def compiled(tmp_path: Path, **more: str) -> set[str]:
    """Our modules of which a start found no bytecode to use, where none may lie beside them."""
    done = subprocess.run(
        [sys.executable, "-v", "-m", "redoxa", "--home", str(tmp_path / "home"), "log"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "caches"), **more},
        text=True,
        timeout=120,
        check=True,
    )
    names = {name.rpartition("/")[2] for name in COMPILED.findall(done.stderr)}
    return names - {"ask", "caches", "__init__"}


@pytest.fixture
def copied(tmp_path: Path) -> dict[str, str]:
    """Variables under which Redoxa is imported from a copy that has no bytecode yet."""
    for name in ("redoxa", "cid_store", "ring0", "ring2_orchestrator"):
        shutil.copytree(
            ROOT / name, tmp_path / "copy" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return {"PYTHONPATH": str(tmp_path / "copy"), "PYTHONDONTWRITEBYTECODE": "1"}


def test_bytecode_that_may_not_lie_beside_the_modules_is_kept(
    tmp_path: Path, copied: dict[str, str]
) -> None:
    assert {"log", "home", "report"} <= compiled(tmp_path, **copied)
    assert compiled(tmp_path, **copied) == set()
    assert not list((tmp_path / "copy").rglob("*.pyc"))
    report = tmp_path / "copy" / "ring2_orchestrator" / "report.py"
    report.write_text(report.read_text() + "\n# changed\n")
    assert compiled(tmp_path, **copied) == {"report"}


def test_bytecode_is_not_taken_from_where_others_could_have_put_it(
    tmp_path: Path, copied: dict[str, str]
) -> None:
    folder = tmp_path / "caches" / "redoxa" / "bytecode"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert "report" in compiled(tmp_path, **copied)
    assert list(folder.iterdir()) == []
    assert "report" in compiled(tmp_path, **copied)


def test_a_wrappers_words_mean_what_the_parsed_ones_do() -> None:
    parser = build_parser(only="run")
    assert asked_in(parser.parse_args(["run", "--compiler", "--", "cc"])) == Asked(compiler=True)
