"""A run of the ledger as learning sees it: what was known before it, and what came of it."""

import math
import os
from collections.abc import Mapping, Sequence

from cid_store.encoding import Node
from ring2_orchestrator.ce1.learning.happening import After, Before
from ring2_orchestrator.ledger import Batch

_SCRIPTS = (".py", ".sh", ".bash", ".js", ".mjs", ".pl", ".rb")


def happening_of(batch: Batch) -> tuple[Before, After] | None:
    """A batch of kind `run`; None where it is not one."""
    match batch.entries:
        case (
            {"verdict": str(verdict), "exit_code": int(code), "wall_s": int() | float()} as entry,
            *_,
        ):
            if verdict not in ("reused", "ran", "failed", "drifted"):
                return None
            return _before(batch.subject, entry, verdict), _after(entry, verdict, code)
        case _:
            return None


def name_of(words: Sequence[str]) -> str:
    """What a command is about: the last script among its words, else the program."""
    scripts = [word for word in words if word.endswith(_SCRIPTS)]
    return scripts[-1] if scripts else words[0] if words else ""


def is_own(name: str, paths: Sequence[str]) -> bool:
    """Whether a script is among changed paths."""
    own = f"/{name.removeprefix('./')}"
    return bool(name) and any(f"/{path}".endswith(own) for path in paths)


def _before(subject: str, entry: Mapping[str, Node], verdict: str) -> Before:
    changed = _must_rerun(entry, verdict)
    listed = entry.get("changed")
    paths = [path for path in listed if isinstance(path, str)] if isinstance(listed, list) else []
    words = entry.get("command")
    named = (
        [os.fsdecode(w) for w in words if isinstance(w, bytes)] if isinstance(words, list) else []
    )
    name = name_of(named)
    return Before(
        subject=subject,
        name=name,
        changed=changed,
        paths=tuple(paths) if changed else (),
        own_changed=changed and is_own(name, paths),
        load=_number(entry.get("load")),
    )


def _after(entry: Mapping[str, Node], verdict: str, code: int) -> After:
    executed = verdict != "reused"
    return After(
        must_rerun=_must_rerun(entry, verdict),
        executed=executed,
        failed=executed and code != 0,
        drifted=verdict == "drifted",
        cpu_s=_number(entry.get("cpu_s")) if executed else None,
        wall_s=_number(entry.get("wall_s")) if executed else None,
        max_rss_bytes=_number(entry.get("max_rss_bytes")) if executed else None,
    )


def _must_rerun(entry: Mapping[str, Node], verdict: str) -> bool:
    # What drifted, or ran to verify a recording, could have been reused.
    return verdict not in ("reused", "drifted") and entry.get("verified") is None


def _number(value: Node) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value)
    return None
