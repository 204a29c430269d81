"""The verbs of `redoxa ledger` that convince somebody who has no copy of it."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import UsageError
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands._files import STREAM, add_output, open_output
from ring2_orchestrator.commands.ledger.health import add_key
from ring2_orchestrator.commands.ledger.words import (
    entries_text,
    head_json,
    leaf_json,
    leaf_lines,
    read_note,
    read_text,
)

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.ledger import Checkpoint
    from ring2_orchestrator.ledger.keyfile import KeyFile
    from ring2_orchestrator.ledger.note import Note
    from ring2_orchestrator.ledger.proof import GrowthProof, InclusionProof

SUMMARIES: Mapping[str, str] = {
    "checkpoint": "print the head, to be kept elsewhere",
    "key": "make the key that signs checkpoints, or show whom it signs as",
    "prove": "write a proof of one entry, or of the ledger's growth",
    "check": "check a proof, without any ledger",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    verbs["checkpoint"].add_argument("--sign", action="store_true", help="sign it with the key")
    verbs["key"].add_argument(
        "action",
        choices=("new", "show"),
        metavar="ACTION",
        help="'new' draws a key; both print the verifier key, which is no secret",
    )
    _add_prove(verbs["prove"])
    check = verbs["check"]
    check.add_argument("proof", type=Path, metavar="PROOF", help="a file that prove wrote")
    check.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="the checkpoint kept: that of the entry's proof, or the older one of growth",
    )
    add_key(check)


def _add_prove(prove: argparse.ArgumentParser) -> None:
    what = prove.add_mutually_exclusive_group(required=True)
    what.add_argument("seq", type=int, nargs="?", metavar="SEQ", help="the entry to prove")
    what.add_argument(
        "--from",
        dest="old",
        type=Path,
        metavar="OLD",
        help="prove that the ledger only grew since this checkpoint",
    )
    under = prove.add_mutually_exclusive_group()
    under.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="prove it under this checkpoint (default: under the head)",
    )
    under.add_argument("--sign", action="store_true", help="sign the head, and prove it under that")
    add_output(prove, "FILE", "standard output")


def _checkpoint(args: argparse.Namespace, context: Context) -> int:
    with context.open_home(to_read=not args.sign) as home:
        text = _keys(home).sign(home.ledger).whole if args.sign else home.ledger.checkpoint()
    context.report.data({"checkpoint": text})
    _print(text, context)
    return 0


def _key(args: argparse.Namespace, context: Context) -> int:
    with context.open_home(to_read=args.action != "new") as home:
        keys = _keys(home)
        if args.action == "new":
            key = keys.new(home.ledger.head().origin)
            context.report.say(f"made {keys.path}; keep a copy of it where nobody else can read it")
        else:
            key = keys.need().verifier
    context.report.data({"name": key.name, "verifier_key": key.text})
    context.report.line(key.text)
    return 0


def _prove(args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.ledger import Checkpoint  # noqa: PLC0415 - start-up is performance

    with context.open_home(to_read=not args.sign) as home:
        old = Checkpoint.of(read_note(args.old)) if args.old is not None else None
        under = read_note(args.checkpoint) if args.checkpoint is not None else None
        if args.sign:
            under = _keys(home).sign(home.ledger)
        if old is not None:
            proof = home.ledger.prove_growth(old, under)
        else:
            proof = home.ledger.prove(args.seq, under)
    head = head_json(Checkpoint.of(proof.note))
    if args.output is not None:
        with open_output(args.output, STREAM, force=args.force) as out:
            out.write(proof.text.encode("utf-8"))
        context.report.say(f"{args.output}: a proof under the checkpoint of {head['size']} entries")
    proves = "growth" if old is not None else "entry"
    if args.output != STREAM:
        context.report.data({"checkpoint": head, "proof": proof.text, "proves": proves})
    if args.output is None:
        _print(proof.text, context)
    return 0


def _check(args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.ledger import NotProvenError  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.ledger.proof import MAX_PROOF, parse_proof  # noqa: PLC0415

    text = read_text(args.proof, limit=MAX_PROOF, what="proof", made_by="redoxa ledger prove")
    proof = parse_proof(text)
    kept = read_note(args.checkpoint) if args.checkpoint is not None else None
    if kept is None and not args.key:
        raise UsageError(
            "a proof is only as good as its checkpoint: name the one you kept with --checkpoint, "
            "or who must have signed it with --key"
        )
    try:
        head = _judge(proof, kept, args)
    except NotProvenError as error:
        context.report.data({"holds": False, "reason": str(error)})
        context.report.refuse(error)
        return error.exit_code
    _say_proven(proof, head, args, context)
    return 0


def _judge(
    proof: "InclusionProof | GrowthProof", kept: "Note | None", args: argparse.Namespace
) -> "Checkpoint":
    """The checkpoint under which the proof holds. Raises NotProvenError."""
    from ring2_orchestrator.ledger import Checkpoint, NotProvenError  # noqa: PLC0415
    from ring2_orchestrator.ledger.keys import VerifierKey, check_signed  # noqa: PLC0415
    from ring2_orchestrator.ledger.proof import GrowthProof  # noqa: PLC0415

    growth = isinstance(proof, GrowthProof)
    if growth and kept is None:
        raise UsageError("a proof of growth begins with the checkpoint you kept: --checkpoint FILE")
    for key in map(VerifierKey.parse, args.key):
        if kept is not None:
            check_signed(kept, key, what=f"the checkpoint {args.checkpoint}")
        # A proof under the very checkpoint that was kept needs no second signature.
        required = growth or kept is None
        check_signed(proof.note, key, what="the proof's checkpoint", required=required)
    if isinstance(proof, GrowthProof):
        assert kept is not None, "refused above"
        return proof.check(Checkpoint.of(kept))
    head = proof.check()
    if kept is not None and Checkpoint.of(kept) != head:
        raise NotProvenError(
            f"the proof is under another checkpoint ({head.size} entries of {head.origin}) than "
            f"{args.checkpoint}; ask for `redoxa ledger prove {proof.seq} --checkpoint` with yours"
        )
    return head


def _say_proven(
    proof: "InclusionProof | GrowthProof",
    head: "Checkpoint",
    args: argparse.Namespace,
    context: Context,
) -> None:
    from ring2_orchestrator.ledger.leaf import decode_leaf  # noqa: PLC0415 - start-up
    from ring2_orchestrator.ledger.proof import GrowthProof  # noqa: PLC0415

    answer: dict[str, object] = {"checkpoint": head_json(head), "holds": True}
    answer["signed_by"] = args.key
    of = f"{entries_text(head.size)} of {head.origin}"
    if isinstance(proof, GrowthProof):
        context.report.data({**answer, "old_size": proof.old_size, "proves": "growth"})
        context.report.line(f"proven: the {of} begin with the {proof.old_size:,} kept")
        return
    leaf = decode_leaf(proof.entry)
    context.report.data({**answer, "entry": leaf_json(proof.seq, leaf), "proves": "entry"})
    context.report.line(f"proven: entry {proof.seq} is among the {of}")
    for line in leaf_lines(proof.seq, leaf):
        context.report.line(line)


def _keys(home: "Home") -> "KeyFile":
    from ring2_orchestrator.ledger.keyfile import KeyFile  # noqa: PLC0415 - start-up

    return KeyFile(home.path / "keys")


def _print(text: str, context: Context) -> None:
    for line in text.removesuffix("\n").split("\n"):
        context.report.line(line)


VERBS: Mapping[str, Callable[[argparse.Namespace, Context], int]] = {
    "checkpoint": _checkpoint,
    "key": _key,
    "prove": _prove,
    "check": _check,
}
