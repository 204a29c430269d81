"""Why a command was not even started, or a run not found.

InputError
  NoSuchCommandError      nothing of that name can be run (exit code 127)
  NotExecutableError      it is there, and cannot be run (exit code 126)
  NoSuchRunError          the ledger holds no run of that name
    AmbiguousRunError     it holds several
RedoxaError
  RestoreError            the outputs could not be put back; the command is run instead
"""

from cid_store.errors import InputError, RedoxaError


class NoSuchCommandError(InputError):
    """Nothing of that name can be run."""

    exit_code = 127


class NotExecutableError(InputError):
    """The file is there, and cannot be run."""

    exit_code = 126


class NoSuchRunError(InputError):
    """The ledger holds no run of that name."""


class AmbiguousRunError(NoSuchRunError):
    """The ledger holds several runs of that name."""


class RestoreError(RedoxaError):
    """Outputs could not be put back where the run had made them; nothing was left half written."""
