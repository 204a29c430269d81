"""A machine without room for kernels is one clear error, and no candidate that fails unseen."""

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
import zstandard

from ring2_orchestrator.encoders import native_encoders
from ring2_orchestrator.kernels import KernelSet

GIB = 1 << 30
LIMITED = """
import resource, sys
from ring2_orchestrator.commands import main

resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not kept")
@pytest.mark.parametrize("words", [("pack", "-p", "fast", "-o", "out"), ("gene", "search")])
@pytest.mark.parametrize("room", [4 * GIB, GIB])
def test_without_addresses_a_command_says_so(
    words: tuple[str, ...], room: int, tmp_path: Path
) -> None:
    path = tmp_path / "samples"
    path.write_bytes(bytes(n * n // 7 % 251 for n in range(20_000)))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(room), *words, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 5, done.stderr
    assert "raise the limit on virtual memory (ulimit -v)" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_encoder_without_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, level: int) -> None:
            del level

        def compress(self, data: bytes) -> NoReturn:
            raise zstandard.ZstdError(f"cannot compress {len(data)}: Allocation error")

    kernels = KernelSet.shipped()
    for sketching in (False, True):
        encode = native_encoders(kernels, sketching=sketching)[kernels.by_name("zstd").cid, b""]
        with monkeypatch.context() as patch:
            patch.setattr(zstandard, "ZstdCompressor", Full)
            with pytest.raises(MemoryError):
                encode(b"some bytes")
