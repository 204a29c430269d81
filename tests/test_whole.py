"""What skips a suite is the platform, never a build that broke or a package that nobody installed.

With REDOXA_WHOLE in the environment, as in CI, this machine must be able to build all there is.
"""

import os
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ring0.host import direct
from ring2_orchestrator.recorder import binary
from ring2_orchestrator.recorder import compile as compiler

WHOLE = "REDOXA_WHOLE" in os.environ
HEADERS = Path(sysconfig.get_path("include")) / "Python.h"


def lacking() -> str | None:
    """Why what is written in C cannot be built here; None where it can."""
    if not compiler.compilers():
        return "no C compiler is on PATH, and the ziglang package is not installed"
    if not HEADERS.is_file():
        return f"Python's headers are not installed: there is no {HEADERS}"
    return None


def test_whatever_the_tests_use_is_installed() -> None:
    needed = [Requirement(line) for line in metadata.requires("redoxa") or ()]
    asked = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": "test"})]
    assert len(asked) > 15
    for one in asked:
        assert metadata.version(one.name) in one.specifier, one


@pytest.mark.parametrize("part", ["the trampoline", "the recorder's helper"])
def test_what_is_written_in_c_is_here_where_it_can_be_built(part: str) -> None:
    reason = lacking()
    if reason and not WHOLE:
        pytest.skip(reason)
    assert reason is None
    if part == "the trampoline":
        assert direct.load() is not None, "tests of both ways to call kernels would all be skipped"
    elif compiler.can_record():
        assert compiler.carries(binary.helper(), compiler.digest())
