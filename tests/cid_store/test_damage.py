"""Random damage to packs and index: verifying finds all of it, and reading returns none of it.

Room that a pack has reserved and not used is left out: it holds nothing.
"""

import contextlib
import io
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cid_store.cid import Cid
from cid_store.errors import DamageError, RedoxaError
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from tests.cid_store.collecting import check_needed
from tests.cid_store.collecting import filled as three_packs
from tests.cid_store.conftest import begin_pack, remove_index
from tests.cid_store.test_store import MIB, random_bytes

Random = np.random.Generator
STREAM = random_bytes(2 * MIB + 77)


class Filled:
    """A store of many kinds of records in three packs, and what each file of it used to be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.objects: dict[Cid, bytes] = {}
        self.earlier: list[dict[str, bytes]] = []  # packs and index, as they were before
        with LocalStore(path) as store:
            for part in range(3):
                self._remember(store)
                blobs = [b"%d %d " % (part, at) * (at * 9) for at in range(25)]
                self.objects.update(zip(store.put_many(blobs), blobs, strict=True))
                links = list(self.objects)[:: part + 2]
                node = put_node(store, [part, *links])
                self.objects[node] = store.get(node)
                self._remember(store)
                store.set_root(f"part {part}", node)
                store.set_root("last", node)
                if part == 1:
                    self.objects[store.put_stream(io.BytesIO(STREAM))] = STREAM
                if part < 2:
                    begin_pack(store)
            self.roots = dict(store.roots())
            self.ends = {end.number: end.end for end in store._keeper.ask(lambda ix: ix.packs())}

    def _remember(self, store: LocalStore) -> None:
        store._keeper.ask(lambda index: index._ask("PRAGMA wal_checkpoint(TRUNCATE)"))
        files = [*self.path.glob("packs/*"), self.path / "index.sqlite"]
        self.earlier.append({str(at.relative_to(self.path)): at.read_bytes() for at in files})

    def copy(self, to: Path) -> Path:
        shutil.copytree(self.path, to)
        return to


def pack_file(path: Path, number: int) -> Path:
    return path / "packs" / f"{number:08d}.pack"


def stretch(filled: Filled, random: Random) -> tuple[int, int, int]:
    """Some blocks of a pack: its number, where they begin, how long they are."""
    number, end = list(filled.ends.items())[random.integers(3)]
    length = 64 * int(random.integers(1, 9))
    return number, 64 * int(random.integers((end - length) // 64)), length


def flip(path: Path, filled: Filled, random: Random) -> None:
    """One bit anywhere in what a pack uses, every header included."""
    number, end = list(filled.ends.items())[random.integers(3)]
    # Small records as often as large ones: half of the time not in the stream.
    limit = end if random.integers(2) else min(end, 20_000)
    flip_bit(pack_file(path, number), limit, random)


def flip_bit(file: Path, limit: int, random: Random) -> None:
    at = int(random.integers(limit * 8))
    with file.open("r+b") as opened:
        opened.seek(at // 8)
        byte = opened.read(1)[0]
        opened.seek(at // 8)
        opened.write(bytes([byte ^ 1 << at % 8]))


def truncate(path: Path, filled: Filled, random: Random) -> None:
    number, end = list(filled.ends.items())[random.integers(3)]
    os.truncate(pack_file(path, number), int(random.integers(end)))


def swap(path: Path, filled: Filled, random: Random) -> None:
    """Two stretches of equal length change places, in one pack or between two."""
    one, at, length = stretch(filled, random)
    other, there, _ = stretch(filled, random)
    first = pack_file(path, one).read_bytes()[at : at + length]
    second = pack_file(path, other).read_bytes()[there : there + length]
    # A stretch that the pack's end cuts short stays as long as it was.
    splice(pack_file(path, one), at, len(second), second)
    splice(pack_file(path, other), there, len(second), first[: len(second)])


def splice(file: Path, at: int, length: int, new: bytes) -> None:
    """Put `new` where `length` bytes stand; what follows moves."""
    data = file.read_bytes()
    file.write_bytes(data[:at] + new + data[at + length :])


def overwrite(path: Path, filled: Filled, random: Random) -> None:
    """Blocks that hold zeros, or anything."""
    number, at, length = stretch(filled, random)
    new = random.bytes(length) if random.integers(2) else bytes(length)
    splice(pack_file(path, number), at, length, new)


def remove(path: Path, filled: Filled, random: Random) -> None:
    number, at, length = stretch(filled, random)
    splice(pack_file(path, number), at, length, b"")


def repeat(path: Path, filled: Filled, random: Random) -> None:
    number, at, length = stretch(filled, random)
    block = pack_file(path, number).read_bytes()[at : at + length]
    splice(pack_file(path, number), at, length, block * 2)


def roll_back(path: Path, filled: Filled, random: Random) -> None:
    """A pack, or two, as they were at some moment before."""
    before = filled.earlier[random.integers(1, len(filled.earlier))]
    packs = [name for name in before if name.startswith("packs/")]
    for name in random.choice(packs, min(len(packs), 1 + random.integers(2)), replace=False):
        (path / name).write_bytes(before[name])


def swap_files(path: Path, filled: Filled, random: Random) -> None:
    one, other = random.permutation(3)[:2] + 1
    pack_file(path, one).rename(path / "aside")
    pack_file(path, other).rename(pack_file(path, one))
    (path / "aside").rename(pack_file(path, other))


PACK_DAMAGE: list[Callable[[Path, Filled, Random], None]] = [
    *[flip] * 5,
    truncate,
    swap,
    overwrite,
    remove,
    repeat,
    roll_back,
]


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


def damage_packs(folder: Path, filled: Filled, *, rounds: int, seed: int) -> Counter[str]:
    """That many damaged copies, each read and verified; how often each kind was done and found."""
    random = np.random.Generator(np.random.PCG64(seed))
    done: Counter[str] = Counter()
    before = used(filled.path, filled)
    for at in range(rounds):
        path = filled.copy(folder / f"{at}")
        damage = PACK_DAMAGE[random.integers(len(PACK_DAMAGE))]
        damage(path, filled, random)
        if used(path, filled) != before:
            done[damage.__name__] += 1
            with (
                contextlib.suppress(DamageError),  # said when it was opened
                LocalStore(path, read_only=bool(at % 2)) as store,
            ):
                found = not store.verify().ok
                read_all(store, filled)
                assert found, f"round {at}: {damage.__name__} was not found"
        shutil.rmtree(path)
    return done


def spoil(file: Path, random: Random) -> str:
    """Damage an index, or its log; how."""
    data = file.read_bytes()
    how = ("flip", "flip", "truncate", "overwrite", "swap", "repeat")[random.integers(6)]
    at, there = sorted(map(int, random.integers(len(data), size=2)))
    if how == "flip":
        flip_bit(file, len(data), random)
    elif how == "truncate":
        os.truncate(file, at)
    elif how == "overwrite":
        splice(file, at, min(600, len(data) - at), random.bytes(min(600, len(data) - at)))
    elif how == "swap":  # two pages
        one, other = at // 4096 * 4096, there // 4096 * 4096
        first, second = data[one : one + 4096], data[other : other + 4096]
        splice(file, one, len(second), second)
        splice(file, other, len(second), first)
    else:  # a page that stands over another
        splice(file, there // 4096 * 4096, 4096, data[at // 4096 * 4096 :][:4096])
    return how


def damage_index(folder: Path, filled: Filled, *, rounds: int, seed: int) -> Counter[str]:
    """Damage to the index and its log, or an older one: everything is read all the same."""
    random = np.random.Generator(np.random.PCG64(seed))
    wanted = 4 * len(filled.objects)
    done: Counter[str] = Counter()
    for at in range(rounds):
        path = filled.copy(folder / f"{at}")
        logs = [log for log in path.glob("index.sqlite-wal") if log.stat().st_size]
        if random.integers(6):
            how = spoil([path / "index.sqlite", *logs][random.integers(1 + len(logs))], random)
        else:
            how = "roll_back"
            remove_index(path)
            before = filled.earlier[random.integers(len(filled.earlier))]
            (path / "index.sqlite").write_bytes(before["index.sqlite"])
        with LocalStore(path, read_only=bool(at % 2)) as store:
            if random.integers(2):
                read_all(store, filled)  # before anything was compared
            report = store.verify()
            right = read_all(store, filled)
            if right != wanted or dict(store.roots()) != filled.roots:
                # An index that lies in a believable way is found out when it is compared.
                assert report.index_is_wrong or not report.ok, f"round {at}: {how}"
        assert used(path, filled) == used(filled.path, filled)  # no word of the index harms a pack
        with LocalStore(path) as store:
            store.repair()
            assert read_all(store, filled) == wanted, f"round {at}"
            assert dict(store.roots()) == filled.roots
            assert store.verify().ok
        done[how] += 1
        shutil.rmtree(path)
    return done


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return Filled(tmp_path_factory.mktemp("damage") / "store")


@pytest.mark.slow
def test_damage_to_packs_is_found_and_never_returned(tmp_path: Path, filled: Filled) -> None:
    assert damage_packs(tmp_path, filled, rounds=60, seed=1).total() > 50


@pytest.mark.slow
def test_a_damaged_index_hides_nothing(tmp_path: Path, filled: Filled) -> None:
    damage_index(tmp_path, filled, rounds=12, seed=2)


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


@pytest.mark.parametrize("how", ["flip", "zeros", "older"])
def test_a_root_that_damage_took_from_the_packs_is_still_known(tmp_path: Path, how: str) -> None:
    path = tmp_path / "store"
    with LocalStore(path) as store:
        store.set_root("other", store.put(b"other" * 100))
        before = pack_file(path, 1).read_bytes()
        precious = store.put(b"precious" * 100)
        begin = store._keeper.followed().end
        store.set_root("a", precious)
    if how == "flip":
        with LocalStore(path) as store:
            store.put(b"later")  # so that it is no unfinished write
        data = pack_file(path, 1).read_bytes()
        splice(pack_file(path, 1), begin + 70, 1, bytes([data[begin + 70] ^ 1]))
    elif how == "zeros":
        splice(pack_file(path, 1), begin, 192, bytes(192))
    else:
        pack_file(path, 1).write_bytes(before)
    with LocalStore(path) as store:
        found = store.verify()
        assert not found.ok
        report = store.gc(grace_s=0)
        assert report.dropped == 0
        assert "`redoxa store repair` binds them again" in report.notes[-1]
        assert store.root("a") == precious
        store.put(b"precious" * 100)  # where the object went, too
        store.repair()
    remove_index(path)
    with LocalStore(path) as store:
        assert store.root("a") == precious
        store.gc(grace_s=0)
        assert store.get(precious) == b"precious" * 100


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_ten_thousand_damages_are_found_and_never_returned(
    tmp_path: Path,
    filled: Filled,
    seed: int,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """A thousand for each of ten seeds, four of five in the packs."""
    share = 100 if os.environ.get("REDOXA_LONG") == "bounded" else 1_000
    packs = damage_packs(tmp_path, filled, rounds=4 * share // 5, seed=seed)
    index = damage_index(tmp_path, filled, rounds=share // 5, seed=seed)
    record_testsuite_property(f"damage to packs found, seed {seed}", dict(sorted(packs.items())))
    record_testsuite_property(f"damage to the index, seed {seed}", dict(sorted(index.items())))
    assert packs.keys() == {damage.__name__ for damage in PACK_DAMAGE}
