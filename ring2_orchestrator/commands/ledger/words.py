"""How entries, checkpoints and times are said and read, by every verb alike."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError

if TYPE_CHECKING:
    from ring2_orchestrator.ledger import Checkpoint, Leaf
    from ring2_orchestrator.ledger.note import Note

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_ns(text: str) -> int:
    """A time as a person types it, in nanoseconds since 1970; UTC where no offset is given."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 2026-01-31, '2026-01-31 12:00' or "
            "2026-01-31T12:00:00+01:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def time_text(moment_ns: int) -> str:
    """A time for people, in UTC."""
    try:
        moment = datetime.fromtimestamp(moment_ns // 10**9, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return f"{moment_ns} ns"
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def leaf_json(seq: int, leaf: "Leaf") -> dict[str, object]:
    """What an entry says, for programs."""
    return {
        "batch": str(leaf.batch),
        "kind": leaf.kind,
        "seq": seq,
        "subject": leaf.subject,
        "time_ns": leaf.time_ns,
    }


def leaf_lines(seq: int, leaf: "Leaf") -> list[str]:
    """What an entry says, for people."""
    return [
        f"entry    {seq}",
        f"time     {time_text(leaf.time_ns)} UTC",
        f"kind     {leaf.kind}",
        f"subject  {leaf.subject}",
        f"batch    {leaf.batch}",
    ]


def head_json(head: "Checkpoint") -> dict[str, object]:
    """What a checkpoint says, for programs."""
    origin, size, root = head.text.splitlines()
    return {"origin": origin, "root_hash": root, "size": int(size)}


def entries_text(count: int) -> str:
    """So many entries."""
    return "1 entry" if count == 1 else f"{count:,} entries"


def ending(subject: str) -> str:
    """The part of a subject that tells it from others, in 40 letters."""
    return subject if len(subject) <= 40 else f"...{subject[-37:]}"


def read_text(path: Path, *, limit: int, what: str, made_by: str) -> str:
    """The text of a small file that Redoxa printed once. Raises InputError."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(
            f"the {what} {path} cannot be read ({error.strerror}); name a file that "
            f"`{made_by}` printed"
        ) from error
    if len(data) > limit:
        raise InputError(f"{path} is too long to be a {what}; name a file that `{made_by}` printed")
    # What is not UTF-8 stays visible as such, and is refused where the text is parsed.
    return data.decode("utf-8", "surrogateescape")


def read_note(path: Path) -> "Note":
    """The checkpoint that somebody kept in a file, with its signatures. Raises InputError."""
    from ring2_orchestrator.ledger import (  # noqa: PLC0415 - start-up is performance
        Checkpoint,
        MalformedNoteError,
    )
    from ring2_orchestrator.ledger.note import MAX_NOTE, Note  # noqa: PLC0415

    text = read_text(path, limit=MAX_NOTE, what="checkpoint", made_by="redoxa ledger checkpoint")
    try:
        note = Note.parse(text)
        Checkpoint.of(note)
    except MalformedNoteError as error:
        raise MalformedNoteError(f"{path} holds no checkpoint: {error}") from error
    return note
