"""The engine's shared library, found inside the installed wheel and opened once.

The wheel's own Python binding is never imported: the host speaks to the C API below it, where a
call costs 0.5 us instead of 35. That API is stable for one version only, so that is asserted.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from ring0.host.capi import ffi as _ffi

VERSION = "50.0.1"

ffi: Any = _ffi
NULL: Any = ffi.NULL
libc: Any = ffi.dlopen(None)

_NAMES = {"linux": "_libwasmtime.so", "darwin": "_libwasmtime.dylib", "win32": "_wasmtime.dll"}
_opened: dict[str, Any] = {}


class LibraryError(Exception):
    """The engine cannot be used; the text says why and what to do."""


def find() -> str:
    """The path of the shared library of the one version the host speaks to."""
    spec = PathFinder.find_spec("wasmtime")
    where = spec.submodule_search_locations if spec is not None else None
    if not where:
        raise LibraryError(
            "wasmtime is not installed; install it with: pip install wasmtime==" + VERSION
        )
    package = Path(where[0])
    if not (package.parent / f"wasmtime-{VERSION}.dist-info").is_dir():
        raise LibraryError(
            f"the wasmtime in {package} is not version {VERSION}, the only one the host speaks to; "
            f"install it with: pip install wasmtime=={VERSION}"
        )
    found = sorted(package.glob(f"*/{_NAMES.get(sys.platform, _NAMES['linux'])}"))
    if len(found) != 1:
        raise LibraryError(f"the wasmtime in {package} has no library for this machine")
    return str(found[0])


def open_library(path: str) -> Any:  # noqa: ANN401 - cffi libraries have no static type
    """The library at that path; opening it again gives the same one."""
    if path not in _opened:
        try:
            _opened[path] = ffi.dlopen(path)
        except OSError as error:
            raise LibraryError(f"the engine's library does not load: {error}") from error
    return _opened[path]
