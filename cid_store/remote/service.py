"""The one door to object services: one thing done to one key, or a sentence why not.

What a service says of an error is never shown: it may hold signatures and names of accounts.
"""

import functools
import importlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import unquote, urlsplit

from cid_store.errors import (
    CorruptObjectError,
    InputError,
    RedoxaError,
    UnavailableError,
    UsageError,
)
from cid_store.remote import layout
from cid_store.remote.refusals import (
    knows_no_conditions,
    names_no_bucket,
    no_bucket,
    refusal,
    unusable,
)
from cid_store.remote.workers import Workers

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

TIMEOUT_S = 120.0  # for one request: a MiB or so, with others at the same time
RETRIES = 3

_SCHEMES = ("s3", "gs", "az", "https", "http", "file")
_READ_ONLY = ("https", "http")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_PLAIN = re.compile(r"https?://[\w.:\[\]-]+(?:/[\w./~-]*)?", re.ASCII)
_CREATE = "create"  # the condition that a key has no value

_Value = TypeVar("_Value")


class Version(NamedTuple):
    """Which of the values that a key had one after another."""

    e_tag: str | None
    version: str | None


class Service:
    """The keys below one address; safe to call from any thread."""

    def __init__(
        self, url: str, workers: Workers, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES
    ) -> None:
        """Prepare for that address; nothing is asked of the service yet."""
        self._workers = workers
        self.url, self._scheme = _checked(url)
        self.writable = self._scheme not in _READ_ONLY
        self._timeout_s = timeout_s
        self._folder = Folder(self.url) if self._scheme == "file" else None
        self._obstore = _module()
        self._client = None if self._folder else self._made(retries)

    def get(self, key: str, limit: int) -> bytes | None:
        """The value of a key, or None. Raises CorruptObjectError where it is over the limit."""
        found = self.get_versioned(key, limit)
        return found[0] if found is not None else None

    def get_versioned(self, key: str, limit: int) -> tuple[bytes, Version] | None:
        """The value of a key, and which of its values that is."""
        client = self._reading()
        if client is None:
            return None
        self._check_file(key)

        def ask() -> tuple[bytes, Version]:
            answer = self._obstore.get(client, key)
            meta = answer.meta
            if meta["size"] > limit:
                raise CorruptObjectError(
                    f"{key} at {self.url} has {meta['size']:,} bytes, more than a store puts "
                    f"there; {layout.remedy(key)}"
                )
            return bytes(answer.bytes()), Version(meta["e_tag"], meta["version"])

        return self._asked(ask)

    def size(self, key: str) -> int | None:
        """How long the value of a key is, or None where it has none."""
        client = self._reading()
        if client is None:
            return None
        self._check_file(key)
        return self._asked(lambda: self._obstore.head(client, key)["size"])

    def holds(self, key: str, size: int) -> bool:
        """Whether a key has a value of that length, confirmed: whoever put it may have been killed.

        Only for who writes: of a folder the disk is waited for.
        """
        if self.size(key) != size:
            return False
        self._settle(key)
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Every key in that folder of keys, as of now, in no order."""
        client = self._reading()
        if client is None:
            return iter(())
        if not self.writable:
            raise UnavailableError(
                f"{self.url} is a web server, which does not list its roots; name the root you want"
            )
        listed = self._asked(
            lambda: [entry["path"] for part in self._obstore.list(client, prefix) for entry in part]
        )
        return iter(listed or ())

    def create(self, key: str, data: bytes) -> bool:
        """Give a key its value unless it has one; whether it had none."""
        made = self._put_if(_CREATE, key, data)
        if made is None:
            made = self.size(key) is None
            if made:
                self.replace(key, data)
        self._settle(key)
        return made

    def replace(self, key: str, data: bytes) -> None:
        """Give a key its value, whatever it was."""
        client = self._writing()
        try:
            self._put(client, key, data)
        except self._failures as error:
            self._check_file(key)  # a folder is not replaced by a file
            self._refuse(error)
        self._settle(key)

    def swap(self, key: str, data: bytes, seen: Version | None) -> bool:
        """Give a key its value if its last one is the one seen (None: it had none); whether it was.

        Where the service knows no conditions the last writer wins.
        """
        if seen is None:
            return self.create(key, data)
        condition = {name: value for name, value in seen._asdict().items() if value is not None}
        won = self._put_if(condition, key, data)
        if won is None:
            self.replace(key, data)
            won = True
        self._settle(key)
        return won

    def _put_if(self, condition: object, key: str, data: bytes) -> bool | None:
        """Put it on a condition: whether that held; None where no conditions are known."""
        client, no = self._writing(), self._obstore.exceptions
        try:
            self._put(client, key, data, mode=condition)
        except (no.AlreadyExistsError, no.PreconditionError):
            return False
        except NotImplementedError:
            # How the client answers where it knows no conditions at all: for a folder, or where it
            # was told that the service has none. That is an answer, and nothing of ours is missing.
            return None
        except FileNotFoundError as error:  # what was to be swapped is gone
            if condition == _CREATE or names_no_bucket(error):
                self._refuse(error)
            return False
        except self._failures as error:
            if not knows_no_conditions(error):
                self._refuse(error)
            return None
        return True

    def _put(self, client: "ObjectStore", key: str, data: bytes, **how: object) -> None:
        put = functools.partial(self._obstore.put, client, key, data, use_multipart=False, **how)
        self._workers.run(put)

    @property
    def _failures(self) -> tuple[type[Exception], ...]:
        """What the client raises when a service (or OSError, a folder) does not do as asked."""
        return (self._obstore.exceptions.BaseError, OSError)

    def _made(self, retries: int) -> "ObjectStore":
        from obstore.store import HTTPStore, from_url  # noqa: PLC0415 - an extra

        options: ClientConfig = {
            "timeout": timedelta(seconds=self._timeout_s),
            "connect_timeout": timedelta(seconds=min(10.0, self._timeout_s)),
            "allow_http": self._scheme == "http" or _allows_http(),
        }
        patience: RetryConfig = {
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=self._timeout_s),
        }
        try:
            if not self.writable:  # whatever service it may be: a web server gets no credentials
                return HTTPStore(self.url, client_options=options, retry_config=patience)
            if self._scheme == "s3":
                _check_endpoint()
            return from_url(self.url, client_options=options, retry_config=patience)
        except ValueError:
            raise _no_address() from None
        except self._failures as error:
            raise unusable(error, self.url) from None

    def _reading(self) -> "ObjectStore | None":
        return self._in_folder(self._folder, make=False) if self._folder else self._client

    def _writing(self) -> "ObjectStore":
        if not self.writable:
            raise InputError(
                f"{self.url} is a web server, and stores there are only read; name an s3://, "
                "gs://, az:// or file:// address to write to"
            )
        client = self._in_folder(self._folder, make=True) if self._folder else self._client
        assert client is not None, "what can be written to has a client"
        return client

    def _in_folder(self, folder: "Folder", *, make: bool) -> "ObjectStore | None":
        try:
            return folder.client(make=make)
        except self._failures as error:
            self._refuse(error)

    def _check_file(self, key: str) -> None:
        """Raise CorruptObjectError where something in a folder could hold no value.

        Opening a pipe would wait for somebody at its other end, and a link leads out of the store.
        """
        if self._folder is None:
            return
        try:
            regular = self._folder.is_file(key)
        except (FileNotFoundError, NotADirectoryError):
            return  # what has no value is asked for like anything else
        except OSError as error:
            self._refuse(error)
        if not regular:
            raise CorruptObjectError(
                f"{key} at {self.url} is not a regular file and has to be moved out of the store; "
                f"{layout.remedy(key)}"
            )

    def _settle(self, key: str) -> None:
        """Services keep what they confirmed; a folder does when the disk was waited for."""
        if self._folder is not None:
            self._check_file(key)
            try:
                self._folder.sync(key)
            except OSError as error:
                self._refuse(error)

    def _asked(self, ask: Callable[[], _Value]) -> _Value | None:
        try:
            return self._workers.run(ask)
        except RedoxaError:
            raise
        except FileNotFoundError as error:
            if names_no_bucket(error):
                raise no_bucket(self.url) from None
            return None
        except self._failures as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> NoReturn:
        # `from None`: with --debug, too, nobody is shown what may hold a signature.
        raise refusal(error, self.url, timeout_s=self._timeout_s) from None


class Folder:
    """A folder of this machine in a service's place: it has to be made, and its disk waited for."""

    def __init__(self, url: str) -> None:
        self.path = Path(unquote(urlsplit(url).path))
        self._client: ObjectStore | None = None
        self._synced: set[Path] = set()

    def client(self, *, make: bool) -> "ObjectStore | None":
        """What speaks to the folder; None where there is none and none shall be made."""
        if self._client is None and (make or self.path.is_dir()):
            from obstore.store import LocalStore  # noqa: PLC0415 - an extra

            self._client = LocalStore(prefix=self.path, mkdir=make)
        return self._client

    def is_file(self, key: str) -> bool:
        """Whether what lies under that key is a regular file. Raises OSError for nothing at all."""
        return stat.S_ISREG((self.path / key).lstat().st_mode)

    def sync(self, key: str) -> None:
        """Wait until the disk has that file and its name; the client does not do so."""
        file = self.path / key
        _sync(file)
        _sync(file.parent)
        for above in file.parent.parents:  # folders that were new, once
            if above in self._synced or not above.is_relative_to(self.path.parent):
                break
            with suppress(PermissionError):  # above the store it is another's, and was not new
                _sync(above)
        self._synced.update(file.parent.parents)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _checked(url: str) -> tuple[str, str]:
    """The address and its scheme; what would have to be kept secret does not belong in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in _SCHEMES:
        raise _no_address()
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UsageError(
            "an address with a name, a password or a query in it may hold a secret; give the plain "
            "address, and the credentials in the environment (docs/formats/remote.md lists them)"
        )
    whole = parts.path.startswith("/") and not parts.netloc
    if not (whole if parts.scheme == "file" else parts.netloc):
        raise UsageError(
            f"{url} names no place; write file:///FOLDER or {parts.scheme}://NAME/PATH"
        )
    return url.rstrip("/") if parts.path != "/" else url, parts.scheme


def _check_endpoint() -> None:
    # Asked at what is no address, the client panics, with a page of its own on standard error.
    for name in _ENDPOINTS:
        address = os.environ.get(name)
        if address and not _can_be_asked(address):
            raise InputError(f"{name} in the environment is no address; write https://HOST")


def _can_be_asked(address: str) -> bool:
    from obstore.store import HTTPStore  # noqa: PLC0415 - an extra

    if not _PLAIN.fullmatch(address):
        return False
    try:
        HTTPStore(address)  # which parses it as all of them do
    except ValueError:
        return False
    return True


def _no_address() -> UsageError:
    return UsageError(
        "that is no address of a store; write s3://BUCKET/PATH, gs://BUCKET/PATH, "
        "az://CONTAINER/PATH, https://HOST/PATH or file:///FOLDER"
    )


def _allows_http() -> bool:
    """Whether the environment says, as for every such client, that a service needs no TLS."""
    return os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true", "yes")


def _module() -> Any:  # noqa: ANN401 - the client publishes its types in ways that differ
    try:
        return importlib.import_module("obstore")
    except ModuleNotFoundError:
        raise UnavailableError(
            "remote stores need a client that is not installed; `pip install 'redoxa[remote]'` "
            "brings it"
        ) from None
