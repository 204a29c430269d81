"""What is no regular file in a remote folder: named in a sentence, never waited for or followed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.errors import CorruptObjectError
from cid_store.local import LocalStore
from cid_store.remote import RemoteStore, layout, pull, push

SMALL = b"small " * 50
CID = Cid.of(SMALL)


def pipe(file: Path) -> None:
    os.mkfifo(file)


def link(file: Path) -> None:
    target = file.parent.parent / "elsewhere"
    target.write_bytes(SMALL)
    file.symlink_to(target)


def in_place_of(file: Path, plant: Callable[[Path], None]) -> None:
    file.unlink()
    plant(file)


@pytest.fixture
def local(tmp_path: Path, remote: RemoteStore) -> LocalStore:
    store = LocalStore(tmp_path / "here")
    store.put(SMALL)
    push(store, remote, [CID])
    remote.set_root("s", CID)
    return store


@pytest.mark.parametrize("plant", [pipe, link, Path.mkdir])
def test_what_is_no_regular_file_is_named(
    folder: Path, remote: RemoteStore, local: LocalStore, plant: Callable[[Path], None]
) -> None:
    key = layout.object_key(CID)
    in_place_of(folder / key, plant)
    said = f"^{key} at {remote.url} is not a regular file and has to be moved out of the store; "
    with LocalStore(folder.parent / "empty") as empty:
        for ask in (
            lambda: remote.put(SMALL),  # once its damage was read, it would be repaired
            lambda: remote.size(CID),
            lambda: remote.get(CID),
            lambda: pull(remote, empty, [CID]),
            lambda: push(local, RemoteStore(remote.url), [CID]),
        ):
            with pytest.raises(CorruptObjectError, match=said):
                ask()
    local.close()


@pytest.mark.parametrize("plant", [pipe, link])
def test_a_checking_push_puts_the_object_in_its_place(
    folder: Path, remote: RemoteStore, local: LocalStore, plant: Callable[[Path], None]
) -> None:
    file = folder / layout.object_key(CID)
    in_place_of(file, plant)
    assert push(local, remote, [CID], check=True).moved == 1
    assert file.is_file()
    assert not file.is_symlink()
    assert remote.get(CID) == SMALL
    local.close()


def test_a_checking_push_names_a_folder_it_cannot_replace(
    folder: Path, remote: RemoteStore, local: LocalStore
) -> None:
    in_place_of(folder / layout.object_key(CID), Path.mkdir)
    with pytest.raises(CorruptObjectError, match="is not a regular file"):
        push(local, remote, [CID], check=True)
    local.close()


@pytest.mark.parametrize("key", [layout.root_key("s"), layout.MARKER_KEY])
def test_roots_and_the_marker_are_not_waited_for_either(
    folder: Path, remote: RemoteStore, local: LocalStore, key: str
) -> None:
    in_place_of(folder / key, pipe)
    local.close()
    with (
        RemoteStore(remote.url) as again,
        pytest.raises(CorruptObjectError, match=f"^{key} at .* is not a regular file"),
    ):
        again.root("s")
