"""The recorder's own errors.

RedoxaError
  InputError
    CannotExecuteError   the command cannot be found, or cannot be executed
  UnavailableError
    NoRecorderError      the helper is missing here, and cannot be built
    RecorderFailedError  the helper ended before it could say how the program did
"""

from cid_store.errors import InputError, UnavailableError


class CannotExecuteError(InputError):
    """The command cannot be found (`missing`), or was found and cannot be executed."""

    def __init__(self, text: str, *, missing: bool) -> None:
        super().__init__(text)
        self.missing = missing


class NoRecorderError(UnavailableError):
    """The recorder's helper is missing on this machine, and cannot be built."""


class RecorderFailedError(UnavailableError):
    """The recorder's helper ended before it could say how the program did."""
