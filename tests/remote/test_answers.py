"""What the client raises, kind by kind, as it really does; and the one sentence made of each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import obstore
import pytest
from obstore import exceptions
from obstore.store import HTTPStore, LocalStore, from_url

from cid_store.errors import InputError, RedoxaError, UnavailableError, UsageError
from cid_store.remote import RemoteStore, service
from cid_store.remote.workers import Workers
from tests.remote.conftest import Server

ENVIRONMENT = ("AWS_", "GOOGLE_", "AZURE_")
NO_ADDRESSES = (
    *("nonsense", "http://", "http://:80", "http://h:p", "http://h:99999", "http://[::1"),
    *("http://h?x", "http://a b", 'http://a"b', "http://1.2.3.999", "http://xn--a"),
)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment says where services are and who asks."""
    for name in list(service.os.environ):
        if name.startswith(ENVIRONMENT):
            monkeypatch.delenv(name)


@pytest.fixture
def workers() -> Iterator[Workers]:
    some = Workers(1)
    yield some
    some.close()


def put(url: str) -> Callable[[], object]:
    def ask() -> object:
        with RemoteStore(url, retries=0, timeout_s=5) as store:
            return store.put(b"x")

    return ask


def test_the_client_raises_what_the_door_expects(tmp_path: Path, nobody: str) -> None:
    # Each kind once, so that a client which raises others is noticed here.
    folder = LocalStore(prefix=tmp_path)
    obstore.put(folder, "taken", b"1")
    raised: list[tuple[type[Exception], Callable[[], object]]] = [
        (FileNotFoundError, lambda: obstore.get(folder, "none")),
        (
            exceptions.AlreadyExistsError,
            lambda: obstore.put(folder, "taken", b"2", mode="create", use_multipart=False),
        ),
        (
            NotImplementedError,  # obstore's own word for a condition that a folder cannot keep
            lambda: obstore.put(folder, "taken", b"2", mode={"e_tag": "1"}, use_multipart=False),
        ),
        (exceptions.GenericError, lambda: obstore.put(folder, "taken/below", b"2")),
        (OSError, lambda: LocalStore(prefix=tmp_path / "taken" / "below", mkdir=True)),
        (ValueError, lambda: from_url("https://host:99999999/x")),
        (exceptions.GenericError, lambda: from_url("az://container/x")),
        (
            exceptions.GenericError,
            lambda: obstore.get(HTTPStore(nobody, retry_config={"max_retries": 0}), "a"),
        ),
    ]
    for kind, ask in raised:
        with pytest.raises(kind):
            ask()


@pytest.mark.parametrize(
    "url", ["https://host:99999999/x", "s3://b b/x", "gs://b\0b/x", "https://[::1/x"]
)
def test_what_the_client_cannot_parse_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="that is no address of a store; write s3://"):
        put(url)()


@pytest.mark.parametrize(
    ("url", "variable", "value"),
    [
        ("s3://b/x", "AWS_CHECKSUM_ALGORITHM", "md7"),
        ("s3://b/x", "AWS_SKIP_SIGNATURE", "perhaps"),
        ("az://b/x", "AZURE_STORAGE_ACCOUNT_KEY", "hunter2!"),
    ],
)
def test_settings_that_cannot_be_used_are_no_fault_of_the_service(
    monkeypatch: pytest.MonkeyPatch, url: str, variable: str, value: str
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "somebody")
    monkeypatch.setenv(variable, value)
    family = variable.split("_", maxsplit=1)[0]
    said = rf"the settings for {url} cannot be used; check {family}_\* in the environment"
    with pytest.raises(InputError, match=said) as refused:
        put(url)()
    assert value not in str(refused.value)


@pytest.mark.parametrize("url", ["az://container/x", "gs://bucket/x"])
def test_who_has_no_credentials_is_told_so(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "/nonexistent")
    with pytest.raises(InputError, match=f"no credentials for {url}: set "):
        put(url)()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    "address",
    NO_ADDRESSES,
)
def test_the_address_of_another_s3_is_an_address(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str
) -> None:
    # The client panics, with a page of its own, when it is to ask at any of these.
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv(variable, address)
    with pytest.raises(InputError, match=f"{variable} in the environment is no address; write"):
        put("s3://b/x")()


def test_another_s3_where_nobody_listens_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, nobody: str
) -> None:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", nobody)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        put("s3://b/x")()


@pytest.mark.parametrize(
    ("below", "why"),
    [
        ("file", "File exists"),
        ("file/below", "Not a directory"),
        ("n" * 300, "File name too long"),
        ("nul%00byte", "no folder of a store"),
    ],
)
def test_a_folder_that_cannot_be_one(tmp_path: Path, below: str, why: str) -> None:
    (tmp_path / "file").touch()
    url = f"{tmp_path.as_uri()}/{below}"
    with pytest.raises(UnavailableError, match=why):
        put(url)()
    with RemoteStore(url) as store, pytest.raises(RedoxaError):
        store.get(store.put(b"x"))


def test_conditions_that_the_client_does_not_know_are_asked_for_before(
    folder: Path, workers: Workers
) -> None:
    # A folder knows "create", and no condition on what a key had.
    there = service.Service(folder.as_uri(), workers)
    assert there.create("key", b"one")
    assert not there.create("key", b"two")
    found = there.get_versioned("key", 99)
    assert found is not None
    assert there.swap("key", b"three", found[1])
    assert there.get("key", 99) == b"three"


def test_what_the_client_does_wrong_is_not_taken_for_the_service(
    folder: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = service.Service(folder.as_uri(), workers)
    there.replace("key", b"one")

    def wrong(*_words: object, **_names: object) -> None:
        raise TypeError("a mistake of ours")

    monkeypatch.setattr(obstore, "put", wrong)
    monkeypatch.setattr(obstore, "get", wrong)
    for ask in (lambda: there.get("key", 9), lambda: there.replace("key", b"two")):
        with pytest.raises(TypeError, match="a mistake of ours"):
            ask()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, InputError, "does not accept this environment's credentials"),
        (403, InputError, "does not accept this environment's credentials"),
        (409, UnavailableError, "answered with the error 409"),
        (412, UnavailableError, "answered with the error 412"),
        (429, UnavailableError, "answered with the error 429"),
        (500, UnavailableError, "answered with the error 500"),
        (501, UnavailableError, "answered with the error 501"),
    ],
)
def test_every_status_is_one_sentence(
    server: Server, folder: Path, status: int, kind: type[RedoxaError], said: str
) -> None:
    with RemoteStore(folder.as_uri()) as filled:
        cid = filled.put(b"x")
    server.harm = lambda _key, _data: (status, b"<secret>hunter2</secret>", 24)
    with (
        RemoteStore(server.url, retries=0) as store,
        pytest.raises(kind, match=said) as refused,
    ):
        store.get(cid)
    assert "hunter2" not in str(refused.value)
