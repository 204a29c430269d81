"""Set this checkout up, then start one thing in it. Needs Python 3.11 or newer and nothing else.

    python3 scripts/start.py demo             run the demo twice: recorded, then reused
    python3 scripts/start.py test [ARGS]      run the tests; ARGS go to pytest
    python3 scripts/start.py docs             make the documentation site in build/site
    python3 scripts/start.py release [ARGS]   make a release and try it; nothing is uploaded
    python3 scripts/start.py setup            make the environment, with all that commands may need

The environment is `.venv` in the checkout. It is made once, mended when `pyproject.toml` changes,
and made again when a set-up was interrupted or the checkout moved. Progress goes to stderr.
"""

import sys

# Ahead of all else: an older Python parses this file, but could not evaluate its annotations.
if sys.version_info < (3, 11):  # noqa: UP036 - an older Python gets a sentence, not a traceback
    sys.exit(
        "redoxa: this is Python {}.{} and Redoxa needs 3.11 or newer; start this script with a "
        "newer one, for example: python3.11 scripts/start.py demo".format(*sys.version_info)
    )

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "redoxa-setup.json"
LOG = VENV / "redoxa-setup.log"

# What an editable installation depends on besides the index: change one, and it is done again.
SOURCES = (
    "pyproject.toml",
    "hatch_build.py",
    "ring2_orchestrator/recorder/compile.py",
    "ring2_orchestrator/recorder/trace/*.[ch]",
    "ring2_orchestrator/shortcuts/front/*.[ch]",
    "ring0/host/trampoline/*.[ch]",
    "ring0/host/trampoline/compile.py",
)
PACKAGES = ("redoxa", "cid_store", "ring0", "ring2_orchestrator")

# A person's own settings that would make pip install somewhere else.
DIVERTING = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")
# How pip says that nobody answered; the last one when it was told not to retry.
UNREACHABLE = ("NewConnectionError", "NameResolutionError", "TimeoutError", "from versions: none")
# How pip says that the index lacks the one that the build asks for where none is installed.
NO_COMPILER = "No matching distribution found for ziglang"

JOBS = {
    "demo": ("plot", ["demos/twice.py"]),
    # On all cores; `-n 0` among ARGS puts one test after another into this process.
    "test": ("test", ["-m", "pytest", "-n", "auto", "--dist", "worksteal"]),
    "docs": ("docs", ["-m", "mkdocs", "build", "--strict"]),
    "release": ("release", ["scripts/release.py"]),
    "setup": ("all", ["-m", "redoxa", "--version"]),
}


class SetupError(Exception):
    """The environment cannot be made; the text says why and what to do."""


@dataclass(frozen=True)
class Stamp:
    """How far the set-up of `.venv` is. No extras and made here: it was interrupted."""

    made_here: bool = False
    root: str = ""
    fingerprint: str = ""
    extras: tuple[str, ...] = ()


def main(words: Sequence[str]) -> int:
    """Do one job and give its exit code; 2 for a wrong command line, 5 when set-up fails."""
    asked = words[0] if words else "--help"
    if asked not in JOBS:
        helping = asked in ("-h", "--help")
        return show_help() if helping else wrong_word(asked)
    extra, command = JOBS[asked]
    try:
        with one_at_a_time():
            prepare(extra)
    except SetupError as error:
        say(str(error))
        return 5
    except OSError as error:
        say(f"the environment cannot be made ({error}); see to that path, and start again")
        return 5
    except KeyboardInterrupt:
        say("interrupted; the next start makes the environment anew")
        return 130
    return become([*command, *words[1:]])


def wrong_word(asked: str) -> int:
    """Say what can be typed instead; the exit code of a wrong command line."""
    say(f"there is no {asked!r} to start; the jobs are {', '.join(JOBS)} (--help says more)")
    return 2


def show_help() -> int:
    """Print the help; the exit code says whether it arrived."""
    try:
        print(__doc__, flush=True)
    except OSError as error:
        # The interpreter must not try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            return 141  # the reader went away (`| head`)
        say(f"standard output cannot be written ({error.strerror}); send it somewhere else")
        return 5
    return 0


def become(command: Sequence[str]) -> NoReturn:
    """Go on as that Python command, so that exit code, signals and last line are its own."""
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), *command])  # noqa: S606 - no shell is wanted


def prepare(extra: str) -> None:
    """Leave `.venv` holding this checkout, editable, with the packages of that extra."""
    stamp = read_stamp()
    if stamp.made_here and not (stamp.extras and stamp.root == str(ROOT) and PYTHON.exists()):
        say("the environment in .venv is half made or was moved; making it anew")
        shutil.rmtree(VENV)
        stamp = Stamp()
    if not PYTHON.exists():
        stamp = make_environment()
    fingerprint = source_fingerprint()
    if stamp.fingerprint == fingerprint and serves(stamp.extras, extra):
        return
    extras = tuple(sorted({*stamp.extras, extra}))
    # Until this is done the stamp names no extras, so that an interruption is seen next time.
    write_stamp(replace(stamp, extras=()))
    install(extras)
    warm_caches()
    write_stamp(replace(stamp, root=str(ROOT), fingerprint=fingerprint, extras=extras))


def serves(installed: Sequence[str], extra: str) -> bool:
    """Whether an environment with these extras does for a job that asks for that one."""
    # "test" names everything; "all" what the demo draws with, too.
    return extra in installed or "test" in installed or (extra == "plot" and "all" in installed)


