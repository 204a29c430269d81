"""What tests in several folders share."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ring0.host import direct
from ring0.host.trampoline import compile as trampoline
from ring2_orchestrator.recorder.compile import compilers

# linux/capability.h, linux/prctl.h and linux/securebits.h
_VERSION_3 = 0x20080522
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_GET_SECUREBITS, _SET_SECUREBITS = 27, 28
# What the superuser executes gets no capabilities, and access(2) asks for those in effect.
_NO_ROOT = 1 << 0 | 1 << 2


# The fixture of the one test of types, and the checker's process with the file of what it says.
_CHECKED = "types_checked"
_CHECKING = pytest.StashKey[tuple["subprocess.Popen[bytes]", Path]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """The types are checked beside all other tests: that takes as long as a tenth of them.

    Not so where workers share the tests: each has collected them all, and one will run this one.
    """
    wanted = any(_CHECKED in getattr(item, "fixturenames", ()) for item in session.items)
    if (
        wanted
        and not session.config.option.collectonly
        and not hasattr(session.config, "workerinput")
    ):
        _check_types(session.config)


def _check_types(config: pytest.Config) -> None:
    handle, name = tempfile.mkstemp(prefix="redoxa-types-")
    checker = subprocess.Popen(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable],
        cwd=config.rootpath,
        # Without its advice about newer versions.
        env={**os.environ, "NO_COLOR": "1", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=handle,
        stderr=handle,
        # Ctrl-C is the session's, which ends it.
        start_new_session=True,
    )
    os.close(handle)
    config.stash[_CHECKING] = checker, Path(name)


@pytest.fixture
def types_checked(request: pytest.FixtureRequest) -> tuple[int, str]:
    """The type checker's exit code, once it has ended, and what it said."""
    if _CHECKING not in request.config.stash:
        _check_types(request.config)
    checker, said = request.config.stash[_CHECKING]
    return checker.wait(), said.read_text("utf-8")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the checker where nobody waited for it."""
    checker, said = config.stash.get(_CHECKING, (None, None))
    if checker is not None and said is not None:
        if checker.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(checker.pid, signal.SIGKILL)
            checker.wait()
        said.unlink(missing_ok=True)


def pytest_sessionstart() -> None:
    """Where it can be built, a checkout's trampoline is that of its sources."""
    module = trampoline.target(Path(direct.__file__).parent)
    if not trampoline.carries(module):
        with suppress(trampoline.CompileError, OSError):
            trampoline.build(module, compilers())


@pytest.fixture(scope="session", params=["compiled", "plain"])
def compiled(request: pytest.FixtureRequest) -> bool:
    """Both ways of calling a base kernel; whatever holds for one must hold for the other."""
    if request.param == "compiled" and direct.load() is None:
        pytest.skip("the trampoline cannot be built here: no C compiler, or no Python headers")
    return request.param == "compiled"


@pytest.fixture
def powerless() -> Generator[None]:
    """For the test, the superuser is refused what permissions refuse to anyone else."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("the superuser may read and write everything")
    with _without_overrides():
        yield


@contextmanager
def _without_overrides() -> Generator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then the higher halves

    def check(code: int) -> int:
        if code < 0:
            raise OSError(ctypes.get_errno(), "capabilities cannot be changed")
        return code

    check(libc.capget(header, sets))
    effective, bits = sets[0], check(libc.prctl(_GET_SECUREBITS))
    check(libc.prctl(_SET_SECUREBITS, bits | _NO_ROOT))
    try:
        sets[0] = effective & ~_OVERRIDES
        check(libc.capset(header, sets))
        yield
    finally:
        sets[0] = effective
        check(libc.capset(header, sets))
        check(libc.prctl(_SET_SECUREBITS, bits))
