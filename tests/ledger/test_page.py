"""docs/formats/ledger.md is right: a reader written from it alone reads a real log and its proofs.

Only hashlib, base64, msgpack and an Ed25519 library are used; nothing of the ledger's own code.
"""

import base64
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.home import Home

SIZE = 260


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf(entry: bytes) -> bytes:
    return sha(b"\x00" + entry)


def root(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else sha(b"")
    split = 1
    while 2 * split < len(hashes):
        split *= 2
    return sha(b"\x01" + root(hashes[:split]) + root(hashes[split:]))


def bundle(data: bytes) -> list[bytes]:
    entries: list[bytes] = []
    while data:
        length = int.from_bytes(data[:2], "big")
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    return entries


def checkpoint(text: str) -> tuple[str, int, bytes]:
    origin, size, encoded = text.split("\n")[:3]
    return origin, int(size), base64.b64decode(encoded, validate=True)


def signed_by(note: str, vkey: str) -> bool:
    text, _, lines = note.rpartition("\n\n")
    name, hexadecimal, key = vkey.split("+", 2)
    raw = base64.b64decode(key)
    assert sha(f"{name}\n".encode() + raw)[:4].hex() == hexadecimal
    assert raw[0] == 1
    for line in lines.splitlines():
        dash, signer, encoded = line.split(" ")
        data = base64.b64decode(encoded, validate=True)
        if (dash, signer, data[:4].hex()) == ("\u2014", name, hexadecimal):
            Ed25519PublicKey.from_public_bytes(raw[1:]).verify(data[4:], f"{text}\n".encode())
            return True
    return False


def climb(value: bytes, index: int, size: int, hashes: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.3.2: from a leaf to the root."""
    at, last = index, size - 1
    for sibling in hashes:
        assert last
        if at & 1 or at == last:
            value = sha(b"\x01" + sibling + value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = sha(b"\x01" + value + sibling)
        at, last = at >> 1, last >> 1
    assert last == 0
    return value


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "home"
    with Home(path, clock=ManualClock(wall_ns=5)) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", os.fstat)
        for number in range(SIZE):
            opened.ledger.append([number], kind="run", subject=f"s{number}")
    return path


def typed(home: Path, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "redoxa", "--home", str(home), "ledger", *words],
        capture_output=True,
        check=True,
        encoding="utf-8",
        timeout=60,
    ).stdout


def test_a_stranger_reads_the_files(home: Path) -> None:
    tile = home / "ledger" / "tile"
    entries = [e for n in ("000", "001") for e in bundle((tile / "entries" / n).read_bytes())]
    origin, size, head = checkpoint((home / "ledger" / "checkpoint").read_text("utf-8"))
    assert origin.startswith("redoxa/ledger/")
    assert len(entries) == size == SIZE
    hashes = [leaf(entry) for entry in entries]
    assert root(hashes) == head
    assert (tile / "0" / "000").read_bytes() == b"".join(hashes[:256])
    assert (tile / "0" / "001").read_bytes() == b"".join(hashes[256:])
    assert (tile / "1" / "000").read_bytes() == root(hashes[:256])
    said = msgpack.unpackb(entries[7])
    assert set(said) == {"v", "batch", "kind", "subject", "time_ns"}
    assert (said["v"], said["kind"], said["subject"], said["time_ns"]) == (1, "run", "s7", 5)


@pytest.mark.slow
def test_a_stranger_checks_signatures_and_proofs(home: Path, tmp_path: Path) -> None:
    vkey = typed(home, "key", "new").strip()
    old = typed(home, "checkpoint", "--sign")
    (tmp_path / "old").write_text(old, "utf-8")
    assert signed_by(old, vkey)
    secret = (home / "keys" / "ledger.key").read_text("utf-8")
    assert secret.split("+")[:4] == ["PRIVATE", "KEY", *vkey.split("+")[:2]]
    with Home(home) as opened:
        for number in range(3):
            opened.ledger.append([number], kind="run", subject="new")

    head, _, note = typed(home, "prove", "258", "--sign").partition("\n\n")
    title, extra, index, *encoded = head.split("\n")
    assert (title, index) == ("c2sp.org/tlog-proof@v1", "index 258")
    entry = base64.b64decode(extra.removeprefix("extra "), validate=True)
    assert msgpack.unpackb(entry)["subject"] == "s258"
    assert signed_by(note, vkey)
    _, size, top = checkpoint(note)
    assert climb(leaf(entry), 258, size, [base64.b64decode(line) for line in encoded]) == top

    head, _, note = typed(home, "prove", "--from", str(tmp_path / "old")).partition("\n\n")
    first, *encoded = head.split("\n")
    assert first == f"old {SIZE}"
    hashes = [base64.b64decode(line) for line in encoded]
    # 260 of 263 entries: 256 and 4 are whole subtrees of the old log, the last 3 are new.
    four, three, many = hashes
    assert sha(b"\x01" + many + four) == checkpoint(old)[2]
    assert sha(b"\x01" + many + sha(b"\x01" + four + three)) == checkpoint(note)[2]
