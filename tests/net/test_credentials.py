"""Credentials are taken away wherever a request or an answer holds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.net.credentials import Stripper, is_secret_name
from ring2_orchestrator.net.target import Target

STRIPPER = Stripper()


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "apiKey", "api-key", "key", "client_secret", "password", "sig",
        "X-Amz-Signature", "X-Amz-Credential", "code", "auth", "sessionid", "jwt", "id_token",
        "private_token", "pwd", "assertion", "X-Api-Key", "Authorization", "PHPSESSID_session",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["page", "q", "monkey", "author", "Accept", "ETag", "lang", "id"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_a_url_is_shown_without_user_and_secret_parameters() -> None:
    target = Target.of("https://me:hunter22@Example.org:443/a?page=2&access%5Ftoken=abc&x#part")
    assert STRIPPER.url(target) == "https://example.org/a?page=2&access%5Ftoken=HIDDEN&x"
    assert STRIPPER.carries_credentials(target, [])
    assert not STRIPPER.carries_credentials(Target.of("http://a/?page=2"), [("Accept", "*/*")])


def test_of_a_request_only_the_wanted_form_is_kept() -> None:
    headers = [("Accept", "*/*"), ("Authorization", "Basic x"), ("Cookie", "a=b"), ("X-Any", "y")]
    assert STRIPPER.asked(headers) == (("accept", "*/*"),)
    assert STRIPPER.carries_credentials(Target.of("http://a/"), headers)


def test_of_an_answer_cookies_and_the_connection_go() -> None:
    headers = [
        ("Set-Cookie", "a=b"), ("X-Auth-Token", "t"), ("Connection", "close, X-Hop"),
        ("X-Hop", "1"), ("ETag", '"1"'), ("Transfer-Encoding", "chunked"),
    ]  # fmt: skip
    assert STRIPPER.answered(headers) == (("ETag", '"1"'),)


def test_a_persons_own_rules_count_too() -> None:
    stripper = Stripper(lambda name: name.upper().startswith("ACME"))
    assert stripper.url(Target.of("http://a/?acme_id=5")) == "http://a/?acme_id=HIDDEN"


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=30))
def test_no_secret_parameter_survives(value: str) -> None:
    target = Target.of(f"http://a/p?token={value}&b=1;key={value}")
    assert value not in STRIPPER.url(target) or value in "token HIDDEN"
