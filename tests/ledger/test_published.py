"""A published log, read by a reader that knows nothing but the pages of C2SP and RFC 6962.

It shares no code with the ledger: hashes are Python's own, signatures those of `cryptography`.
"""

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cid_store.encoding import decode
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.durable import locked_folder
from ring2_orchestrator.ledger.serving import resources

Unhurried = Callable[[], object]
SIZES = (0, 1, 2, 255, 256, 257, 513)


class Reader:
    """A client of a tiled log in a folder."""

    def __init__(self, folder: Path, verifier_key: str) -> None:
        self.folder = folder
        text, _, signatures = (folder / "checkpoint").read_bytes().partition(b"\n\n")
        name, key_id, key = verifier_key.split("+", 2)
        algorithm, public = base64.b64decode(key)[:1], base64.b64decode(key)[1:]
        assert algorithm == b"\1"
        dash, signer, signature = signatures.decode().removesuffix("\n").split(" ")
        assert (dash, signer) == ("\u2014", name)
        raw = base64.b64decode(signature, validate=True)
        assert raw[:4].hex() == key_id
        assert hashlib.sha256(name.encode() + b"\n\1" + public).digest()[:4] == raw[:4]
        Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text + b"\n")
        origin, size, root = text.decode().split("\n")
        assert origin == name
        self.size, self.root = int(size), base64.b64decode(root)

    def resource(self, level: str, index: int, width: int) -> bytes:
        digits = str(index)
        digits = "0" * (-len(digits) % 3) + digits
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        partial = f".p/{width}" if width < 256 else ""
        return (self.folder / "tile" / level / f"{path}{partial}").read_bytes()

    def entries(self) -> list[bytes]:
        found: list[bytes] = []
        for first in range(0, self.size, 256):
            data = self.resource("entries", first // 256, min(256, self.size - first))
            while data:
                length = int.from_bytes(data[:2], "big")
                found.append(data[2 : 2 + length])
                data = data[2 + length :]
        assert len(found) == self.size
        return found

    def check_tiles(self, leaves: list[bytes]) -> None:
        """Every tile of every level is what the definition says it is."""
        level, span = 0, 1
        while count := self.size // span:
            for first in range(0, count, 256):
                width = min(256, count - first)
                hashes = [
                    tree_hash(leaves[at * span :][:span]) for at in range(first, first + width)
                ]
                assert self.resource(str(level), first // 256, width) == b"".join(hashes)
            level, span = level + 1, span * 256


def tree_hash(leaves: list[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_hash(leaves[:half]) + tree_hash(leaves[half:])).digest()


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["--home", str(tmp_path / "home"), "ledger", "key", "new"]) == 0
    return tmp_path / "home"


def grow(home: Path, size: int) -> None:
    with Home(home, clock=ManualClock(wall_ns=1_700_000_000_000_000_000)) as opened:
        for number in range(len(opened.ledger), size):
            opened.ledger.append([number], kind="number", subject="s" * (number % 40))


def published(home: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> Reader:
    capsys.readouterr()
    assert main(["--home", str(home), "ledger", "publish", str(folder)]) == 0
    capsys.readouterr()
    assert main(["--home", str(home), "ledger", "key", "show"]) == 0
    return Reader(folder, capsys.readouterr().out.strip())


def judge(reader: Reader, size: int) -> None:
    entries = reader.entries()
    leaves = [hashlib.sha256(b"\0" + entry).digest() for entry in entries]
    assert (reader.size, reader.root) == (size, tree_hash(leaves))
    reader.check_tiles(leaves)
    nodes = [node for node in map(decode, entries) if isinstance(node, dict)]
    assert [node["subject"] for node in nodes] == ["s" * (at % 40) for at in range(size)]


@pytest.mark.slow
def test_a_stranger_reads_what_is_published_whatever_was_there_before(
    home: Path, tmp_path: Path, unhurried: Unhurried, capsys: pytest.CaptureFixture[str]
) -> None:
    with unhurried():  # pyright: ignore[reportGeneralTypeIssues]
        for size in SIZES:
            grow(home, size)
            judge(published(home, tmp_path / "followed", capsys), size)
            judge(published(home, tmp_path / f"at-{size}", capsys), size)
    followed = tmp_path / "followed"
    for size in SIZES:
        for path in (tmp_path / f"at-{size}" / "tile").rglob("*"):
            if path.is_file():  # what was served once is served for ever
                same = followed / path.relative_to(tmp_path / f"at-{size}")
                assert same.read_bytes() == path.read_bytes()


def test_a_publication_that_was_broken_off_is_finished_by_the_next(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(home, 3)
    folder = tmp_path / "public"
    with monkeypatch.context() as patch:

        def breaks(*args: object, **more: object) -> object:
            yield from list(resources(*args, **more))[:1]  # pyright: ignore[reportArgumentType]
            raise KeyboardInterrupt

        patch.setattr("ring2_orchestrator.ledger.serving.resources", breaks)
        assert main(["--home", str(home), "ledger", "publish", str(folder)]) == 130
    assert not (folder / "checkpoint").exists()
    judge(published(home, folder, capsys), 3)


def test_what_is_not_this_log_s_is_left_alone(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grow(home, 4)
    older, other = tmp_path / "older", tmp_path / "other"
    shutil.copytree(home, older)
    grow(home, 6)
    public, full = tmp_path / "public", tmp_path / "full"
    published(home, public, capsys)
    before = {path: path.read_bytes() for path in public.rglob("*") if path.is_file()}
    grow(other, 7)
    full.mkdir()
    (full / "mine").touch()
    for words, code, says in (
        ([str(older), str(public)], 4, "was rolled back: entry 4 and all after it are missing"),
        ([str(other), str(public)], 4, "the ledger was replaced, or the checkpoint is another's"),
        ([str(home), str(full)], 3, "holds something else; name a new or an empty folder"),
        ([str(home), str(full / "mine")], 3, "cannot be used (Not a directory)"),
        ([str(tmp_path / "new"), str(tmp_path / "x")], 3, "there is no key in"),
    ):
        assert main(["--home", words[0], "ledger", "publish", words[1]]) == code
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert says in captured.err
    assert {path: path.read_bytes() for path in public.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("within", ["ledger", "ledger/tile", "store/packs", "new"])
def test_the_home_itself_is_no_place_to_publish_to(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], within: str
) -> None:
    grow(home, 3)
    (home / "ledger").rename(tmp_path / "elsewhere")
    (home / "ledger").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(home / within)
    before = (home / "ledger" / "checkpoint").read_bytes()
    for folder in (home / within, tmp_path / "link"):
        assert main(["--home", str(home), "ledger", "publish", str(folder)]) == 3
        assert "is a folder of the home itself" in capsys.readouterr().err
    assert (home / "ledger" / "checkpoint").read_bytes() == before
    assert not (home / "new").exists()
    grow(home, 4)


@pytest.mark.parametrize("plant", ["pipe", "link", "dangling"])
def test_a_checkpoint_that_is_no_file_is_neither_waited_for_nor_followed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], plant: str
) -> None:
    grow(home, 2)
    public, victim = tmp_path / "public", tmp_path / "victim"
    published(home, public, capsys)
    if plant != "dangling":
        shutil.copyfile(public / "checkpoint", victim)
    (public / "checkpoint").unlink()
    if plant == "pipe":
        os.mkfifo(public / "checkpoint")
    else:
        (public / "checkpoint").symlink_to(victim)
    grow(home, 3)
    assert main(["--home", str(home), "ledger", "publish", str(public)]) == 3
    assert "is no plain file" in capsys.readouterr().err
    assert not (public / "tile" / "entries" / "000.p" / "3").exists()


def test_nothing_is_written_through_a_link_in_the_folder(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grow(home, 2)
    public, elsewhere = tmp_path / "public", tmp_path / "elsewhere"
    published(home, public, capsys)
    shutil.move(public / "tile" / "entries", elsewhere)
    (public / "tile" / "entries").symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    grow(home, 3)
    assert main(["--home", str(home), "ledger", "publish", str(public)]) == 5
    assert "symbolic link" in capsys.readouterr().err
    assert sorted(elsewhere.rglob("*")) == before


def test_two_never_publish_to_one_folder_at_once(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(home, 2)
    public = tmp_path / "public"
    published(home, public, capsys)
    grow(home, 3)
    monkeypatch.setattr("ring2_orchestrator.commands.ledger.publishing._LOCK_TIMEOUT_S", 0.0)
    with locked_folder(public, timeout_s=0):
        assert main(["--home", str(home), "ledger", "publish", str(public)]) == 5
    assert f"another process has held {public}" in capsys.readouterr().err
    judge(published(home, public, capsys), 3)


def test_what_a_kill_or_a_copied_checkpoint_left_is_completed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grow(home, 257)
    public, lone, cut = tmp_path / "public", tmp_path / "lone", tmp_path / "cut"
    published(home, public, capsys)
    lone.mkdir()
    shutil.copyfile(public / "checkpoint", lone / "checkpoint")
    judge(published(home, lone, capsys), 257)
    cut.mkdir()
    (cut / ".checkpoint.k3x9.part").write_bytes(b"redoxa/")
    judge(published(home, cut, capsys), 257)


def test_as_json_it_says_what_the_head_is(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grow(home, 2)
    capsys.readouterr()
    words = ["--home", str(home), "ledger", "publish", str(tmp_path / "public"), "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["size"], said["files"]) == (2, 2)
    reader = published(home, tmp_path / "public", capsys)
    assert base64.b64decode(said["root_hash"]) == reader.root
