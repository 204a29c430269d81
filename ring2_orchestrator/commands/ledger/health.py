"""The verbs of `redoxa ledger` that look at the ledger as a whole."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import UsageError
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.ledger.words import entries_text, head_json, read_note

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.ledger.note import Note

SUMMARIES: Mapping[str, str] = {
    "verify": "check every entry, hash and batch",
    "rebuild": "make damaged hash files again from intact entries",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    verify = verbs["verify"]
    verify.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="a checkpoint kept elsewhere, which the ledger must extend",
    )
    add_key(verify)


def add_key(parser: argparse.ArgumentParser) -> None:
    """The option that says whose signature a checkpoint must have."""
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="VKEY",
        help="a verifier key by which that checkpoint must be signed; give it again for more",
    )


def _verify(args: argparse.Namespace, context: Context) -> int:
    if args.key and args.checkpoint is None:
        raise UsageError("--key says who signed a checkpoint; name that with --checkpoint")
    with context.open_home(to_read=True) as home:
        kept = read_note(args.checkpoint) if args.checkpoint is not None else None
        if kept is not None:
            _check_signatures(kept, args, home)
        ledger = home.ledger
        total = 2 * len(ledger)
        with context.report.progress("verifying the ledger", total, after_s=1.0) as advance:
            head = ledger.verify(kept.whole if kept is not None else None, advance=advance)
        unfinished = ledger.unfinished()
    said = head_json(head)
    context.report.data(
        {
            "checkpoint_extended": kept is not None,
            "signed_by": args.key,
            "unfinished": unfinished,
            **said,
        }
    )
    extended = ", and they extend that checkpoint" if kept is not None else ""
    context.report.line(f"{entries_text(head.size)} verified{extended}")
    context.report.line(f"root hash {said['root_hash']}")
    for sentence in unfinished:
        context.report.line(f"unfinished: {sentence}")
    return 0


def _check_signatures(kept: "Note", args: argparse.Namespace, home: "Home") -> None:
    """Raise NotProvenError unless the keys that were named signed it, and ours if it says so."""
    from ring2_orchestrator.ledger.keyfile import KeyFile  # noqa: PLC0415 - only with --checkpoint
    from ring2_orchestrator.ledger.keys import VerifierKey, check_signed  # noqa: PLC0415

    what = f"the checkpoint {args.checkpoint}"
    for text in args.key:
        check_signed(kept, VerifierKey.parse(text), what=what)
    own = KeyFile(home.path / "keys").load() if kept.signatures else None
    if own is not None:
        check_signed(kept, own.verifier, what=what, required=False)


def _rebuild(args: argparse.Namespace, context: Context) -> int:
    del args
    with context.open_home() as home:
        made = home.ledger.rebuild()
    context.report.data({"rebuilt": made})
    files = "1 hash file" if made == 1 else f"{made} hash files"
    context.report.line(f"{files} made again; every entry is intact")
    return 0


VERBS: Mapping[str, Callable[[argparse.Namespace, Context], int]] = {
    "verify": _verify,
    "rebuild": _rebuild,
}
