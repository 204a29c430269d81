"""`redoxa store gc`, `roots` and `unbind`: what goes is said, what the ledger needs stays."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.local import LocalStore
from ring2_orchestrator.home import Home
from tests.cid_store.collecting import age
from tests.cid_store.test_store_command import Shell, shell

__all__ = ["shell"]  # the fixture


def put(shell: Shell, data: bytes, *words: str) -> Cid:
    file = shell.folder / "data"
    file.write_bytes(data)
    assert shell("put", str(file), *words)[0] == 0
    return Cid.of(data)


def test_what_is_bound_stays_and_the_rest_goes_when_it_is_old(shell: Shell) -> None:
    kept, lost = put(shell, b"kept", "--root", "mine"), put(shell, b"lost" * 100)
    store = shell.home / "store"
    code, out, message = shell("gc")
    assert (code, message) == (0, "")
    assert out.decode().splitlines() == [
        "0 objects, 0 B, gone; every pack stays",
        "1 objects, 400 B, too young to go",
        "2 objects, 404 B, stay",
    ]
    age(store)
    code, out, _ = shell("gc", "--dry-run", "--json")
    plan = json.loads(out)
    assert (plan["dropped"], plan["packs"], plan["dry_run"]) == (1, [1], True)
    code, out, _ = shell("gc", "--dry-run")
    assert out.decode().splitlines()[0] == "1 objects, 400 B, would go; packs 1 go"
    code, out, _ = shell("gc", "--grace", "30d")
    assert b"too young" in out
    code, out, _ = shell("gc")
    assert out.decode().splitlines() == [
        "1 objects, 400 B, gone; packs 1 go",
        "1 objects, 4 B, stay",
    ]
    assert shell("get", str(kept)) == (0, b"kept", "")
    assert shell("get", str(lost))[0] == 3
    assert shell("verify")[0] == 0


def test_roots_are_listed_and_unbound(shell: Shell) -> None:
    kept = put(shell, b"kept", "--root", "mine/a")
    code, out, _ = shell("roots", "mine/", "--json")
    assert (code, json.loads(out)) == (0, {"roots": {"mine/a": str(kept)}})
    assert shell("roots", "other")[1].split() == [b"root", b"names"]
    assert shell("unbind", "mine/a") == (0, b"", f"redoxa: mine/a named {kept}\n")
    code, _, message = shell("unbind", "mine/a")
    assert code == 3
    assert "the store has no root 'mine/a'; `redoxa store roots` lists them" in message
    assert shell("gc", "--grace", "0")[0] == 0
    assert shell("get", str(kept))[0] == 3


def test_what_the_ledger_remembers_stays(shell: Shell) -> None:
    with Home(shell.home) as home:
        remembered = home.store.put(b"remembered")
        home.ledger.append([{"saw": remembered}], kind="run", subject="test")
        home.store.put(b"lost" * 500)
    assert shell("gc", "--grace", "0")[0] == 0
    with Home(shell.home) as home:
        assert home.store.get(remembered) == b"remembered"
        assert home.ledger.read(0).entries == ({"saw": remembered},)
        home.ledger.verify()
        # With the batch that books what went.
        assert home.store.stat().objects == 3


def test_what_the_ledger_will_adopt_stays(shell: Shell) -> None:
    """An entry that a crash left beyond the checkpoint is taken up by the next append."""
    with Home(shell.home) as home:
        before = home.ledger.checkpoint()
        home.ledger.append(["in flight"], kind="run", subject="test")
        (home.ledger.path / "checkpoint").write_text(before)
    assert shell("gc", "--grace", "0")[0] == 0
    with Home(shell.home) as home:
        assert home.ledger.append(["after"], kind="run", subject="test").seq == 1
        assert home.ledger.read(0).entries == ("in flight",)
        home.ledger.verify()


NO_LEDGER: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "link to nothing": (
        lambda ledger, other: ledger.symlink_to(other / "not mounted"),
        "not mounted, where there is no folder; mount the disk it lies on",
    ),
    "link to a file": (
        lambda ledger, other: (other.write_bytes(b""), ledger.symlink_to(other)),
        "is a link to",
    ),
    "link to an empty folder": (
        lambda ledger, other: (other.mkdir(), ledger.symlink_to(other)),
        "where no ledger is now: mount the disk it lies on",
    ),
    "file": (lambda ledger, _: ledger.write_bytes(b""), "is no folder; move away what is there"),
    "pipe": (lambda ledger, _: os.mkfifo(ledger), "is no folder; move away what is there"),
    "its files gone": (
        lambda ledger, _: (ledger.mkdir(), (ledger / "tile").symlink_to("gone")),
        "its file `checkpoint` is missing or empty",
    ),
}


@pytest.mark.parametrize("kind", NO_LEDGER)
def test_nothing_goes_while_the_ledger_is_elsewhere(shell: Shell, kind: str) -> None:
    with Home(shell.home) as home:
        remembered = home.store.put(b"remembered")
        home.ledger.append([{"saw": remembered}], kind="run", subject="test")
    ledger, aside = shell.home / "ledger", shell.folder / "aside"
    ledger.rename(aside)
    make, says = NO_LEDGER[kind]
    make(ledger, shell.folder / "other")
    for words in (["--dry-run"], ["--grace", "0"]):
        code, _, message = shell("gc", *words)
        assert (code in (4, 5), message.count("\n")) == (True, 1)
        assert (says in message, str(ledger) in message) == (True, True), message
    shutil.rmtree(ledger) if kind == "its files gone" else ledger.unlink()
    ledger.symlink_to(aside)  # a ledger may lie elsewhere
    assert shell("gc", "--grace", "0")[0] == 0
    with Home(shell.home) as home:
        assert home.ledger.read(0).entries == ({"saw": remembered},)
        assert home.store.get(remembered) == b"remembered"


@pytest.mark.parametrize("left", [(), ("checkpoint.new", "lock", "origin")])
@pytest.mark.parametrize("name", ["ledger.key", "ledger.signed"])
def test_a_key_tells_that_there_was_a_ledger(
    shell: Shell, name: str, left: tuple[str, ...]
) -> None:
    lost = put(shell, b"a batch, or garbage")
    if left:  # what a folder holds in which no ledger could be begun
        (shell.home / "ledger").mkdir()
        for file in left:
            (shell.home / "ledger" / file).touch()
    key = shell.home / "keys" / name
    key.parent.mkdir()
    key.touch()
    code, _, message = shell("gc", "--grace", "0")
    assert code == 5
    assert f"there is no ledger in {shell.home / 'ledger'}, but {key} was made for one" in message
    assert shell("get", str(lost))[0] == 0
    key.unlink()
    assert shell("gc", "--grace", "0")[0] == 0
    assert shell("get", str(lost))[0] == 3


@pytest.mark.parametrize("text", ["7", "0", "90s", "1.5h", "7d", "2w"])
def test_a_time_may_be_given_in_many_units(shell: Shell, text: str) -> None:
    assert shell("gc", "--dry-run", "--grace", text)[0] == 0


@pytest.mark.parametrize("text", ["", "-1", "7y", "d", "1e9", "nan"])
def test_what_is_no_time_is_refused(shell: Shell, text: str) -> None:
    code, out, message = shell("gc", f"--grace={text}")
    assert (code, out) == (2, b"")
    assert f"{text!r} is no time; write 90s, 30m, 12h, 7d or 0" in message


def test_damage_is_said_and_nothing_goes(shell: Shell) -> None:
    with LocalStore(shell.home / "store") as store:
        cid = store.put(b"needed" * 9)
        store.set_root("a", cid)
        store.put(b"lost" * 100)
    pack: Path = shell.home / "store" / "packs" / "00000001.pack"
    pack.write_bytes(pack.read_bytes().replace(b"needed", b"nedeed"))
    code, out, message = shell("gc", "--grace", "0")
    assert (code, out.splitlines()[0]) == (0, b"0 objects, 0 B, gone; every pack stays")
    assert f"object {cid} is corrupt; its pack is left as it is" in message
