"""How long an answer holds without asking: as RFC 9111 has it, and never longer."""

import pytest

from ring2_orchestrator.net.exchange import Exchange, Key
from ring2_orchestrator.net.freshness import directives, is_fresh

BEGUN_NS = 784_111_777 * 10**9  # Sun, 06 Nov 1994 08:49:37 GMT
DATE = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")


def fresh_after(seconds: int, *headers: tuple[str, str]) -> bool:
    exchange = Exchange(Key("GET", "http://a/", (), b""), False, 200, "OK", headers, None, 0)
    return is_fresh(exchange, begun_ns=BEGUN_NS, now_ns=BEGUN_NS + seconds * 10**9)


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ([("Cache-Control", "max-age=60")], 60),
        ([("Cache-Control", "private, MAX-AGE=60")], 60),
        ([("Cache-Control", 'max-age="60"')], 60),
        ([("Cache-Control", "max-age=60"), ("Age", "50")], 10),
        ([("Cache-Control", "max-age=60"), ("Date", "Sun, 06 Nov 1994 08:49:07 GMT")], 30),
        ([DATE, ("Expires", "Sun, 06 Nov 1994 08:50:37 GMT")], 60),
        ([DATE, ("Expires", "Sun, 06 Nov 1994 08:50:37 GMT"), ("Cache-Control", "max-age=5")], 5),
        ([("Cache-Control", "no-cache, max-age=60")], 0),
        ([("Cache-Control", 'no-cache="a, b", max-age=60')], 0),
        ([("Cache-Control", "s-maxage=60")], 0),
        ([("Cache-Control", "max-age=60"), ("Vary", "*")], 0),
        ([("Cache-Control", "max-age=-1")], 0),
        ([("Cache-Control", "max-age=many")], 0),
        ([("Expires", "0"), DATE], 0),
        ([("Expires", "Sun, 06 Nov 1994 08:50:37 GMT")], 0),
        ([("Last-Modified", "Sun, 06 Nov 1904 08:49:37 GMT"), DATE], 0),
        ([], 0),
    ],
)
def test_an_answer_is_fresh_as_long_as_the_server_said(
    headers: list[tuple[str, str]], until: int
) -> None:
    assert fresh_after(until - 1, *headers) == (until > 0)
    assert not fresh_after(until, *headers)


def test_a_clock_set_back_makes_nothing_fresh() -> None:
    assert not fresh_after(-5, ("Cache-Control", "max-age=60"))


def test_a_very_long_time_is_no_error() -> None:
    assert fresh_after(10**9, ("Cache-Control", "max-age=" + "9" * 5000))


def test_directives_are_words_with_values() -> None:
    assert directives('a, b=1 , c="x, y",a=2') == {"a": "", "b": "1", "c": "x, y"}
