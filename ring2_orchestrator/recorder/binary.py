"""Finds the recorder's helper; in a source tree without one, builds it once."""

from functools import cache
from pathlib import Path

from ring2_orchestrator.caches import cache_folder
from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.recorder.errors import NoRecorderError

NAME = "redoxa-trace"


@cache
def helper() -> Path:
    """The helper that belongs to these sources. Raises NoRecorderError."""
    if not compiler.can_record():
        raise NoRecorderError(
            "programs can be recorded on Linux (x86_64 or aarch64) only; on this machine use "
            "the Python API and `redoxa pack`, which need no recorder"
        )
    packaged = Path(__file__).parent / NAME
    wanted = compiler.digest()
    if compiler.carries(packaged, wanted):
        return packaged
    cached = cache_folder() / f"{NAME}-{wanted}"
    if not compiler.carries(cached, wanted):
        _build(cached)
    return cached


def _build(target: Path) -> None:
    try:
        compiler.build(target)
    except (compiler.CompileError, OSError) as error:
        raise NoRecorderError(
            f"the recorder's helper is not built and cannot be ({error}); install a C compiler, "
            "or `pip install ziglang==0.17.1`, and try again"
        ) from error
