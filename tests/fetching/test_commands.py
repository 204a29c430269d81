"""`redoxa fetch` and `redoxa probe` as a person types them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from redoxa import VM, Realm
from ring2_orchestrator.home import Home
from tests.net.hostile import DATA
from tests.net.server import Site, unused_port

SECRET = "an-open-sesame-of-nobody"  # noqa: S105 - it opens nothing


def redoxa(folder: Path, *words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "redoxa", *words],
        cwd=folder,
        env={**os.environ, "REDOXA_HOME": str(folder / "home")},
        capture_output=True,
        check=False,
    )


def test_an_address_is_loaded_into_a_file(tmp_path: Path, site: Site) -> None:
    site.texts["/a"] = DATA
    words = ["fetch", site.url("/a"), "--allow", site.host, "-o", "a.bin"]
    done = redoxa(tmp_path, *words)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.endswith(b"90 kB, loaded\nredoxa: wrote a.bin\n")
    assert (tmp_path / "a.bin").read_bytes() == DATA
    again = redoxa(tmp_path, *words)
    assert again.returncode == 2 or again.returncode == 3  # noqa: PLR1714
    assert b"--force" in again.stderr
    piped = redoxa(tmp_path, "fetch", site.url("/a"), "--offline", "-q", "-o", "-")
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, DATA, b"")


def test_what_broke_off_is_said_and_gone_on_with(tmp_path: Path, site: Site) -> None:
    site.cuts = 1
    words = ["fetch", site.url("/parts"), "--allow", site.host]
    broken = redoxa(tmp_path, *words, "--retries", "0", "--json")
    told = json.loads(broken.stdout)
    assert (broken.returncode, told["realm"], told["size_bytes"]) == (3, "penumbra", 30_000)
    assert b"broke off after 30,000 of 90,000 bytes" in broken.stderr
    assert b"the same command goes on there" in broken.stderr
    whole = json.loads(redoxa(tmp_path, *words, "--json").stdout)
    assert (whole["realm"], whole["source"], whole["moved_bytes"]) == (
        "illuminated", "resumed", 60_000,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_came_before_an_interruption_is_kept(
    tmp_path: Path, site: Site, number: signal.Signals
) -> None:
    words = [site.url("/drips"), "--allow", site.host]
    with subprocess.Popen(
        [sys.executable, "-m", "redoxa", "--home", "home", "fetch", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    ) as process:
        while site.dripped < 5 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, b"redoxa: interrupted\n")
    with Home(tmp_path / "home") as home:
        assert [*home.store.roots("fetch-part/")]
        (batch,) = home.ledger.batches("fetch")
        assert cast("dict[str, object]", batch.entries[0])["realm"] == "penumbra"


def test_what_may_not_be_kept_needs_a_file(tmp_path: Path, site: Site) -> None:
    words = ["fetch", site.url("/private"), "--allow", site.host]
    done = redoxa(tmp_path, *words)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"nothing may be kept of it; -o FILE writes it" in done.stderr
    assert redoxa(tmp_path, *words, "-o", "a").returncode == 0
    assert (tmp_path / "a").read_bytes() == DATA


def test_what_is_kept_can_be_forgotten(tmp_path: Path, site: Site) -> None:
    site.texts["/a"] = b"one\n"
    assert redoxa(tmp_path, "fetch", site.url("/a"), "--allow", site.host).returncode == 0
    assert b"forgotten" in redoxa(tmp_path, "fetch", site.url("/a"), "--forget").stderr
    assert b"nothing was kept" in redoxa(tmp_path, "fetch", site.url("/a"), "--forget").stderr
    assert redoxa(tmp_path, "fetch", site.url("/a"), "--offline").returncode == 3


@pytest.mark.parametrize(
    "words",
    [
        ["fetch", "ftp://example.org/"],
        ["fetch", "http://example.org/", "--expect", "md5:00"],
        ["fetch", "http://example.org/", "--allow", "a b"],
        ["fetch", "http://example.org/", "--timeout", "nan"],
        ["fetch", "http://example.org/", "--max-bytes", "-1"],
        ["fetch", "http://example.org/", "--header", SECRET],
        ["fetch", "http://example.org/", "--header", f"Host: {SECRET}"],
        ["fetch", f"http://me:{SECRET}@example.org/"],
        ["fetch", "http://example.org/", "-f"],
        ["probe", "http://example.org/", "more"],
        ["probe", "--offline", "script.py"],
    ],
)
def test_a_wrong_command_line_is_said_without_secrets(tmp_path: Path, words: list[str]) -> None:
    done = redoxa(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"redoxa: ")
    assert done.stderr.count(b"\n") == 1
    assert SECRET.encode() not in done.stderr


def test_both_kinds_of_probes_are_told_in_the_same_words(tmp_path: Path, site: Site) -> None:
    site.texts["/a"] = b"one\n"
    (tmp_path / "s.py").write_text("print('hello')\n")
    address = redoxa(tmp_path, "probe", "--json", "--allow", site.host, site.url("/a"))
    script = redoxa(tmp_path, "probe", "--json", "s.py")
    assert (address.returncode, script.returncode, script.stdout) == (0, 0, b"hello\n")
    near, far = json.loads(script.stderr.splitlines()[-1]), json.loads(address.stdout)
    assert near.keys() == far.keys()
    assert (far["realm"], far["size_bytes"], far["retries"]) == ("illuminated", 4, 0)
    plain = redoxa(tmp_path, "probe", "--offline", site.url("/a"))
    assert plain.stdout.startswith(b"realm      illuminated\ncid        bafk")


def test_a_program_awaits_probes(tmp_path: Path, site: Site) -> None:
    site.texts["/a"] = b"one\n"

    async def both(vm: VM) -> None:
        probe = await vm.probe_network(site.url("/a"), allow=[site.host])
        assert probe.cid is not None
        assert (probe.realm, vm.get(probe.cid), probe.entry) == (Realm.ILLUMINATED, b"one\n", 0)
        owed = await vm.probe_network(site.url("/b"), offline=True)
        assert (owed.realm, owed.cid, owed.exit_code) == (Realm.UMBRA, None, 3)

    with VM(tmp_path / "home") as vm:
        asyncio.run(both(vm))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "this is no http or https address"),
        (["ftp://host/"], "ftp is no http or https address"),
        (["http://"], "it names no host"),
        (["https:///path"], "it names no host"),
        (["http://host:0/"], "its port is no number from 1 to 65535"),
        (["http://host:65536/"], "its port is no number from 1 to 65535"),
        (["http://host:x/"], "its port is no number from 1 to 65535"),
        (["http://host:-1/"], "its port is no number from 1 to 65535"),
        (["http://[::1/"], "cannot be loaded"),
        (["http://a b/"], "'a b' is no name of a host"),
        (["http://ex\udcff.org/"], "is no name of a host"),
        (["http://h/", "--offline", "--again"], "leave one of them out"),
        (["http://h/", "--forget", "-o", "x"], "leave -o out"),
        (["http://h/", "--allow", "[::1"], "names no host"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_a_line(
    tmp_path: Path, words: list[str], said: str
) -> None:
    done = redoxa(tmp_path, "fetch", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_name_that_is_no_text_is_asked_for_byte_by_byte(tmp_path: Path, site: Site) -> None:
    done = redoxa(tmp_path, "fetch", f"{site.url('/a')}\udcff", "--allow", site.host)
    assert done.returncode == 3
    assert site.asked == [("GET", "/a%FF", 404)]


def test_where_nobody_listens_that_is_said(tmp_path: Path) -> None:
    host = f"127.0.0.1:{unused_port()}"
    done = redoxa(tmp_path, "fetch", f"http://{host}/", "--allow", host, "--retries", "0")
    assert done.returncode == 3
    assert done.stderr.decode().endswith(f"{host} gave no answer (Connection refused)\n")
