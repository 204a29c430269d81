"""A home in a bad place, or with something foreign in it: a sentence each, and nothing is lost."""

import errno
import fcntl
import gc
import itertools
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from zlib import crc32

import pytest

from cid_store.encoding import decode, encode
from cid_store.errors import RedoxaError
from cid_store.local import LocalStore
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import log

FRESH = b"fresh " * 40_000
KEPT = b"kept " * 1000
EVERYWHERE = ("put new", "get KEPT", "gc --grace 0", "verify", "stat")
STORE = tuple(f"store {words}" for words in EVERYWHERE)
LEDGER = ("ledger log", "ledger verify")
READS = ("store get KEPT", "store verify", "store stat", "store roots", *LEDGER, "ledger show 0")


class Shell:
    """A home that holds one object and one entry, and what is typed at it."""

    def __init__(self, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capfd = capfd
        with Home(home) as made:
            self.cid = made.store.put(KEPT)
            made.store.set_root("kept", self.cid)
            made.ledger.append(["entry"], kind="t", subject="s")

    def type(self, line: str) -> tuple[int, str]:
        """Exit code and what was said; whatever is refused is refused in a sentence."""
        words = line.replace("KEPT", str(self.cid)).split()
        self._capfd.readouterr()
        code = main(["--home", str(self.home), *words])
        said = self._capfd.readouterr().err
        assert code in (0, 3, 4, 5), (line, code, said)
        if code:
            lines = said.splitlines()
            # A command whose work is to find damage names all of it.
            assert len(lines) == 1 or (code == 4 and words[1] in ("verify", "gc")), (line, said)
            assert all(text.startswith("redoxa: ") for text in lines), (line, said)
        return code, said

    def append(self) -> str:
        """Append to the ledger as a run does; what was said of it."""
        try:
            with Home(self.home) as home:
                home.ledger.append(["more"], kind="t", subject="s")
        except RedoxaError as error:
            return str(error)
        return ""

    def check(self) -> None:
        """All is there that was there, and work goes on."""
        for line in ("store get KEPT", "store verify", "ledger verify", "store put new"):
            assert self.type(line)[0] == 0, line
        with Home(self.home) as home:
            assert home.store.root("kept") == self.cid
            assert home.store.get(self.cid) == KEPT
            assert home.ledger.read(0).entries == ("entry",)
            home.ledger.append(["after"], kind="t", subject="s")


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new").write_bytes(FRESH)
    return Shell(tmp_path / "home", capfd)


@pytest.fixture
def promptly() -> Generator[None]:
    """Whoever waits for a pipe that nobody writes to is called back."""

    def wake(*_: object) -> None:
        raise AssertionError("something waits for ever")

    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# Foreign things


PLACES = {
    "store": STORE,
    "store/packs": STORE,
    "store/packs/00000001.pack": STORE,
    "store/index.sqlite": STORE,
    "store/index.sqlite-wal": STORE,
    "store/index.sqlite-shm": STORE,
    "store/index.new": STORE,
    "store/lock": STORE,
    "store/torn": STORE,
    "ledger": LEDGER,
    "ledger/checkpoint": (*LEDGER, "store gc"),
    "ledger/checkpoint.new": LEDGER,
    "ledger/lock": LEDGER,
    "ledger/tile": (*LEDGER, "store gc"),
    "ledger/tile/entries": (*LEDGER, "store gc"),
    "ledger/tile/entries/000": (*LEDGER, "store gc"),
    "ledger/tile/entries/001": LEDGER,
    "ledger/tile/0": LEDGER,
    "ledger/tile/0/000": LEDGER,
}
FOREIGN: dict[str, Callable[[Path, Path], object]] = {
    "link to a file": lambda place, other: place.symlink_to(other / "file"),
    "link to a folder": lambda place, other: place.symlink_to(other),
    "link to nothing": lambda place, other: place.symlink_to(other / "nothing"),
    "pipe": lambda place, _: os.mkfifo(place),
    "folder": lambda place, _: place.mkdir(),
    "file": lambda place, _: place.write_bytes(b"foreign"),
}


QUICK = ("pipe", "link to a file")


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.long) for kind in FOREIGN],
)
@pytest.mark.parametrize("name", PLACES)
def test_what_is_foreign_is_named_and_never_touched_or_waited_for(
    shell: Shell, tmp_path: Path, promptly: None, name: str, kind: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_bytes(b"precious")
    place = shell.home / name
    was_there = place.exists()
    if was_there:
        place.rename(tmp_path / "aside")
    FOREIGN[kind](place, other)
    codes = {line: shell.type(line)[0] for line in PLACES[name]}
    # What is kept in a store of somebody else's goes with it.
    refusal = shell.append() if name.startswith("ledger") else ""
    if was_there and kind == "pipe":
        assert refusal or any(codes.values())
    if name != "ledger" or kind != "link to a folder":  # a ledger may lie elsewhere
        assert sorted(path.name for path in other.iterdir()) == ["file"]
    assert (other / "file").read_bytes() == b"precious"
    if was_there:
        shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
        (tmp_path / "aside").rename(place)
    elif os.path.lexists(place):
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
    assert shell.type("store repair")[0] == 0  # as always when a pack is brought back
    shell.check()


@pytest.mark.parametrize("name", ["packs", "packs/00000001.pack", "index.sqlite", "lock"])
def test_a_link_to_what_was_there_is_a_link_all_the_same(
    shell: Shell, tmp_path: Path, name: str
) -> None:
    place = shell.home / "store" / name
    place.rename(tmp_path / "aside")
    place.symlink_to(tmp_path / "aside")
    kind = "folder" if name == "packs" else "file"
    says = f"{place} is a symbolic link, and a store follows none; put the {kind} itself there"
    for line in STORE:
        code, said = shell.type(line)
        assert (code, says in said) == (4, True), (line, said)
    place.unlink()
    (tmp_path / "aside").rename(place)
    shell.check()


@pytest.mark.parametrize("name", ["tile", "tile/entries", "tile/0"])
def test_nothing_is_appended_through_a_link(shell: Shell, tmp_path: Path, name: str) -> None:
    place = shell.home / "ledger" / name
    place.rename(tmp_path / "aside")
    place.symlink_to(tmp_path / "aside")
    assert f"cannot be written ({place.name} is a symbolic link)" in shell.append()
    place.unlink()
    (tmp_path / "aside").rename(place)
    shell.check()


def test_what_is_cut_off_a_pack_is_not_kept_behind_a_link(shell: Shell, tmp_path: Path) -> None:
    store = shell.home / "store"
    (tmp_path / "other").mkdir()
    (store / "torn").symlink_to(tmp_path / "other")
    for file in store.glob("index*"):
        file.unlink()
    pack = store / "packs" / "00000001.pack"
    with LocalStore(store, read_only=True) as opened:
        end = sum(fill.used for fill in opened.census().packs) + 64
    before = pack.read_bytes()
    with pack.open("r+b") as file:
        file.seek(end)
        file.write(b"a write that did not finish")
    code, said = shell.type("store verify")
    assert code == 4
    assert f"{store / 'torn'} is a symbolic link" in said
    assert list((tmp_path / "other").iterdir()) == []
    assert pack.read_bytes()[:end] == before[:end]
    (store / "torn").unlink()
    shell.check()
    assert len(list((store / "torn").iterdir())) == 1


# Permissions, and who else is there


@pytest.mark.parametrize("name", ["store", "store/packs", "ledger", "ledger/tile/entries"])
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_folder_without_permission_is_said(
    shell: Shell, powerless: None, name: str, mode: int
) -> None:
    place = shell.home / name
    place.chmod(mode)
    said = [shell.type(line) for line in (*STORE, *LEDGER)]
    refused = [text for code, text in said if code] + [shell.append()]
    place.chmod(0o700)
    # Where nothing may be added, what is there may still be written to.
    assert mode or all("Permission denied" in text for text in refused), refused
    shell.check()


@contextmanager
def held(path: Path) -> Generator[None]:
    """Another process holds that lock."""
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_a_store_that_another_writes_to_is_read_and_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = LocalStore.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "lock_timeout_s", 0.05)
    with held(shell.home / "store" / "lock"):
        for line in ("store get KEPT", "store stat", "store verify", *LEDGER):
            assert shell.type(line)[0] == 0, line
        for line in ("store put new", "store gc"):
            code, said = shell.type(line)
            assert code == 5
            assert "is being written by another process (waited 0.05 s); try again" in said
    shell.check()


