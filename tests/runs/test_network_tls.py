"""HTTPS is recorded as HTTP is: verified towards the server, vouched for towards the program."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ring2_orchestrator.net.authority import Authority
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.policy import Policy
from tests.net.server import Site, serving, trusted_file
from tests.runs.conftest import Person
from tests.runs.test_secrets import kept

Typed = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.slow
REPLAY = Policy("replay", Hosts(()))


@pytest.fixture
def authority() -> Authority:
    return Authority(now_ns=time.time_ns())


@pytest.fixture
def site(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted_file(authority, tmp_path)))
    with serving(authority) as found:
        found.texts["/a"] = b"hello\n"
        yield found


def record(site: Site) -> Policy:
    return Policy("record", Hosts.of([site.host]))


@pytest.mark.parametrize("program", ["curl", "python", "git"])
def test_programs_trust_the_proxy(person: Person, site: Site, program: str) -> None:
    line = f"import urllib.request as u; print(u.urlopen('{site.url('/a')}').read())"
    site.texts["/r.git/info/refs"] = b"%s\trefs/heads/main\n" % (b"1" * 40)
    site.texts["/r.git/HEAD"] = b"ref: refs/heads/main\n"
    words = {
        "curl": ("curl", "-sS", site.url("/a")),
        "python": (sys.executable, "-c", line),
        "git": ("git", "ls-remote", site.url("/r.git")),
    }[program]
    result = person.command(*words, network=record(site))
    assert result.published, result.doubts
    assert person.command(*words, network=record(site)).reused
    assert person.command(*words, network=REPLAY, reuse=False).published


def test_a_server_nobody_vouches_for_is_not_asked(
    person: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    result = person.command("curl", "-sS", site.url("/a"), network=record(site))
    assert "its certificate is not to be trusted" in result.doubts[0].detail
    assert site.said == []


def test_a_program_that_trusts_others_alone_is_told(person: Person, site: Site) -> None:
    person.write("others.crt", Authority(seed=b"others").pem.decode())
    line = f"curl -sS --cacert others.crt {site.url('/a')}"
    result = person.run(line, network=record(site))
    assert "did not trust the recorder's certificate" in result.doubts[0].detail
    assert site.said == []


@pytest.mark.parametrize("how", ["other host", "no tls"])
def test_a_tunnel_is_for_the_host_it_was_granted(person: Person, site: Site, how: str) -> None:
    line = {
        "other host": f"curl -sS -H 'Host: example.org' {site.url('/a')}",
        "no tls": f"curl -sS --proxytunnel http://{site.host}/a",
    }[how]
    result = person.run(line, network=record(site))
    assert not result.published
    assert site.said == []


def test_no_key_is_kept_and_a_replay_has_certificates_of_its_own(
    person: Person, site: Site, typed_text: Typed
) -> None:
    assert person.command("curl", "-sS", site.url("/a"), network=record(site)).published
    assert b"PRIVATE KEY" not in b"".join(kept(person.home_path))
    replayed = typed_text("replay", "@")
    assert replayed.stdout.startswith("EXACT"), replayed.stdout
