"""What to say when a service does not do what it was asked.

What the service itself says is never shown: it may hold signatures and names of accounts.
"""

import os
import re
from urllib.parse import urlsplit

from cid_store.errors import InputError, RedoxaError, UnavailableError

_VARIABLES = {"s3": "AWS_*", "gs": "GOOGLE_*", "az": "AZURE_*"}
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google", "MissingAccount", "credential")
_REFUSED = ("PermissionDenied {", "Unauthenticated {")
_LATE = ("operation timed out", "TimedOut", "kind: Timeout")
_NOT_IMPLEMENTED = ("status code: 501",)
_NO_TLS = ("source: BadScheme", "URL scheme is not allowed")
_UNREACHED = ("kind: Connect", "error sending request")


def names_no_bucket(error: Exception) -> bool:
    """Whether the service says that not the key is missing but what should hold it."""
    return _says(error, _NO_BUCKET)


def knows_no_conditions(error: Exception) -> bool:
    """Whether the service says that it writes unconditionally only."""
    return _says(error, _NOT_IMPLEMENTED)


def no_bucket(url: str) -> InputError:
    """The error for a bucket that is not there."""
    return InputError(
        f"there is no bucket for {url}; make it with the service's own tools, or name another"
    )


def refusal(error: Exception, url: str, *, timeout_s: float) -> RedoxaError:
    """The error that says in a sentence what the client's error means."""
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return _of_folder(error, url)
    if names_no_bucket(error):
        return no_bucket(url)
    if _says(error, _REFUSED):
        return InputError(
            f"{url} does not accept this environment's credentials, or they do not allow this; "
            f"check {_VARIABLES.get(scheme, 'them')} (docs/formats/remote.md lists them)"
        )
    return _lacks_credentials(error, url) or _of_network(error, url, timeout_s)


def unusable(error: Exception, url: str) -> InputError:
    """The error for settings in the environment with which no service could even be asked."""
    variables = _VARIABLES.get(urlsplit(url).scheme, "them")
    return _lacks_credentials(error, url) or InputError(
        f"the settings for {url} cannot be used; check {variables} in the environment "
        "(docs/formats/remote.md lists them)"
    )


def _lacks_credentials(error: Exception, url: str) -> InputError | None:
    variables = _VARIABLES.get(urlsplit(url).scheme)
    if variables is None or not _says(error, _NO_CREDENTIALS):
        return None
    return InputError(
        f"no credentials for {url}: set {variables} in the environment "
        "(docs/formats/remote.md lists them)"
    )


def _of_folder(error: Exception, url: str) -> UnavailableError:
    code = error.errno if isinstance(error, OSError) else None
    if code is None and (number := re.search(r"\(os error (\d+)\)", str(error))):
        code = int(number[1])  # the client's own errors, those of type OSError too, only say it
    why = os.strerror(code) if code else "what lies there is no folder of a store"
    return UnavailableError(
        f"the store at {url} cannot be used ({why}); see to the folder, then try again"
    )


def _of_network(error: Exception, url: str, timeout_s: float) -> UnavailableError:
    status = re.search(r"status code: (\d{3})", str(error))
    if _says(error, _LATE):
        fact = f"did not answer within {timeout_s:g} s; try again later"
    elif status:
        fact = f"answered with the error {status[1]}; try again later"
    elif _says(error, _NO_TLS):
        fact = "is reached without TLS, which needs AWS_ALLOW_HTTP=true in the environment"
    elif _says(error, _UNREACHED):
        fact = "cannot be reached; check the address and the network, then try again"
    else:
        fact = "gave no answer that can be read; try again later"
    return UnavailableError(f"{url} {fact}")


def _says(error: Exception, words: tuple[str, ...]) -> bool:
    text = str(error)
    return any(word in text for word in words)
