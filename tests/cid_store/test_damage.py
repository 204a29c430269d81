"""Random damage to packs and index: verifying finds all of it, and reading returns none of it.

Room that a pack has reserved and not used is left out: it holds nothing.
"""

import contextlib
import io
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cid_store.cid import Cid
from cid_store.errors import DamageError, RedoxaError
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from tests.cid_store.conftest import remove_index
from tests.cid_store.test_gc import check_needed
from tests.cid_store.test_gc import filled as three_packs
from tests.cid_store.test_store import MIB, random_bytes

Random = np.random.Generator
STREAM = random_bytes(2 * MIB + 77)


class Filled:
    """A store of many kinds of records in three packs, and what each file of it used to be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.objects: dict[Cid, bytes] = {}
        with LocalStore(path) as store:
            for part in range(3):
                blobs = [b"%d %d " % (part, at) * (at * 9) for at in range(25)]
                self.objects.update(zip(store.put_many(blobs), blobs, strict=True))
                links = list(self.objects)[:: part + 2]
                node = put_node(store, [part, *links])
                self.objects[node] = store.get(node)
                store.set_root(f"part {part}", node)
                store.set_root("last", node)
                if part == 1:
                    self.objects[store.put_stream(io.BytesIO(STREAM))] = STREAM
                if part < 2:
                    with store._keeper.exclusive():
                        store._keeper.begin_pack()
            self.roots = dict(store.roots())
            self.ends = {end.number: end.end for end in store._keeper.ask(lambda ix: ix.packs())}

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.path, to)
        return to


def pack_file(path: Path, number: int) -> Path:
    return path / "packs" / f"{number:08d}.pack"


def flip(path: Path, filled: Filled, random: Random) -> None:
    """One bit anywhere in what a pack uses, every header included."""
    number, end = list(filled.ends.items())[random.integers(3)]
    # Small records as often as large ones: half of the time not in the stream.
    limit = end if random.integers(2) else min(end, 20_000)
    at = int(random.integers(limit * 8))
    with pack_file(path, number).open("r+b") as file:
        file.seek(at // 8)
        byte = file.read(1)[0]
        file.seek(at // 8)
        file.write(bytes([byte ^ 1 << at % 8]))


def truncate(path: Path, filled: Filled, random: Random) -> None:
    number, end = list(filled.ends.items())[random.integers(3)]
    with pack_file(path, number).open("r+b") as file:
        file.truncate(int(random.integers(end)))


def swap(path: Path, filled: Filled, random: Random) -> None:
    """Two stretches of equal length change places, in one pack or between two."""
    places: list[tuple[Path, int]] = []
    length = 64 * int(random.integers(1, 9))
    for _ in range(2):
        number, end = list(filled.ends.items())[random.integers(3)]
        places.append((pack_file(path, number), 64 * int(random.integers((end - length) // 64))))
    stretches: list[bytes] = []
    for file, at in places:
        stretches.append(file.read_bytes()[at : at + length])
    for (file, at), stretch in zip(places, reversed(stretches), strict=True):
        with file.open("r+b") as opened:
            opened.seek(at)
            opened.write(stretch)


def swap_files(path: Path, filled: Filled, random: Random) -> None:
    one, other = random.permutation(3)[:2] + 1
    pack_file(path, one).rename(path / "aside")
    pack_file(path, other).rename(pack_file(path, one))
    (path / "aside").rename(pack_file(path, other))


PACK_DAMAGE: list[Callable[[Path, Filled, Random], None]] = [flip] * 7 + [truncate, swap, swap]


def used(path: Path, filled: Filled) -> list[bytes]:
    return [pack_file(path, number).read_bytes()[:end] for number, end in filled.ends.items()]


def read_all(store: LocalStore, filled: Filled) -> int:
    """Read everything in every way: the right bytes or a sentence. How many were right."""
    right = 0
    for cid, data in filled.objects.items():
        reads: list[Callable[[], bytes]] = [
            lambda cid=cid: store.get(cid),
            lambda cid=cid: bytes(store.view(cid)),
            lambda cid=cid: b"".join(store.get_stream(cid)),
            lambda cid=cid: store.read(cid, 0, len(STREAM)),
        ]
        for read in reads:
            try:
                assert read() == data
                right += 1
            except RedoxaError:
                pass
    with contextlib.suppress(RedoxaError):
        assert store.get_many(filled.objects) == list(filled.objects.values())
    return right


def damage_packs(folder: Path, filled: Filled, *, rounds: int, seed: int) -> int:
    """That many damaged copies, each read and verified; how many times damage was done."""
    random = np.random.Generator(np.random.PCG64(seed))
    done = 0
    before = used(filled.path, filled)
    for at in range(rounds):
        path = filled.copy(folder / f"{at}")
        damage = PACK_DAMAGE[random.integers(len(PACK_DAMAGE))]
        damage(path, filled, random)
        if used(path, filled) != before:
            done += 1
            with (
                contextlib.suppress(DamageError),  # said when it was opened
                LocalStore(path, read_only=bool(at % 2)) as store,
            ):
                found = not store.verify().ok
                read_all(store, filled)
                assert found, f"round {at}: {damage.__name__} was not found"
        shutil.rmtree(path)
    return done


def damage_index(folder: Path, filled: Filled, *, rounds: int, seed: int) -> None:
    """Bits of the index flipped, its end cut off: everything is read all the same."""
    random = np.random.Generator(np.random.PCG64(seed))
    wanted = 4 * len(filled.objects)
    for at in range(rounds):
        path = filled.copy(folder / f"{at}")
        data = bytearray((path / "index.sqlite").read_bytes())
        if random.integers(5):
            bit = int(random.integers(len(data) * 8))
            data[bit // 8] ^= 1 << bit % 8
        else:
            del data[int(random.integers(len(data))) :]
        (path / "index.sqlite").write_bytes(data)
        with LocalStore(path, read_only=bool(at % 2)) as store:
            report = store.verify()
            right = read_all(store, filled)
            if right != wanted or dict(store.roots()) != filled.roots:
                # An index that lies in a believable way is found out when it is compared.
                assert report.index_is_wrong or not report.ok, f"round {at}"
                assert store.path == path
        assert used(path, filled) == used(filled.path, filled)  # no word of the index harms a pack
        with LocalStore(path) as store:
            store.repair()
            assert read_all(store, filled) == wanted, f"round {at}"
            assert dict(store.roots()) == filled.roots
            assert store.verify().ok
        shutil.rmtree(path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return Filled(tmp_path_factory.mktemp("damage") / "store")


@pytest.mark.slow
def test_damage_to_packs_is_found_and_never_returned(tmp_path: Path, filled: Filled) -> None:
    assert damage_packs(tmp_path, filled, rounds=60, seed=1) > 50


@pytest.mark.slow
def test_a_damaged_index_hides_nothing(tmp_path: Path, filled: Filled) -> None:
    damage_index(tmp_path, filled, rounds=40, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("read_only", [True, False])
def test_packs_that_changed_names_are_found(
    tmp_path: Path, filled: Filled, read_only: bool
) -> None:
    path = filled.copy(tmp_path / "store")
    swap_files(path, filled, np.random.Generator(np.random.PCG64(3)))
    with pytest.raises(RedoxaError, match="give it back the name"):
        LocalStore(path, read_only=read_only)


@pytest.mark.parametrize(
    "lie",
    [
        "DELETE FROM roots",
        "UPDATE roots SET name = name || x'21'",
        "DELETE FROM objects",
        "DELETE FROM objects WHERE rowid_of % 2",
        "UPDATE objects SET pack = 3",
        "UPDATE objects SET offset = 64",
        "DELETE FROM packs WHERE number < 3",
    ],
)
def test_an_index_that_lies_drops_nothing_that_is_needed(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "store"
    store, needed, _ = three_packs(path)
    store.close()
    with sqlite3.connect(path / "index.sqlite") as connection:
        connection.execute(lie.replace("rowid_of", "offset / 64"))
    connection.close()
    with LocalStore(path) as store:
        store.gc(grace_s=0)
    remove_index(path)
    with LocalStore(path) as store:
        check_needed(store, needed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_ten_thousand_damages_are_found_and_never_returned(
    tmp_path: Path, filled: Filled, seed: int
) -> None:
    """A thousand for each of ten seeds, four of five in the packs."""
    share = 100 if os.environ.get("REDOXA_LONG") == "bounded" else 1_000
    rounds = 4 * share // 5
    done = damage_packs(tmp_path, filled, rounds=rounds, seed=seed)
    damage_index(tmp_path, filled, rounds=share // 5, seed=seed)
    print(f"{done} of {rounds} damages to packs changed something; all found")  # noqa: T201 - the figure
