"""What an argument may be, where a home or this installation tells: runs, roots, genes, kernels."""

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import RedoxaError
from ring2_orchestrator.completing.words import Candidates, Values

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home

_RUNS = 20
_ROOTS = 200
_HERE = Path(__file__).resolve().parents[2]

_FOLDERS = {"DIR", "FOLDER", "REPO"}
_FILES = {"ARCHIVE", "FILE", "OLD", "PROOF", "SCRIPT", "WORD", "car", "rdx", "wasm"}
# Where the word for an argument says too little: the command, and the argument's own name.
_KINDS = {
    ("gene", "gene"): "genes",
    ("pack", "gene"): "genes",
    ("kernel", "kernel"): "kernels",
    ("store", "name"): "roots",
    ("store", "names"): "roots",
    ("store", "what"): "roots",
    ("store", "prefix"): "roots",
}
_WORDS = {"RUN": "runs", "PROFILE": "profiles"}


class Known:
    """Answers what an argument may be; `open_home` opens what there is, to read, or gives None."""

    def __init__(self, open_home: "Callable[[], Home | None]") -> None:
        self._open_home = open_home

    def __call__(self, path: tuple[str, ...], action: argparse.Action) -> Values:
        """What may stand there. Whatever cannot be told is left out, silently: nobody asked."""
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        kind = _KINDS.get((path[0] if path else "", action.dest)) or _WORDS.get(metavar)
        found: Candidates = ()
        if kind is not None:
            with suppress(RedoxaError, OSError, ValueError):
                found = tuple(getattr(self, f"_{kind}")())
        return Values(found, places_of(action))

    def _genes(self) -> Iterator[tuple[str, str]]:
        for path in sorted((_HERE / "genes").glob("*.gene")):
            yield path.stem, "a gene of the library"

    def _kernels(self) -> Iterator[tuple[str, str]]:
        for path in sorted((_HERE / "ring1_kernels").glob("*/kernel.toml")):
            yield path.parent.name, "a shipped kernel"

    def _profiles(self) -> Iterator[tuple[str, str]]:
        from ring2_orchestrator.planner import PROFILES  # noqa: PLC0415 - loads what plans

        for name in PROFILES:
            yield name, ""

    def _runs(self) -> Iterator[tuple[str, str]]:
        if (home := self._open_home()) is None:
            return
        from ring2_orchestrator.runs.past import LostRun, runs  # noqa: PLC0415 - if asked for

        with home:
            for number, run in enumerate(islice(runs(home), _RUNS)):
                if not isinstance(run, LostRun):
                    said = b" ".join(run.command).decode("utf-8", "replace")
                    yield f"@~{number}" if number else "@", said
                    yield run.short, said

    def _roots(self) -> Iterator[tuple[str, str]]:
        if (home := self._open_home()) is None:
            return
        with home:
            for name, _ in islice(home.store.roots(""), _ROOTS):
                yield name, "a root of the store"


def places_of(action: argparse.Action) -> str:
    """Whether files or folders may stand for an argument."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    parts = set(re.split(r"[^A-Za-z]+", metavar))
    # A command that is no command of its own here is a script (`run --script`).
    if _FILES & parts or "COMMAND" in parts:
        return "files"
    if _FOLDERS & parts:
        return "folders"
    return "files" if action.type is Path else ""
