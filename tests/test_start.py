"""The script that sets a clone up: what a stranger sees when something is in the way."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "start.py"
NO_INDEX = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",  # the discard port: nobody answers
    "PIP_RETRIES": "0",
    "PIP_NO_CACHE_DIR": "1",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with nothing in it but the script and a project to install."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text("[build-system]\nrequires = ['hatchling']\n")
    return tmp_path


def start(checkout: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return subprocess.run(
        [sys.executable, "scripts/start.py", *words],
        cwd=checkout,
        env={**kept, **NO_INDEX, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def without(checkout: Path, *modules: str) -> dict[str, str]:
    """The environment of a Python that lacks those modules."""
    for name in modules:
        (checkout / f"{name}.py").write_text(f"raise ImportError({name!r})\n")
    return {"PYTHONPATH": str(checkout)}


def stamp(checkout: Path, **parts: object) -> None:
    folder = checkout / ".venv"
    folder.mkdir(exist_ok=True)
    (folder / "redoxa-setup.json").write_text(json.dumps(parts))


def test_no_word_shows_the_help(checkout: Path) -> None:
    result = start(checkout)
    assert result.returncode == 0
    assert "scripts/start.py demo" in result.stdout


def test_an_unknown_word_is_one_sentence(checkout: Path) -> None:
    result = start(checkout, "demonstrate")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "redoxa: there is no 'demonstrate' to start; the jobs are demo, test, docs, release, setup "
        "(--help says more)\n"
    )
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("place", "code", "says"),
    [
        (">/dev/full", 5, "redoxa: standard output cannot be written"),
        ("| head -c 0", 141, ""),
        (">&-", 0, ""),  # Python itself is silent then
    ],
)
def test_a_help_that_cannot_be_printed(checkout: Path, place: str, code: int, says: str) -> None:
    line = f"{sys.executable} scripts/start.py --help {place}"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode in (code, 0 if code == 141 else code)
    assert result.stderr.startswith(says)
    assert result.stderr.count("\n") == (1 if says else 0)


def test_a_file_in_the_place_of_the_environment_is_one_sentence(checkout: Path) -> None:
    (checkout / ".venv").write_text("mine")
    result = start(checkout, "setup")
    assert result.returncode == 5
    assert result.stderr.startswith("redoxa: the environment cannot be made (")
    assert result.stderr.count("\n") == 1
    assert (checkout / ".venv").read_text() == "mine"


@pytest.mark.slow
def test_an_index_that_cannot_be_reached_is_one_sentence(checkout: Path) -> None:
    result = start(checkout, "demo")
    assert result.returncode == 5
    assert result.stdout == ""
    sentence = result.stderr.splitlines()[2]
    assert sentence == (
        "redoxa: installing Redoxa and what it needs, once: the package index cannot be reached, "
        "or lacks a package; connect this machine, or name another index or a folder of wheels "
        "with PIP_INDEX_URL or PIP_FIND_LINKS"
    )
    # What was begun is known to be unfinished, so the next start does not trust it.
    begun = json.loads((checkout / ".venv" / "redoxa-setup.json").read_text())
    assert begun["made_here"]
    assert not begun["extras"]


def test_a_python_that_cannot_make_environments_is_told_what_to_install(checkout: Path) -> None:
    lacking = without(checkout, "ensurepip", "virtualenv", "pip")
    result = start(checkout, "demo", **lacking)
    assert result.returncode == 5
    assert "-venv` adds what is missing" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (checkout / ".venv").exists()


@pytest.mark.slow
def test_a_half_made_environment_is_made_anew(checkout: Path) -> None:
    stamp(checkout, made_here=True, root=str(checkout), fingerprint="", extras=[])
    (checkout / ".venv" / "left over").touch()
    result = start(checkout, "demo", **without(checkout, "ensurepip", "virtualenv", "pip"))
    assert "half made or was moved; making it anew" in result.stderr
    assert not (checkout / ".venv").exists()


def test_a_folder_that_is_somebody_elses_is_left_alone(checkout: Path) -> None:
    precious = checkout / ".venv" / "notes.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    result = start(checkout, "demo")
    assert result.returncode == 5
    assert "is in the way" in result.stderr
    assert precious.read_text() == "mine"


def test_a_broken_stamp_is_no_stamp(checkout: Path) -> None:
    stamp(checkout, colour="blue")
    result = start(checkout, "demo")
    assert result.returncode == 5
    assert "is in the way" in result.stderr


@pytest.mark.slow
def test_set_up_is_done_once_and_again_when_the_project_changed(checkout: Path) -> None:
    binaries = checkout / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    (checkout / "demos").mkdir()
    (checkout / "demos" / "twice.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)\n")
    asked = [sys.executable, "-c", "import start; print(start.source_fingerprint(), end='')"]
    fingerprint = subprocess.check_output(asked, cwd=checkout / "scripts", text=True)
    stamp(checkout, made_here=True, root=str(checkout), fingerprint=fingerprint, extras=["plot"])

    at_once = start(checkout, "demo", "--loud")
    assert (at_once.returncode, at_once.stdout, at_once.stderr) == (7, "['--loud']\n", "")

    (checkout / "pyproject.toml").write_text("[build-system]\nrequires = ['flit-core']\n")
    anew = start(checkout, "demo")
    assert anew.returncode == 5  # it installs, and cannot without an index
    assert "installing Redoxa" in anew.stderr


# A project whose build asks for a compiler, as ours does where none is installed.
ASKING = """
import os, zipfile

