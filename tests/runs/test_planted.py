"""Files that somebody planted in the home: no link is followed, and no pipe is waited for."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ring2_orchestrator.cachefile import CacheFile
from ring2_orchestrator.commands import main
from ring2_orchestrator.runs.presence import Presence
from ring2_orchestrator.runs.surroundings import EnvironmentKey

BEFORE = b"another's file, 32 bytes long..."


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "running").mkdir(parents=True)
    return home


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere"


def link_to_a_file(path: Path, elsewhere: Path) -> None:
    elsewhere.write_bytes(BEFORE)
    path.symlink_to(elsewhere)


def link_to_nothing(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def pipe(path: Path, elsewhere: Path) -> None:
    os.mkfifo(path)


def folder(path: Path, elsewhere: Path) -> None:
    path.mkdir()


Plant = Callable[[Path, Path], None]
PLANTS = [link_to_a_file, link_to_nothing, pipe, folder]


def check_untouched(elsewhere: Path) -> None:
    assert not elsewhere.exists() or elsewhere.read_bytes() == BEFORE


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", ["gate", "7", "7-9"])
def test_who_comes_and_goes_opens_plain_files_alone(
    home: Path, elsewhere: Path, plant: Plant, name: str
) -> None:
    plant(home / "running" / name, elsewhere)
    with suppress(OSError), Presence(home) as presence:
        presence.part(None)
    check_untouched(elsewhere)


@pytest.mark.parametrize("plant", PLANTS)
def test_the_key_of_the_environment_is_a_plain_file(
    home: Path, elsewhere: Path, plant: Plant
) -> None:
    plant(home / "environment.key", elsewhere)
    with pytest.raises(OSError, match=r"environment\.key"):
        EnvironmentKey(home)
    check_untouched(elsewhere)


@pytest.mark.parametrize("plant", PLANTS)
def test_a_cache_is_a_plain_file_or_none(home: Path, elsewhere: Path, plant: Plant) -> None:
    plant(home / "cache.db", elsewhere)
    cache = CacheFile(home / "cache.db", "seen", ("key BLOB PRIMARY KEY", "value INT"))
    cache.keep([(b"key", 7)])
    assert cache.find([b"key"]) == []
    check_untouched(elsewhere)


def test_a_cache_is_its_owners_alone(home: Path) -> None:
    cache = CacheFile(home / "cache.db", "seen", ("key BLOB PRIMARY KEY", "value INT"))
    (home / "cache.db").touch(mode=0o644)
    cache.keep([(b"key", 7)])
    assert cache.find([b"key"]) == [(b"key", 7)]
    assert (home / "cache.db").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("plant", PLANTS)
def test_a_run_says_what_stands_in_the_place_of_its_key(
    home: Path, elsewhere: Path, plant: Plant, capfd: pytest.CaptureFixture[str]
) -> None:
    plant(home / "environment.key", elsewhere)
    assert main(["--home", str(home), "run", "--", "true"]) == 125
    assert f"{home}/environment.key cannot be used (" in capfd.readouterr().err
    check_untouched(elsewhere)
