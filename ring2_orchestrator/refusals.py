"""What the host refuses to run for a user is entered in the ledger, with its reason.

Entered is what reaches the user, at the two doors through which users come: a command and the VM.
A search tries thousands of calls and expects most to be refused; those are its own business.
"""

from collections.abc import Callable, Sequence

from cid_store.cid import Cid
from cid_store.encoding import NodeLike
from cid_store.errors import RedoxaError
from ring0.errors import KernelError, RefusedModuleError
from ring0.examination import Examination
from ring0.execution import StepFailedError
from ring0.outcome import Refused, name_of, reason_of, sentence
from ring2_orchestrator.ledger import Ledger

LEDGER_KIND = "refusal"


def enter(error: RedoxaError, ledger: Callable[[], Ledger], *, doing: str) -> None:
    """Enter the refusal that this error is, or came of; nothing where it is none.

    What prevents that becomes a note of the error, which is raised all the same.
    """
    cause: BaseException | None = error
    while cause is not None:
        found = _refusal(cause)
        if found is not None:
            module, entry = found
            _append(error, ledger, module, [{"doing": doing, **entry}])
            return
        cause = cause.__cause__


def enter_examination(
    examination: Examination, ledger: Callable[[], Ledger], *, doing: str
) -> str | None:
    """Enter every check that the module failed; a sentence where that cannot be done."""
    entries: list[NodeLike] = [
        {
            "doing": doing,
            "what": "module",
            "outcome": "refused",
            "reason": check.name,
            "code": None,
            "detail": check.sentence,
            "kernel": examination.name,
            "step": None,
        }
        for check in examination.checks
        if not check.passed and check.tried
    ]
    return _trouble(ledger, examination.cid, entries)


def _append(
    error: RedoxaError, ledger: Callable[[], Ledger], module: Cid, entries: Sequence[NodeLike]
) -> None:
    if (trouble := _trouble(ledger, module, entries)) is not None:
        error.add_note(trouble)


def _trouble(ledger: Callable[[], Ledger], module: Cid, entries: Sequence[NodeLike]) -> str | None:
    # The subject is text and no link: nothing that is refused needs to be kept.
    try:
        ledger().append(entries, kind=LEDGER_KIND, subject=str(module))
    except (RedoxaError, OSError) as failure:
        return f"not in the ledger: {failure}"
    return None


def _refusal(error: BaseException) -> tuple[Cid, dict[str, NodeLike]] | None:
    """The module that was refused, or whose call was, and what is said of it."""
    if isinstance(error, StepFailedError):
        outcome = error.outcome
        return error.kernel.cid, {
            "what": "call",
            "outcome": name_of(outcome),
            "reason": reason_of(outcome),
            "code": outcome.code if isinstance(outcome, Refused) else None,
            "detail": sentence(outcome),
            "kernel": error.kernel.name,
            "step": error.step,
        }
    if isinstance(error, KernelError) and error.module is not None:
        return error.module, {
            "what": "module",
            "outcome": "refused",
            "reason": error.reason if isinstance(error, RefusedModuleError) else "manifest",
            "code": None,
            "detail": str(error),
            "kernel": None,
            "step": None,
        }
    return None
