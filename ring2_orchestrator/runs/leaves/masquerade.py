"""Puts the wrappers in the places of compilers: a folder of links of their names, first on PATH."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from cid_store.errors import UnavailableError
from ring2_orchestrator.caches import cache_folder
from ring2_orchestrator.runs.ask import front_end

_WRAPPER = "redoxa-cc"
_COMPILER = re.compile(
    r"(?:[a-z0-9_]+(?:-[a-z0-9_]+)+-)?(?:cc|c\+\+|gcc|g\+\+|clang|clang\+\+)(?:-\d[\d.]*)?|rustc"
)


def with_leaves(env: Mapping[str, str]) -> dict[str, str]:
    """The variables with which each compiler that PATH finds is its wrapper.

    Equal compilers and an equal PATH give an equal PATH: it is an input of whatever is run. Raises
    UnavailableError where there are no wrappers or no compilers, or the links cannot be made.
    """
    path = env.get("PATH", os.defpath)
    wrapper = Path(front_end()).with_name(_WRAPPER)
    if not wrapper.exists():
        raise UnavailableError(
            f"there is no {wrapper}, so compilers cannot be wrapped; install redoxa again where a "
            "C compiler is, or leave out --leaves"
        )
    names = _compilers(path)
    if not names:
        raise UnavailableError(
            "no C, C++ or Rust compiler is on PATH, so there is none to wrap; name its folder in "
            "PATH, or leave out --leaves"
        )
    folder = _folder(wrapper, names)
    return {**env, "PATH": f"{folder}{os.pathsep}{path}"}


def _compilers(path: str) -> list[str]:
    """The names of compilers on PATH: a name that is not there must not be found."""
    found: set[str] = set()
    for folder in path.split(os.pathsep):
        with suppress(OSError):
            names = (entry.name for entry in Path(folder or ".").iterdir())
            found.update(name for name in names if _COMPILER.fullmatch(name))
    return sorted(found)


def _folder(wrapper: Path, names: list[str]) -> Path:
    identity = "\0".join([os.fspath(wrapper), *names]).encode("utf-8", "surrogateescape")
    folder = cache_folder() / "leaves" / blake3(identity).hexdigest(8)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            _link(folder / name, wrapper)
    except OSError as error:
        raise UnavailableError(
            f"the links of compilers cannot be made in {folder} ({error.strerror}); make room, or "
            "name another place with XDG_CACHE_HOME"
        ) from error
    return folder


def _link(link: Path, wrapper: Path) -> None:
    """A right link stays as it is."""
    if link.is_symlink() and link.readlink() == wrapper:
        return
    temporary = link.with_name(f".{link.name}.{os.urandom(8).hex()}")
    temporary.symlink_to(wrapper)
    temporary.replace(link)
