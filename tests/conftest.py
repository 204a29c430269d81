"""What tests in several folders share."""

import ctypes
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

# linux/capability.h, linux/prctl.h and linux/securebits.h
_VERSION_3 = 0x20080522
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_GET_SECUREBITS, _SET_SECUREBITS = 27, 28
# What the superuser executes gets no capabilities, and access(2) asks for those in effect.
_NO_ROOT = 1 << 0 | 1 << 2


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
