"""A hostile server: each case ends in the right bytes or in a clear refusal."""

import hashlib

import pytest

from ring2_orchestrator.probe import Realm
from tests.fetching.conftest import Loader
from tests.net.hostile import DATA, OTHER, THIRD


@pytest.mark.parametrize("path", ["/parts", "/parts_by_date"])
def test_what_breaks_off_is_gone_on_with(loader: Loader, path: str) -> None:
    loader.site.cuts = 1
    loaded = loader.load(path, expect=f"sha256:{hashlib.sha256(DATA).hexdigest()}")
    assert loader.bytes_of(loaded) == DATA
    assert (loaded.source, loaded.checked, loaded.probe.retries) == ("resumed", "digest", 1)
    assert loaded.probe.moved_bytes == len(DATA)
    assert loader.site.said[1]["Range"] == f"bytes={THIRD}-"


def test_a_part_is_the_penumbra_and_another_load_goes_on_from_it(loader: Loader) -> None:
    loader.site.cuts = 1
    broken = loader.load("/parts", bounds={"retries": 0})
    assert (broken.probe.realm, broken.probe.exit_code) == (Realm.PENUMBRA, 3)
    assert "broke off after 30,000 of 90,000 bytes" in broken.probe.reason
    assert loader.bytes_of(broken) == DATA[:THIRD]
    whole = loader.load("/parts")
    assert loader.bytes_of(whole) == DATA
    assert (whole.probe.moved_bytes, whole.checked) == (len(DATA) - THIRD, "length")
    assert loader.load("/parts", offline=True).probe.cid == whole.probe.cid


def test_a_server_may_give_less_than_was_asked_for(loader: Loader) -> None:
    loader.site.cuts = 1
    loaded = loader.load("/shorter_parts")
    assert loader.bytes_of(loaded) == DATA
    assert loaded.probe.retries == 2


@pytest.mark.parametrize(
    "path",
    [
        "/changes", "/glues", "/glues_silently", "/elsewhere", "/other_total", "/no_range",
        "/other_amount",
    ],
)  # fmt: skip
def test_bytes_of_two_versions_are_never_put_together(loader: Loader, path: str) -> None:
    loader.site.cuts = 1
    loaded = loader.load(path)
    assert loader.bytes_of(loaded) == OTHER
    assert loaded.source == "network"


@pytest.mark.parametrize("path", ["/no_more", "/confirms_a_part"])
def test_a_part_that_leads_nowhere_is_dropped(loader: Loader, path: str) -> None:
    loader.site.cuts = 1
    assert loader.bytes_of(loader.load(path)) == DATA


def test_without_a_strong_validator_nothing_is_gone_on_with(loader: Loader) -> None:
    loader.site.cuts = 1
    broken = loader.load("/weak", bounds={"retries": 0})
    assert (broken.probe.realm, broken.probe.cid) == (Realm.UMBRA, None)
    assert loader.bytes_of(loader.load("/weak")) == DATA
    assert all("Range" not in said for said in loader.site.said)


def test_a_resumed_load_that_is_not_what_was_expected_starts_over(loader: Loader) -> None:
    loader.site.cuts = 1
    loader.load("/parts", bounds={"retries": 0})
    wrong = loader.load("/parts", expect=f"sha256:{hashlib.sha256(OTHER).hexdigest()}")
    assert wrong.probe.realm is Realm.UMBRA
    assert "not what was expected" in wrong.probe.reason
    assert wrong.probe.moved_bytes == len(DATA) - THIRD + len(DATA)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/truncates", "broke off after 9 of 100 bytes"),
        ("/breaks_chunks", "broke off after 9 bytes"),
        ("/lies", "no HTTP, or ended early"),
        ("/speaks", "no HTTP, or ended early"),
        ("/resets", "gave no answer"),
        ("/floods", "no HTTP, or ended early"),
        ("/part_unasked", "a part of something that was asked for whole"),
        ("/confirms_unasked", "had not been asked that"),
        ("/bomb", "sent its bytes as gzip"),
        ("/huge", "has 1,000,000,000,000,000 bytes, and"),
        ("/circle", "redirects in circles"),
        ("/to_the_next", "in circles, or too often"),
        ("/to_a_file", "redirects to what is no http or https address"),
        ("/to_another", "which is not granted; --allow localhost:"),
        ("/to_nowhere", "does not say where to"),
        ("/very_busy", "asks to wait 86,400 s"),
        ("/fails", "answered 500 Internal Server Error"),
        ("/missing", "answered 404 Not Found"),
        ("/other_digest", "is not what its server's sha-256 digest says"),
    ],
)
def test_what_cannot_be_had_is_refused_in_words(loader: Loader, path: str, words: str) -> None:
    loaded = loader.load(path)
    assert words in loaded.probe.reason
    assert (loaded.probe.realm, loaded.probe.cid, loaded.probe.exit_code) == (Realm.UMBRA, None, 3)
    assert not [*loader.home.store.roots("fetch-part/")]
    assert loader.load(path, offline=True).probe.realm is Realm.UMBRA


@pytest.mark.parametrize(
    ("path", "bounds", "words"),
    [
        ("/stalls", {"silence_s": 0.3, "retries": 0}, "nothing came for too long"),
        ("/informs", {"whole_s": 0.5}, "was not done after 0.5 s"),
        ("/drips", {"whole_s": 0.5}, "was not done after 0.5 s"),
        ("/endless", {"size_bytes": 1_000_000}, "1,000,000 are taken at most"),
    ],
)
def test_nothing_lasts_for_ever(
    loader: Loader, path: str, bounds: dict[str, float], words: str
) -> None:
    loaded = loader.load(path, bounds=bounds)
    assert words in loaded.probe.reason
    assert loaded.probe.exit_code == 3
    # What came slowly, of a version that can be recognised, is not lost.
    assert (loaded.probe.realm is Realm.PENUMBRA) == (path == "/drips")


@pytest.mark.parametrize(
    ("path", "text", "checked"),
    [
        ("/chunked", b"hello world", "end"),
        ("/old", b"to the end", "nothing"),
        ("/slow", b"bytes", "length"),
    ],
)
def test_odd_answers_that_are_whole_are_taken(
    loader: Loader, path: str, text: bytes, checked: str
) -> None:
    loaded = loader.load(path)
    assert (loader.bytes_of(loaded), loaded.checked) == (text, checked)


def test_a_confirmation_of_another_version_is_no_confirmation(loader: Loader) -> None:
    loader.load("/confirms_another")
    loaded = loader.load("/confirms_another")
    assert (loader.bytes_of(loaded), loaded.source) == (DATA, "network")
    assert "If-None-Match" not in loader.site.said[-1]


def test_a_busy_server_is_given_the_time_it_asks_for(loader: Loader) -> None:
    loader.site.cuts = 1
    assert loader.bytes_of(loader.load("/busy")) == DATA
    assert loader.waits == [7.0]
