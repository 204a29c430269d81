"""The errors of Redoxa's innermost ring, and the root of the whole family.

RedoxaError                 anything Redoxa refuses, with the exit code the command line gives it
  UsageError                the caller asked for something that cannot be meant
  InputError                something the user named cannot be used
    MalformedCidError       a CID that is not in its one accepted form
    MalformedNodeError      bytes that are not one canonical node
    MalformedCarError       a CAR file that is damaged, cut short or not one
  DamageError               something stored is not what it was when it was stored
    CorruptObjectError      stored bytes no longer hash to their name
    MissingObjectError      the store does not hold the object
  UnavailableError          this machine lacks something the work needs
    StoreLockedError        another process is writing this store
    StoreStoppedError       the disk did not confirm a write, so this store takes no more
"""

from __future__ import annotations

import errno

TYPE_CHECKING = False  # as `typing` has it, which a reused run would load for nothing else

if TYPE_CHECKING:
    from typing import ClassVar


class RedoxaError(Exception):
    """The root: its text names the thing, the fact and the way out."""

    exit_code: ClassVar[int] = 1
    # Whether the text shows a place on lines of its own; otherwise it is one line, whatever the
    # names in it hold.
    has_lines: ClassVar[bool] = False


class UsageError(RedoxaError):
    """The caller asked for something that cannot be meant."""

    exit_code = 2


class InputError(RedoxaError):
    """Something the user named cannot be used: missing, unreadable, malformed."""

    exit_code = 3


class MalformedCidError(InputError):
    """A CID that is not in its one accepted form."""


class MalformedNodeError(InputError):
    """Bytes that are not one node in canonical form."""


class MalformedCarError(InputError):
    """A CAR file that is damaged, cut short or not one."""


class DamageError(RedoxaError):
    """Something stored is not what it was when it was stored."""

    exit_code = 4


class CorruptObjectError(DamageError):
    """Stored bytes no longer hash to their name."""


class MissingObjectError(DamageError):
    """The store does not hold the object."""


class UnavailableError(RedoxaError):
    """This machine lacks something the work needs."""

    exit_code = 5


class StoreLockedError(UnavailableError):
    """Another process is writing this store."""


class StoreStoppedError(UnavailableError):
    """The disk did not confirm a write, so this store takes no more until it is opened again."""


def is_full(error: UnavailableError) -> bool:
    """Whether nothing but room on the disk is missing, and the store may go on when there is."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