def make_environment() -> Stamp:
    """An empty environment in `.venv`, by whichever tool this Python has."""
    if VENV.exists() and any(VENV.iterdir()):
        raise SetupError(
            f"the folder {VENV} is in the way: it is not a Python environment and was not made "
            "by this script; move it away and start again"
        )
    VENV.mkdir(exist_ok=True)
    stamp = Stamp(made_here=True, root=str(ROOT))
    write_stamp(stamp)
    if can_import("ensurepip") and can_import("venv"):
        how = ["-m", "venv"]
    elif can_import("virtualenv"):
        how = ["-m", "virtualenv", "--quiet"]
    elif can_import("pip") and can_import("venv"):
        how = ["-m", "venv", "--without-pip"]  # this Python's own pip installs into it
    else:
        shutil.rmtree(VENV)
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise SetupError(
            f"{sys.executable} comes without ensurepip, virtualenv and pip, so it cannot make an "
            f"environment; on Debian and Ubuntu `sudo apt install python{version}-venv` adds what "
            "is missing, elsewhere `python3 -m pip install virtualenv`"
        )
    run_quietly([sys.executable, *how, str(VENV)], "making the environment in .venv")
    return stamp


def install(extras: Sequence[str]) -> None:
    """This checkout and what those extras name, from the package index pip is set up for."""
    if has_module(PYTHON, "pip"):
        pip = [str(PYTHON), "-m", "pip"]
    elif can_import("pip"):
        pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    else:
        raise SetupError(f"{VENV} has no pip; move it away and start again to have it made anew")
    # Said, because a person may have told pip, or every Python, to leave no bytecode; without it
    # each start would compile what it imports once more.
    words = ["install", "--no-input", "--disable-pip-version-check", "--compile"]
    command = [*pip, *words, "--editable", f"{ROOT}[{','.join(extras)}]"]
    what = "installing Redoxa and what it needs, once"
    try:
        run_quietly(command, what)
    except SetupError:
        if NO_COMPILER not in LOG.read_text("utf-8", "replace"):
            raise
        say(
            "there is no C compiler, here or on the package index; going on without the recorder, "
            "which builds itself at its first use once there is one"
        )
        run_quietly(command, what, REDOXA_BUILD="python")


def warm_caches() -> None:
    """Compile what the first run would, so that no run is slower for being the first.

    It is done here also for whoever set PYTHONDONTWRITEBYTECODE, whose every run would compile.
    """
    folders = [str(ROOT / name) for name in PACKAGES]
    run_quietly([str(PYTHON), "-m", "compileall", "-q", *folders], "compiling")


def run_quietly(command: list[str], what: str, **settings: str) -> None:
    """Run a step of the set-up; only a failure shows what it printed."""
    kept = {name: os.environ[name] for name in os.environ if name not in DIVERTING}
    environment = {**kept, **settings}
    environment.setdefault("PIP_RETRIES", "2")  # pip's own five keep an offline person waiting
    with LOG.open("wb") as log:
        step = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
        )
        try:
            wait_visibly(step, what)
        except BaseException:
            step.terminate()
            step.wait()
            raise
    if step.returncode != 0:
        raise SetupError(failure_text(what, LOG.read_text("utf-8", "replace")))


def wait_visibly(step: "subprocess.Popen[bytes]", what: str) -> None:
    """Wait for a step; on a terminal the seconds are counted on one line."""
    started = time.monotonic()
    counting = sys.stderr.isatty()
    if not counting:
        say(what)
    while True:
        try:
            step.wait(0.5 if counting else None)
            break
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - started
            print(f"\r\033[Kredoxa: {what} … {seconds:.0f} s", end="", file=sys.stderr, flush=True)
    if counting:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def failure_text(what: str, log: str) -> str:
    """One sentence for a failed step, then the last lines it printed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if any(sign in log for sign in UNREACHABLE):
        lines = [line for line in lines if any(sign in line for sign in UNREACHABLE)][:1]
        reason = (
            "the package index cannot be reached, or lacks a package; connect this machine, or "
            "name another index or a folder of wheels with PIP_INDEX_URL or PIP_FIND_LINKS"
        )
    else:
        reason = f"it failed; the whole output is in {LOG}"
    return f"{what}: {reason}" + "".join(f"\n    {line[:200]}" for line in lines[-12:])


def source_fingerprint() -> str:
    """A hash that changes when the installation must be done again."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for pattern in SOURCES for path in ROOT.glob(pattern)):
        content = path.read_bytes()
        digest.update(b"%s %d\n" % (path.name.encode(), len(content)) + content)
    return digest.hexdigest()


def read_stamp() -> Stamp:
    """What the last set-up wrote down; an empty stamp where none did or it cannot be read."""
    try:
        stamp = Stamp(**json.loads(STAMP.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return Stamp()
    return replace(stamp, extras=tuple(stamp.extras))


def write_stamp(stamp: Stamp) -> None:
    """Write down how far the set-up is, whole or not at all."""
    draft = STAMP.with_suffix(".new")
    draft.write_text(json.dumps(asdict(stamp), indent=1) + "\n", "utf-8")
    draft.replace(STAMP)


@contextmanager
def one_at_a_time() -> Generator[None]:
    """Hold the checkout while setting it up; a second set-up waits for the first."""
    try:
        import fcntl  # noqa: PLC0415 - absent on Windows, where this lock is done without
    except ImportError:
        yield
        return
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this checkout is under way; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def can_import(name: str) -> bool:
    """Whether this Python has that module."""
    return has_module(Path(sys.executable), name)


def has_module(python: Path, name: str) -> bool:
    """Whether that Python can import the module; asked of itself, so a broken one says no."""
    asked = subprocess.run(
        [str(python), "-c", f"import {name}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return asked.returncode == 0


def say(text: str) -> None:
    """A message to the person."""
    print(f"redoxa: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
