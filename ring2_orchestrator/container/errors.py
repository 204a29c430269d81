"""The errors of containers.

RedoxaError (cid_store.errors)
  DamageError
    DamagedContainerError    the bytes are not a container, or not the one that was written
  UnavailableError
    MissingKernelError       the container needs a kernel this installation lacks
    AmbiguousKernelError     the container names a kernel, and several that are here fit
    ForeignKernelError       the container brings kernels of its own that nobody allowed to run
"""

from cid_store.errors import DamageError, UnavailableError


class DamagedContainerError(DamageError):
    """The bytes are not a container, or not the one that was written."""


class MissingKernelError(UnavailableError):
    """The container needs a kernel that this installation lacks."""


class AmbiguousKernelError(UnavailableError):
    """The container names a kernel, and several that are here fit."""


class ForeignKernelError(UnavailableError):
    """The container brings kernels of its own that nobody allowed to run."""
