"""What is kept and what is never kept; who may be asked; what nobody is asked."""

import asyncio
import socket
import time
from pathlib import Path
from typing import cast

import pytest

from cid_store.errors import UsageError
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.fetching.wish import Wish, target_of
from ring2_orchestrator.ledger import Batch
from ring2_orchestrator.net.address import Found
from ring2_orchestrator.net.authority import Authority
from ring2_orchestrator.probe import Realm
from tests.fetching.conftest import Loader
from tests.net.hostile import DATA
from tests.net.server import SET_COOKIE, serving, trusted_file

SECRET = "an-open-sesame-of-nobody"  # noqa: S105 - it opens nothing


def entry_of(batch: Batch) -> dict[str, object]:
    (entry,) = batch.entries
    return cast("dict[str, object]", entry)


def test_what_did_not_change_is_confirmed_and_not_loaded(loader: Loader) -> None:
    loader.site.texts["/a"] = b"one\n"
    first = loader.load("/a")
    again = loader.load("/a")
    assert (first.source, again.source) == ("network", "confirmed")
    assert (again.probe.cid, again.probe.moved_bytes, again.probe.reused) == (
        first.probe.cid, 0, True,
    )  # fmt: skip
    loader.site.texts["/a"] = b"two\n"
    assert loader.bytes_of(loader.load("/a")) == b"two\n"


def test_nobody_is_asked_while_an_answer_is_fresh(loader: Loader, clock: ManualClock) -> None:
    loader.site.texts["/a"] = b"one\n"
    loader.site.headers["/a"] = {"Cache-Control": "max-age=60", "Date": "x"}
    loader.load("/a")
    clock.advance(59 * 10**9)
    assert loader.load("/a").source == "cache"
    assert len(loader.site.asked) == 1
    assert loader.load("/a", again=True).source == "confirmed"
    clock.advance(61 * 10**9)
    assert loader.load("/a").source == "confirmed"


def test_offline_asks_nobody_and_says_how_old_it_is(loader: Loader, clock: ManualClock) -> None:
    owed = loader.load("/a", offline=True)
    assert (owed.probe.realm, owed.probe.exit_code) == (Realm.UMBRA, 3)
    assert "is not kept here; leave --offline out" in owed.probe.reason
    loader.site.texts["/a"] = b"one\n"
    loader.load("/a")
    clock.advance(90 * 10**9)
    kept = loader.load("/a", offline=True)
    assert loader.bytes_of(kept) == b"one\n"
    assert "last asked 90 s ago" in kept.probe.reason
    assert len(loader.site.asked) == 1


def test_a_server_that_fails_is_not_answered_for_by_what_is_kept(loader: Loader) -> None:
    loader.site.texts["/a"] = b"one\n"
    loader.load("/a")
    del loader.site.texts["/a"]
    loaded = loader.load("/a")
    assert (loaded.probe.realm, loaded.probe.cid) == (Realm.UMBRA, None)
    assert loader.bytes_of(loader.load("/a", offline=True)) == b"one\n"


def test_what_is_expected_and_here_is_not_asked_for(loader: Loader) -> None:
    cid = loader.home.store.put(b"already here\n")
    loaded = loader.load("/nowhere", expect=str(cid))
    assert (loaded.probe.cid, loaded.probe.provenance[0]) == (cid, "store")
    assert loader.site.asked == []


def test_what_may_not_be_stored_is_given_and_not_kept(loader: Loader) -> None:
    loaded = loader.load("/private")
    assert (loaded.probe.realm, loaded.probe.cid, loaded.probe.exit_code) == (Realm.UMBRA, None, 0)
    assert loaded.file is not None
    with loaded.file:
        assert loaded.file.read() == DATA
    loader.site.cuts = 1
    assert loader.load("/private", bounds={"retries": 0}).probe.realm is Realm.UMBRA
    assert DATA[:64] not in loader.kept_text()


def test_credentials_are_told_to_the_server_and_kept_nowhere(loader: Loader) -> None:
    loader.site.texts["/a"] = b"one\n"
    path = f"/a?token={SECRET}-1&page=2"
    headers = [("Authorization", f"Bearer {SECRET}-2"), ("X-Api-Key", f"{SECRET}-3")]
    loaded = loader.load(path, headers=headers)
    assert loader.site.said[0]["Authorization"] == f"Bearer {SECRET}-2"
    assert loaded.probe.target == loader.site.url("/a?token=HIDDEN&page=2")
    # Who asks otherwise is not given what somebody else was answered.
    assert loader.load(path, offline=True).probe.cid is None
    assert loader.load(path, offline=True, headers=headers).probe.cid == loaded.probe.cid
    loader.home.close()
    assert b"token=HIDDEN&page=2" in loader.kept_text()
    for secret in (SECRET, SET_COOKIE):
        assert secret.encode() not in loader.kept_text()


