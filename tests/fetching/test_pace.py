"""How long is waited and how often tried: always bounded, and planned only from what is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.errors import UsageError
from ring2_orchestrator.fetching.digests import Digest, told
from ring2_orchestrator.fetching.pace import Pace, Past, asked_to_wait, jitter, upper
from ring2_orchestrator.fetching.ranges import Span, strong_validator
from ring2_orchestrator.net.exchange import Exchange, Key

SECONDS = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(SECONDS, max_size=40), st.integers(0, 200), st.integers(0, 200))
def test_what_is_planned_is_bounded(seconds: list[float], tries: int, failures: int) -> None:
    past = Past(tuple(seconds), tries, min(failures, tries))
    pace = Pace.of(past, silence_s=None, retries=None)
    assert 10 <= pace.silence_s <= 120
    assert 3 <= pace.retries <= 4
    assert all(pace.silence_s <= pace.silence(at) <= 120 for at in range(100))
    assert all(0 < pace.pause(at, at % 2) <= 5 * 2**16 for at in range(100))


def test_what_a_person_says_is_done() -> None:
    pace = Pace.of(Past((1.0,) * 9, 9, 9), silence_s=0.5, retries=0)
    assert (pace.silence_s, pace.silence(0), pace.retries) == (0.5, 0.5, 0)


def test_slow_servers_are_given_longer_and_flaky_ones_more_tries() -> None:
    slow = Pace.of(Past((20.0,) * 20, 20, 18), silence_s=None, retries=None)
    assert (slow.silence_s, slow.retries) == (80.0, 4)


@given(st.lists(SECONDS, min_size=1))
def test_the_upper_quantile_is_one_of_them(seconds: list[float]) -> None:
    assert upper(seconds) in seconds
    assert sum(at <= upper(seconds) for at in seconds) >= 0.95 * len(seconds)


def test_jitter_is_how_much_neighbours_differ() -> None:
    assert (jitter([]), jitter([3.0]), jitter([1.0, 3.0, 2.0])) == (0.0, 0.0, 1.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0), ("0", 0.0), ("9" * 99, float(1 << 31)), (None, None), ("-1", None),
        ("soon", None), ("Thu, 01 Jan 1970 00:01:00 GMT", 60.0),
        ("Wed, 31 Dec 1969 00:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_the_standard_says(text: str | None, seconds: float | None) -> None:
    assert asked_to_wait(text, 0) == seconds


@pytest.mark.parametrize(
    "text",
    [None, "", "bytes 0-1/*", "bytes */9", "bytes 5-4/9", "bytes 0-9/9", "bytes -1-2/9", "0-1/2"],
)
def test_a_range_that_says_too_little_says_nothing(text: str | None) -> None:
    assert Span.of(text) is None


@given(st.text())
def test_no_header_makes_a_parser_fail(text: str) -> None:
    Span.of(text)
    told(text)
    asked_to_wait(text, 0)
    headers = (("ETag", text), ("Last-Modified", text), ("Date", text))
    strong_validator(_answer(*headers))
    strong_validator(_answer(*headers[1:]))


@pytest.mark.parametrize(
    ("headers", "strong"),
    [
        ((("ETag", '"a"'),), '"a"'),
        ((("ETag", 'W/"a"'),), None),
        ((("ETag", "a"),), None),
        ((("Last-Modified", "Mon, 02 Nov 2020 10:00:00 GMT"),), None),
        (
            (
                ("Last-Modified", "Mon, 02 Nov 2020 10:00:00 GMT"),
                ("Date", "Mon, 02 Nov 2020 10:00:30 GMT"),
            ),
            None,
        ),
        (
            (
                ("Last-Modified", "Mon, 02 Nov 2020 10:00:00 GMT"),
                ("Date", "Mon, 02 Nov 2020 10:01:00 GMT"),
            ),
            "Mon, 02 Nov 2020 10:00:00 GMT",
        ),
    ],
)
def test_only_what_proves_a_version_lets_a_part_be_gone_on_with(
    headers: tuple[tuple[str, str], ...], strong: str | None
) -> None:
    assert strong_validator(_answer(*headers)) == strong


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:00", "md5:00", "sha512:" + "0" * 64, "zz"])
def test_what_is_no_digest_is_a_wrong_command(text: str) -> None:
    with pytest.raises(UsageError, match="is no digest"):
        Digest.of(text)


def _answer(*headers: tuple[str, str]) -> Exchange:
    return Exchange(Key("GET", "http://a/", (), b""), False, 200, "OK", headers, None, 0)
