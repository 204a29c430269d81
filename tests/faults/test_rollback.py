"""Older files put in the place of newer ones: with a checkpoint kept elsewhere, it is found.

A store alone cannot tell that all of it is older; the ledger can, whose batches are then missing,
and a checkpoint that was kept elsewhere tells it of the ledger.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from ring2_orchestrator.home import Home
from tests.cid_store.conftest import begin_pack

Files = dict[str, bytes]
BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"
STATES = 6


class Past(NamedTuple):
    """A home, all that it holds, and what its files were before."""

    path: Path
    objects: dict[Cid, bytes]
    roots: dict[str, Cid]
    kept: str
    earlier: list[Files]


def files_of(home: Path) -> Files:
    """Every file that says something, by its path."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.name not in ("lock", "index.sqlite-shm")
    }


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    path = tmp_path_factory.mktemp("past") / "home"
    objects: dict[Cid, bytes] = {}
    earlier: list[Files] = []
    kept, roots = "", {}
    for state in range(STATES):
        with Home(path) as home:
            for at in range(5):
                data = b"%d of %d " % (at, state) * (at * 50 + 1)
                objects[home.store.put(data)] = data
                home.store.set_root(f"newest/{at}", Cid.of(data))
                home.ledger.append([state, at], kind="t", subject="s")
            if state % 2:
                begin_pack(home.store)
            kept, roots = home.ledger.checkpoint(), dict(home.store.roots())
        earlier.append(files_of(path))
    return Past(path, objects, roots, kept, earlier[:-1])


def roll_back(past: Past, path: Path, random: np.random.Generator) -> str | None:
    """Put older files in place; what was put, or None where nothing changed by it."""
    before = past.earlier[random.integers(len(past.earlier))]
    now = files_of(path)
    parts: list[tuple[str, Callable[[str], bool]]] = [
        ("the whole home", lambda _: True),
        ("the store", lambda name: name.startswith("store/")),
        ("the packs", lambda name: name.startswith("store/packs/")),
        ("the ledger", lambda name: name.startswith("ledger/")),
    ]
    one = str(random.choice(sorted(before)))
    parts.append((f"one file of the {one.split('/', maxsplit=1)[0]}", lambda name: name == one))
    what, belongs = parts[random.integers(len(parts))]
    changed = False
    for name in now.keys() | before.keys():
        if not belongs(name):
            continue
        if name not in before:
            (path / name).unlink()
        elif before[name] != now.get(name):
            (path / name).write_bytes(before[name])
        changed |= before.get(name) != now.get(name)
    return what if changed else None


def said_of(past: Past, path: Path) -> str:
    """What is said of a home in which files are older; empty where nothing is."""
    try:
        with Home(path) as home:
            for cid, data in past.objects.items():
                try:
                    assert home.store.get(cid) == data
                except RedoxaError:
                    continue
            found = home.store.verify()
            home.ledger.verify(past.kept)
            return " ".join((*found.damage, *home.ledger.unfinished()))
    except RedoxaError as error:
        return str(error)


def is_as_it_was(past: Past, path: Path) -> bool:
    with Home(path) as home:
        try:
            whole = all(home.store.get(cid) == data for cid, data in past.objects.items())
        except RedoxaError:
            return False
        return whole and dict(home.store.roots()) == past.roots


def roll_back_often(past: Past, folder: Path, rounds: int, *, seed: int) -> Counter[str]:
    """That many homes with older files in them; how often each kind was found, or was harmless."""
    random = np.random.Generator(np.random.PCG64(seed))
    done: Counter[str] = Counter()
    for at in range(rounds):
        path = folder / f"{at}"
        shutil.copytree(past.path, path)
        what = roll_back(past, path, random)
        if what is not None:
            said = said_of(past, path)
            assert said or is_as_it_was(past, path), f"round {at}: {what} was not found"
            done[f"{what}: {'found' if said else 'made good from the packs'}"] += 1
        shutil.rmtree(path)
    return done


@pytest.mark.slow
def test_older_files_are_found(past: Past, tmp_path: Path) -> None:
    done = roll_back_often(past, tmp_path, 12, seed=1)
    assert done.total() > 6


@pytest.mark.long
def test_older_files_are_found_every_time(
    past: Past, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    done = roll_back_often(past, tmp_path, 60 if BOUNDED else 1_000, seed=2)
    record_testsuite_property("older files put in place", dict(sorted(done.items())))
    assert done["the whole home: found"]
    assert done["the store: found"]
    assert not done["the packs: made good from the packs"]
    assert not done["the ledger: made good from the packs"]