def test_a_secret_variable_in_an_address_or_an_answer_is_not_kept(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_TOKEN", SECRET)
    loader.site.texts[f"/{SECRET}"] = b"one\n"
    loader.site.texts["/b"] = f"so it is {SECRET}\n".encode()
    loader.site.headers["/b"] = {"Content-Type": "text/plain"}
    assert loader.load(f"/{SECRET}").probe.target == loader.site.url("/$MY_API_TOKEN")
    held = loader.load("/b")
    assert held.probe.cid is None
    assert "it holds what $MY_API_TOKEN does" in held.probe.reason
    assert held.file is not None
    held.file.close()
    loader.home.close()
    assert SECRET.encode() not in loader.kept_text()


def test_where_a_signed_redirect_leads_is_not_written_down(loader: Loader) -> None:
    loader.site.texts["/a"] = b"one\n"
    loaded = loader.load("/to_signed")
    assert loader.bytes_of(loaded) == b"one\n"
    assert loaded.probe.provenance[1].endswith("/a?X-Amz-Signature=HIDDEN 200")
    loader.home.close()
    assert b"signed-secret" not in loader.kept_text()


def test_credentials_do_not_follow_a_redirect_to_another_server(loader: Loader) -> None:
    loader.site.texts["/a"] = b"one\n"
    hosts = [loader.site.host, f"localhost:{loader.site.port}"]
    headers = [("Authorization", SECRET), ("Accept", "text/plain")]
    loaded = loader.load("/to_another", headers=headers, allow=hosts)
    assert loader.bytes_of(loaded) == b"one\n"
    assert loader.site.said[0]["Authorization"] == SECRET
    assert "Authorization" not in loader.site.said[1]
    assert loader.site.said[1]["Accept"] == "text/plain"


def test_private_addresses_are_refused_unless_granted_by_name(loader: Loader) -> None:
    for allow in ([], ["*"], ["example.org"], [f"127.0.0.1:{loader.site.port + 1}"]):
        loaded = loader.load("/a", allow=allow)
        assert "leads to the private address 127.0.0.1" in loaded.probe.reason
        assert f"--allow {loader.site.host} does so" in loaded.probe.reason
    assert loader.site.asked == []


def test_a_name_is_looked_up_once_and_the_judged_address_is_asked(loader: Loader) -> None:
    loader.site.texts["/a"] = b"one\n"
    found = iter(["127.0.0.1", "10.0.0.1"])

    def resolve(host: str, port: int) -> Found:
        assert host == "here.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(found), port))]

    loader.resolve = resolve
    here = f"here.example:{loader.site.port}"
    loaded = loader.load(f"http://{here}/a", allow=[here])
    assert loader.bytes_of(loaded) == b"one\n"
    assert loader.site.said[0]["Host"] == here
    assert next(found) == "10.0.0.1"


def test_a_certificate_is_verified(
    tmp_path: Path, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(now_ns=time.time_ns())
    with serving(authority) as safe:
        safe.texts["/a"] = b"one\n"
        refused = loader.load(safe.url("/a"), allow=[safe.host])
        assert "its certificate is not to be trusted" in refused.probe.reason
        assert (refused.probe.retries, safe.said) == (0, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted_file(authority, tmp_path)))
        assert loader.bytes_of(loader.load(safe.url("/a"), allow=[safe.host])) == b"one\n"


def test_every_load_is_in_the_ledger_whatever_came_of_it(loader: Loader) -> None:
    loader.site.texts["/a"] = b"one\n"
    probes = [loader.load("/a").probe, loader.load("/missing").probe]
    probes.append(loader.load("/a", offline=True).probe)
    batches = [*loader.home.ledger.batches("fetch")]
    assert [at.entry for at in probes] == [0, 1, 2]
    assert [at.subject for at in batches] == [at.target for at in probes]
    realms = [entry_of(at)["realm"] for at in batches]
    assert realms == ["illuminated", "umbra", "illuminated"]


def test_several_loads_go_on_at_a_time(loader: Loader) -> None:
    names = [f"/{at}" for at in range(8)]
    loader.site.texts |= {name: name.encode() for name in names}

    async def all_of_them() -> list[bytes]:
        loads = await asyncio.gather(*(loader.probe(name) for name in names))
        return [loader.bytes_of(loaded) for loaded in loads]

    assert asyncio.run(all_of_them()) == [name.encode() for name in names]


def test_an_interrupted_load_leaves_a_part(loader: Loader) -> None:
    async def interrupted() -> None:
        load = asyncio.create_task(loader.probe("/drips"))
        while not loader.site.asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load

    asyncio.run(interrupted())
    assert [*loader.home.store.roots("fetch-part/")]
    (batch,) = loader.home.ledger.batches("fetch")
    assert entry_of(batch)["reason"] == "interrupted"


@pytest.mark.parametrize(
    "url",
    ["ftp://a/b", "/a", "http://", "http://a:b/", "http://a b/", "http://[", "", "http://a" * 999],
)
def test_what_is_no_address_is_a_wrong_command(url: str) -> None:
    with pytest.raises(UsageError):
        Wish.of(url)


def test_a_password_in_an_address_is_not_taken_nor_said() -> None:
    with pytest.raises(UsageError, match="--header") as caught:
        Wish.of(f"http://me:{SECRET}@example.org/")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["Host", "range", "IF-NONE-MATCH", "a b", "", "x\r\ny"])
def test_some_headers_are_not_a_callers_to_say(name: str) -> None:
    with pytest.raises(UsageError):
        Wish.of("http://example.org/", headers=[(name, "x")])


def test_letters_that_no_path_may_hold_are_spelled() -> None:
    assert target_of("http://a/b c/ü?q=%20ü#x").path == "/b%20c/%C3%BC?q=%20%C3%BC"
