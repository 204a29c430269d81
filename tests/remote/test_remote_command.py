"""`redoxa store push`, `pull` and `remote`: between two homes, by way of a folder."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from cid_store.remote import RemoteStore, layout
from tests.cid_store.test_store import ABSENT, random_bytes
from tests.cid_store.test_store_command import Shell

LARGE = random_bytes((1 << 20) + 9)


@pytest.fixture
def other(shell: Shell, capfdbinary: pytest.CaptureFixture[bytes]) -> Shell:
    """A second home."""
    (shell.folder / "other").mkdir()
    return Shell(shell.folder / "other", capfdbinary)


def bind(shell: Shell, name: str, *blobs: bytes) -> Cid:
    """A root over a node that links to each of the blobs."""
    with LocalStore(shell.home / "store") as store:
        top = put_node(store, store.put_many(blobs))
        store.set_root(name, top)
    return top


@pytest.fixture
def url(folder: Path) -> str:
    return folder.as_uri()


@pytest.fixture(autouse=True)
def _homes(shell: Shell, other: Shell) -> None:
    assert shell("stat")[0] == other("stat")[0] == 0


def test_what_is_pushed_is_pulled_with_all_it_leads_to(
    shell: Shell, other: Shell, url: str
) -> None:
    top = bind(shell, "mine", b"one", LARGE)
    assert shell("push", url, "mine") == (
        0,
        b"",
        f"redoxa: {url}: 3 of 3 objects moved, 1.05 MB\n",
    )
    assert shell("push", url, "mine")[2] == f"redoxa: {url}: 0 of 3 objects moved, 0 B\n"
    code, out, _ = other("remote", url, "--json")
    assert (code, json.loads(out)) == (0, {"url": url, "roots": {"mine": str(top)}})
    code, out, _ = other("pull", url, "mine", "--json")
    assert code == 0
    assert json.loads(out) == {
        "url": url,
        "objects": 3,
        "moved": 3,
        "moved_bytes": 3 + len(LARGE) + len(bytes_of(shell, top)),
        "bound": {"mine": str(top)},
    }
    assert other("get", str(Cid.of(LARGE))) == (0, LARGE, "")
    with LocalStore(other.home / "store") as store:
        assert store.root("mine") == top
        assert store.verify().ok


def bytes_of(shell: Shell, cid: Cid) -> bytes:
    with LocalStore(shell.home / "store") as store:
        return store.get(cid)


def test_objects_go_by_their_cids(shell: Shell, other: Shell, url: str) -> None:
    bind(shell, "mine", b"one", b"two")
    assert shell("push", url, str(Cid.of(b"one")))[0] == 0
    assert other("pull", url, str(Cid.of(b"one")))[0] == 0
    assert other("get", str(Cid.of(b"one"))) == (0, b"one", "")
    code, _, message = other("pull", url, str(Cid.of(b"two")))
    assert (code, f"is not in the store at {url}; push it there first" in message) == (3, True)
    code, _, message = shell("push", url, str(ABSENT))
    assert (code, "put it first" in message) == (3, True)
    code, _, message = other("pull", url, "nothing")
    assert (code, f"'nothing' is neither a CID nor a root of the store at {url}" in message) == (
        3,
        True,
    )


def test_a_root_that_names_something_else_is_bound_anew_only_when_told(
    shell: Shell, other: Shell, url: str
) -> None:
    mine, theirs = bind(shell, "top", b"mine"), bind(other, "top", b"theirs")
    assert shell("push", url, "top")[0] == 0
    code, _, message = other("push", url, "top")
    assert code == 3
    assert f"the root 'top' in {url} names {mine}, not {theirs}; with --force" in message
    code, _, message = other("pull", url, "top")
    assert (code, f"names {theirs}, not {mine}" in message) == (3, True)
    assert other("push", url, "top", "--force")[0] == 0
    assert shell("pull", url, "top", "--force")[0] == 0
    with LocalStore(shell.home / "store") as store:
        assert store.root("top") == theirs


def test_a_root_bound_meanwhile_is_left_alone(
    shell: Shell, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(shell, "top", b"mine")
    swap = RemoteStore.swap_root

    def slow_swap(store: RemoteStore, name: str, seen: Cid | None, cid: Cid | None) -> bool:
        with RemoteStore(url) as other:
            other.set_root(name, other.put(b"theirs"))
        return swap(store, name, seen, cid)

    monkeypatch.setattr(RemoteStore, "swap_root", slow_swap)
    code, _, message = shell("push", url, "top")
    assert (code, "was bound by somebody else meanwhile" in message) == (3, True)
    with RemoteStore(url) as store:
        assert store.root("top") == Cid.of(b"theirs")


def test_push_replaces_what_was_cut_and_with_check_what_was_flipped(
    shell: Shell, url: str, folder: Path
) -> None:
    bind(shell, "top", b"first", b"second")
    assert shell("push", url, "top")[0] == 0
    (folder / layout.object_key(Cid.of(b"first"))).write_bytes(b"fir")
    (folder / layout.object_key(Cid.of(b"second"))).write_bytes(b"sEcond")
    assert "1 of 3 objects moved, 5 B" in shell("push", url, "top")[2]
    assert "1 of 3 objects moved, 6 B" in shell("push", url, "top", "--check")[2]
    with RemoteStore(url) as store:
        assert store.get_many([Cid.of(b"first"), Cid.of(b"second")]) == [b"first", b"second"]


def test_damage_there_is_exit_code_4_and_a_wrong_address_2(
    shell: Shell, other: Shell, url: str, folder: Path
) -> None:
    bind(shell, "top", b"first")
    shell("push", url, "top")
    (folder / layout.object_key(Cid.of(b"first"))).write_bytes(b"other")
    code, _, message = other("pull", url, "top")
    assert (code, "is corrupt at file://" in message) == (4, True)
    with LocalStore(other.home / "store") as store:
        assert store.root("top") is None
    code, _, message = shell("push", "https://me:hunter2@host/x", "top")
    assert (code, "hunter2" in message) == (2, False)


def test_a_service_out_of_reach_is_exit_code_5(shell: Shell, nobody: str) -> None:
    code, _, message = shell("remote", nobody)
    assert (code, message.count("\n"), "cannot be reached" in message) == (5, 1, True)


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_whoever_waits_for_a_silent_service_may_interrupt(shell: Shell, verb: str) -> None:
    bind(shell, "top", b"one")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_SKIP_SIGNATURE": "true",
        }
        command = [sys.executable, "-m", "redoxa", "store", verb, "s3://bucket/x", "top"]
        with (
            subprocess.Popen(
                [*command, "--home", str(shell.home)], stderr=subprocess.PIPE, env=environment
            ) as process,
            silent.accept()[0],
        ):  # now it waits for an answer
            process.send_signal(signal.SIGINT)
            message = process.communicate(timeout=60)[1]
    assert (process.returncode, message) == (130, b"redoxa: interrupted\n")


@pytest.mark.usefixtures("powerless")
def test_a_folder_that_may_not_be_written_is_named(shell: Shell, folder: Path, url: str) -> None:
    bind(shell, "mine", b"one")
    folder.mkdir(mode=0o500)
    # A process of its own: threads keep the powers they began with, and the client has some.
    done = subprocess.run(
        [sys.executable, "-m", "redoxa", "store", "push", url, "mine", "--home", str(shell.home)],
        check=False,
        capture_output=True,
        timeout=60,
    )
    said = f"redoxa: the store at {url} cannot be used (Permission denied)"
    assert (done.returncode, done.stdout) == (5, b"")
    assert done.stderr.decode().startswith(said)
    assert done.stderr.count(b"\n") == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("options", [["-f"], ["-f", "--check"]])
@pytest.mark.parametrize("size_bytes", [0, 70 << 10])
def test_a_damaged_root_is_bound_anew_with_force(
    shell: Shell, folder: Path, url: str, options: list[str], size_bytes: int
) -> None:
    for name in ("lost", "sound"):
        bind(shell, name, name.encode())
    assert shell("push", url, "lost", "sound")[0] == 0
    key = layout.root_key("lost")
    (folder / key).write_bytes(b"x" * size_bytes)
    code, out, message = shell("remote", url, "--json")
    assert (code, list(json.loads(out)["roots"])) == (4, ["sound"])
    assert message.startswith("redoxa: ")
    assert (key in message, message.count("\n")) == (True, 1)
    code, _, message = shell("push", url, "lost")
    assert (code, "bind the root anew with `redoxa store push --force`" in message) == (4, True)
    assert shell("push", url, "lost", *options)[0] == 0
    code, out, _ = shell("remote", url, "--json")
    assert (code, list(json.loads(out)["roots"])) == (0, ["lost", "sound"])


def test_damaged_objects_there_are_repaired_as_the_sentence_says(
    shell: Shell, other: Shell, folder: Path, url: str
) -> None:
    bind(shell, "mine", b"one")
    assert shell("push", url, "mine")[0] == 0
    (folder / layout.object_key(Cid.of(b"one"))).write_bytes(b"two")
    code, _, message = other("pull", url, "mine")
    assert (code, "`redoxa store push --check` to repair it" in message) == (4, True)
    assert shell("push", "--check", url, "mine")[0] == 0
    assert other("pull", url, "mine")[0] == 0