def get_requires_for_build_editable(config_settings=None):
    return [] if os.environ.get("REDOXA_BUILD") == "python" else ["ziglang==0.17.1"]

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "asking-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        about = "Metadata-Version: 2.1\\nName: asking\\nVersion: 1\\n"
        wheel.writestr("asking-1.dist-info/METADATA", about)
        wheel.writestr("asking-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("asking-1.dist-info/RECORD", "")
        wheel.writestr("installed.py", "")
    return name
"""


@pytest.mark.slow
def test_without_any_compiler_all_but_the_recorder_is_set_up(checkout: Path) -> None:
    (checkout / "asking.py").write_text(ASKING)
    (checkout / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'asking'\nbackend-path = ['.']\n"
    )
    (checkout / "demos").mkdir()
    (checkout / "demos" / "twice.py").write_text("print('here')\n")
    (checkout / "redoxa").mkdir()
    (checkout / "redoxa" / "__init__.py").write_text("")
    # A false PIP_NO_COMPILE is how pip is told not to compile.
    settings = {"PYTHONDONTWRITEBYTECODE": "1", "PIP_NO_COMPILE": "0"}
    result = start(checkout, "demo", **settings)
    assert (result.returncode, result.stdout) == (0, "here\n"), result.stderr
    assert "going on without the recorder" in result.stderr
    # What was installed and what lies here starts from bytecode, whatever else was asked for.
    installed = next((checkout / ".venv").glob("lib/*/site-packages"))
    assert list(installed.glob("__pycache__/installed.*.pyc"))
    assert list((checkout / "redoxa").glob("__pycache__/*.pyc"))


def test_whatever_is_compiled_is_compiled_again_when_it_changes() -> None:
    sources = runpy.run_path(str(SCRIPT))["SOURCES"]
    root = SCRIPT.parent.parent
    watched = {path for pattern in sources for path in root.glob(pattern)}
    built = {
        path
        for package in (
            "ring0/host/trampoline",
            "ring2_orchestrator/recorder",
            "ring2_orchestrator/shortcuts",
        )
        for pattern in ("**/*.[ch]", "**/compile.py")
        for path in (root / package).glob(pattern)
    }
    assert len(built) > 10
    assert built <= watched


def test_a_newer_python_is_asked_for_in_one_sentence() -> None:
    source = SCRIPT.read_text("utf-8")
    before, _, after = source.partition("if sys.version_info < (3, 11):")
    assert "import hashlib" not in before, "an older Python must not get as far as its imports"
    check = before + "if True:" + after.partition("\nimport hashlib")[0]
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "Redoxa needs 3.11 or newer" in result.stderr