def test_a_ledger_that_another_writes_to_is_read_and_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LOCK_TIMEOUT_S", 0.05)
    with held(shell.home / "ledger" / "lock"):
        for line in LEDGER:
            assert shell.type(line)[0] == 0, line
        assert "has held" in shell.append()
    shell.check()


# Later formats


def test_a_pack_of_a_later_format_is_said_and_left_alone(shell: Shell) -> None:
    pack = shell.home / "store" / "packs" / "00000001.pack"
    before = pack.read_bytes()
    head = before[:7] + b"\x63" + before[8:60]
    later = head + crc32(head).to_bytes(4, "little") + before[64:]
    pack.write_bytes(later)
    for line in STORE:
        code, said = shell.type(line)
        assert code == 3, (line, said)
        assert "has format version 99, and this Redoxa reads" in said
    assert pack.read_bytes() == later
    pack.write_bytes(before)
    shell.check()


def test_an_index_of_a_later_format_is_made_anew(shell: Shell) -> None:
    """It is a cache: what a later one says of the packs, the packs say themselves."""
    index = shell.home / "store" / "index.sqlite"
    for _ in STORE:
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version = 99")
        shell.check()


def test_a_ledger_of_a_later_format_is_said_and_left_alone(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(leaf: log.Leaf) -> bytes:
        node = decode(plain(leaf))
        assert isinstance(node, dict)
        return encode({**node, "v": 99})

    plain = log.encode_leaf
    monkeypatch.setattr(log, "encode_leaf", later)
    assert shell.append() == ""
    monkeypatch.undo()
    for line in (*LEDGER, "store gc"):
        code, said = shell.type(line)
        assert code == 4
        assert "entry 1 cannot be read" in said
        assert "a newer Redoxa may have written it" in said
    assert shell.type("store get KEPT")[0] == 0


# Disks


@contextmanager
def disk(path: Path, size: str) -> Generator[None]:
    """A small disk at `path`; needs the superuser."""
    words = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own needs the superuser, and a kernel that lets him mount")
    gc.disable()  # what is let go is let go at once, not when a collector finds it
    try:
        yield
    finally:
        gc.enable()
        # Busy where a command that ended still holds a file of it.
        subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def on_a_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[str], AbstractContextManager[tuple[Path, Shell]]]:
    """A shell whose home alone lies on a disk of that size, and the disk."""

    @contextmanager
    def made(size: str) -> Generator[tuple[Path, Shell]]:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "new").write_bytes(FRESH)
        place = tmp_path / "disk"
        place.mkdir()
        with disk(place, size):
            yield place, Shell(place / "home", capfd)

    return made


