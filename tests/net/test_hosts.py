"""Who may be asked: what is not granted is refused, however it is spelled or resolved."""

import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.errors import UsageError
from ring2_orchestrator.net.address import Found, addresses_of, is_public
from ring2_orchestrator.net.errors import NoAnswerError, RefusedError
from ring2_orchestrator.net.hosts import Grant, Hosts, Rule
from ring2_orchestrator.net.target import Target, plain_host


def found(*addresses: str) -> Found:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, 80)) for at in addresses]


@pytest.mark.parametrize(
    ("word", "host", "port", "grant"),
    [
        ("example.org", "example.org", 443, Grant.BY_NAME),
        ("example.org", "www.example.org", 443, None),
        ("example.org:80", "example.org", 443, None),
        ("EXAMPLE.org.", "example.org", 80, Grant.BY_NAME),
        ("*.example.org", "www.example.org", 80, Grant.BY_PATTERN),
        ("*.example.org", "example.org", 80, None),
        ("*.example.org", "badexample.org", 80, None),
        ("*", "anything.at.all", 1, Grant.BY_PATTERN),
        ("[::1]:8080", "::1", 8080, Grant.BY_NAME),
        ("::1", "::1", 8080, Grant.BY_NAME),
        ("[0:0::1]", "::1", 1, Grant.BY_NAME),
        ("bücher.example", "xn--bcher-kva.example", 80, Grant.BY_NAME),
    ],
)
def test_a_grant_is_for_what_it_names(word: str, host: str, port: int, grant: Grant | None) -> None:
    assert Hosts.of([word]).grant(host, port) is grant


@pytest.mark.parametrize(
    "word",
    [
        "",
        ":80",
        "host:",
        "host:0",
        "host:65536",
        "host:x",
        "http://host",
        "a b",
        "*.",
        "a*b",
        "h:1:2:g",
        "[::1",
        "[::1:80",
        "[::1]x",
        "ex\udcffample.org",
        "ü" * 80,
    ],
)
def test_what_is_no_host_is_refused_in_a_sentence(word: str) -> None:
    with pytest.raises(UsageError, match="names no host; write HOST, HOST:PORT or"):
        Rule.of(word)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254",
        "0.0.0.0",  # noqa: S104 - it is to be refused
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "224.0.0.1",
        "ff02::1", "255.255.255.255", "100.64.0.1", "nonsense", "",
    ],
)  # fmt: skip
def test_no_wrapping_makes_a_private_address_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:1.1.1.1"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_a_pattern_never_leads_into_a_private_network() -> None:
    hosts = Hosts.of(["*.example.org"])
    with pytest.raises(RefusedError, match=r"leads to the private address 10\.0\.0\.1"):
        addresses_of("a.example.org", 80, hosts, resolve=lambda _host, _port: found("10.0.0.1"))
    some = addresses_of(
        "a.example.org", 80, hosts, resolve=lambda _host, _port: found("10.0.0.1", "1.1.1.1")
    )
    assert [at.sockaddr[0] for at in some] == ["1.1.1.1"]


def test_a_name_may_lead_into_a_private_network() -> None:
    hosts = Hosts.of(["build.internal"])
    (address,) = addresses_of(
        "build.internal", 80, hosts, resolve=lambda _host, _port: found("10.0.0.1")
    )
    assert address.sockaddr == ("10.0.0.1", 80)


def test_numbers_that_mean_loopback_are_not_granted_by_a_star() -> None:
    for host in ("2130706433", "0x7f000001", "127.1", "localhost"):
        with pytest.raises((RefusedError, NoAnswerError)):
            addresses_of(host, 80, Hosts.of(["*"]))


def test_a_host_that_is_not_granted_is_not_even_looked_up() -> None:
    def never(host: str, port: int) -> Found:
        raise AssertionError("looked up")

    with pytest.raises(RefusedError, match=r"--net-allow example\.org:80 grants it"):
        addresses_of("example.org", 80, Hosts.of(["example.com"]), resolve=never)


@given(st.text(max_size=30), st.integers(0, 70_000))
def test_any_text_is_a_rule_or_a_sentence(text: str, port: int) -> None:
    with suppress(UsageError):
        assert Rule.of(f"{text}:{port}").port in (None, *range(1, 65536))


@given(st.text(max_size=40))
def test_a_url_has_one_spelling(text: str) -> None:
    try:
        target = Target.of(f"http://{text}")
    except ValueError:
        return
    assert Target.of(target.url) == target
    assert plain_host(target.host) == target.host
    assert "@" not in target.authority
