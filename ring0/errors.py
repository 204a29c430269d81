"""The errors of the machine.

RedoxaError (cid_store.errors)
  InputError
    KernelError             something handed to the machine is no kernel it runs
      RefusedModuleError    the bytes are no module this machine accepts; `reason` says which rule
      ManifestError         the manifest a kernel carries is missing or malformed
      ParameterError        a parameter is unknown, missing its type, or outside its range
  UsageError
    CapabilityError         the boundary does not allow what was asked
  UnavailableError
    EngineError             the WebAssembly engine is missing, another version, or failed to start
"""

from cid_store.cid import Cid
from cid_store.errors import InputError, UnavailableError, UsageError


class KernelError(InputError):
    """Something handed to the machine is no kernel it runs; `module` names it, where known."""

    module: Cid | None = None


class RefusedModuleError(KernelError):
    """The bytes are no module this machine accepts.

    `reason` is a stable word for programs; the text is the sentence for people.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class ManifestError(KernelError):
    """The manifest a kernel carries is missing or malformed."""


class ParameterError(KernelError):
    """A parameter is unknown, lacks its type, or lies outside its range."""


class CapabilityError(UsageError):
    """The boundary does not allow what was asked."""


class EngineError(UnavailableError):
    """The WebAssembly engine is missing, is another version, or failed to start."""