def take_the_room(shell: Shell) -> None:
    """Let the next append need blocks of the disk: nothing is left of those laid out before."""
    pack = shell.home / "store" / "packs" / "00000001.pack"
    os.truncate(pack, len(pack.read_bytes().rstrip(b"\0")) // 64 * 64 + 64)


def refusals(shell: Shell, lines: Sequence[str]) -> list[str]:
    """What was refused for the disk's sake, each in a sentence with the right exit code."""
    said = [shell.type(line) for line in lines]
    assert all(code in (0, 3, 5) for code, _ in said), said
    return [text for code, text in said if code] + [shell.append()]


def leave_of_the_index(home: Path, what: str) -> None:
    """The index as commands leave it, with its log in its own file, or none."""
    index = home / "store" / "index.sqlite"
    if what == "folded":
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in index.parent.glob("index*" if what == "none" else "index.sqlite-*"):
        if what != "as it is":
            path.unlink(missing_ok=True)


def check_reads(shell: Shell) -> None:
    """What needs no writing is done as ever, and nothing half-made is left."""
    for line in READS:
        assert shell.type(line)[0] == 0, line
    assert not (shell.home / "store" / "index.new").exists()


@pytest.mark.parametrize("index", ["as it is", "folded", "none"])
def test_a_full_disk_is_a_sentence_and_what_is_there_stays(
    on_a_disk: Callable[[str], AbstractContextManager[tuple[Path, Shell]]], index: str
) -> None:
    with on_a_disk("3m") as (place, shell):
        take_the_room(shell)
        leave_of_the_index(shell.home, index)
        with (
            pytest.raises(OSError, match=os.strerror(errno.ENOSPC)),
            open(place / "filler", "wb", buffering=0) as filler,  # noqa: PTH123 - to the last block
        ):
            filler.writelines(itertools.repeat(bytes(4096)))
        check_reads(shell)
        said = refusals(shell, (*STORE, *LEDGER))
        assert all(re.search("No space left|full|disk I/O", text) for text in said if text), said
        assert index != "as it is" or "No space left on device" in said[0]
        check_reads(shell)
        (place / "filler").unlink()
        shell.check()


def test_a_file_that_may_not_grow_is_a_full_disk(shell: Shell) -> None:
    take_the_room(shell)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        code, said = shell.type("store put new")
        assert shell.type("store get KEPT")[0] == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert code == 5
    assert "could not be written (File too large); nothing of this put is kept" in said
    shell.check()


@pytest.mark.parametrize("index", ["as it is", "folded", "none"])
def test_a_disk_for_reading_only_is_read_and_what_writes_says_so(
    on_a_disk: Callable[[str], AbstractContextManager[tuple[Path, Shell]]], index: str
) -> None:
    with on_a_disk("8m") as (place, shell):
        leave_of_the_index(shell.home, index)
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        check_reads(shell)
        assert shell.type("store gc --dry-run")[0] == 0
        writes = ("store put new", "store gc --grace 0", "store repair", "store unbind kept")
        said = refusals(shell, writes)
        assert len(said) == len(writes) + 1
        assert all("Read-only file system" in text for text in said), said
        with LocalStore(shell.home / "store", read_only=True) as store:
            assert store.get(shell.cid) == KEPT
        subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
        shell.check()
