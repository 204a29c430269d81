"""The measure of the sweeps itself: what a large test left behind is not counted."""

import subprocess
import sys

from tests.hostile.peaks import watched

MIB = 1 << 20


def test_what_was_there_before_is_nobodys_peak() -> None:
    ballast = bytearray(b"x") * (200 * MIB)
    with watched() as peak:
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert peak.bytes < 100 * MIB
    del ballast
    with watched() as peak:
        pass
    assert peak.bytes < 100 * MIB


def test_what_is_gone_by_the_end_was_there() -> None:
    with watched() as peak:
        ballast = bytearray(b"x") * (150 * MIB)
        del ballast
    assert peak.bytes > 100 * MIB
    filled = "a = bytearray(b'x') * (150 << 20); print(flush=True); input()"
    with watched() as peak:
        child = subprocess.Popen(
            [sys.executable, "-c", filled], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        peak.look()
        child.communicate(b"\n")
    assert peak.bytes > 100 * MIB
