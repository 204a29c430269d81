"""The verbs of `redoxa store` for objects that take too much room to be kept whole."""

import argparse
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cid_store.cid import Cid, Codec
from cid_store.errors import InputError, UsageError
from cid_store.local import LocalStore
from cid_store.nodes import reachable
from cid_store.tiers import Tier
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.store.words import byte_count, named, seconds
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import one_line, seconds_text, size_text

if TYPE_CHECKING:
    from ring2_orchestrator.tiers.demotion import Verdict

SUMMARIES: Mapping[str, str] = {
    "demote": "keep objects as what rebuilds them, verified: a container, or the frame that made "
    "them",
    "promote": "keep demoted objects whole again",
}

_MOST_LINES = 40  # of a table; where there would be more, what is left alone is counted
_NAME = "an object's CID, or a root's name; of a tree or another node, all bytes that it leads to"
_ONLY_AUTO = ("min_gain", "free", "older", "dry_run")


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    demote = verbs["demote"]
    demote.add_argument("names", metavar="NAME", nargs="*", help=_NAME)
    demote.add_argument(
        "--to",
        choices=[Tier.PENUMBRA.value, Tier.UMBRA.value],
        help="penumbra: packed; umbra: dropped, and made again by the frame that made it (default: "
        "umbra where a frame makes it quickly enough, else penumbra)",
    )
    demote.add_argument(
        "--auto", action="store_true", help="instead of names: whatever gains most, see below"
    )
    demote.add_argument(
        "--min-gain",
        metavar="BYTES_PER_SECOND",
        type=_rate,
        help="with --auto: leave what saves fewer bytes for each second of rebuilding it (default: "
        "1000000)",
    )
    demote.add_argument(
        "--free",
        metavar="BYTES",
        type=byte_count,
        help="with --auto: stop when so much is saved (default: go on while anything gains)",
    )
    demote.add_argument(
        "--older",
        metavar="AGE",
        type=seconds,
        help="with --auto: leave what was put in this time: 90s, 30m, 12h, 7d (default: nothing)",
    )
    demote.add_argument(
        "--dry-run",
        action="store_true",
        help="with --auto: change nothing; say what would be done, expected from samples",
    )
    verbs["promote"].add_argument("names", metavar="NAME", nargs="+", help=_NAME)


def _rate(text: str) -> float:
    if re.fullmatch(r"\d{1,15}(\.\d{1,3})?", text) is None:
        raise argparse.ArgumentTypeError(f"{one_line(text)!r} is not a number of bytes a second")
    return float(text)


def _demote(home: Home, args: argparse.Namespace, context: Context) -> int:
    if args.auto == bool(args.names):
        raise UsageError("name what is to be demoted, or give --auto, and not both")
    if args.auto:
        return _demote_best(home, args, context)
    given = [option for option in _ONLY_AUTO if getattr(args, option)]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} goes with --auto, not with names")
    from ring2_orchestrator.tiers.policy import MIN_SIZE, Why  # noqa: PLC0415 - start-up

    cids = [cid for word in args.names for cid in _bytes_under(home.store, word, MIN_SIZE)]
    to = Tier(args.to) if args.to is not None else None
    with context.report.progress("demote", total=len(set(cids))) as advance:
        verdicts = home.tiers.demote(cids, to, advance)
    _tell(
        context, verdicts, "demoted", by_cid=any(home.store.root(at) is None for at in args.names)
    )
    # The answer is no where all that was named had to stay as it is.
    return 0 if any(at.move is not None or at.why is Why.THERE for at in verdicts) else 1


def _demote_best(home: Home, args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.tiers.policy import (  # noqa: PLC0415 - start-up is performance
        MIN_GAIN,
        Policy,
    )

    if args.to is not None:
        raise UsageError("--auto chooses the tier by itself; leave out --to, or name the objects")
    gain = args.min_gain if args.min_gain is not None else MIN_GAIN
    older = args.older
    before_ns = home.clock.now_ns() - round(older * 1e9) if older is not None else None
    with context.report.progress("demote") as advance:
        verdicts = home.tiers.demote_best(
            Policy(wanted_bytes=args.free, min_gain=gain),
            put_before_ns=before_ns,
            dry_run=args.dry_run,
            advance=advance,
        )
    _tell(context, verdicts, "would be demoted" if args.dry_run else "demoted")
    return 0


def _promote(home: Home, args: argparse.Namespace, context: Context) -> int:
    cids = [cid for word in args.names for cid in _demoted_under(home.store, word)]
    with context.report.progress("promote", total=len(set(cids))) as advance:
        verdicts = home.tiers.promote(cids, advance)
    _tell(context, verdicts, "promoted")
    return 0


def _bytes_under(store: LocalStore, word: str, least_bytes: int) -> list[Cid]:
    """The object of that name, or the bytes that a node leads to, those worth a trial."""
    cid = _there(store, word)
    if cid.codec is not Codec.NODE:
        return [cid]
    return [
        under
        for under in reachable(store, [cid])
        if under.codec is not Codec.NODE and store.size(under) >= least_bytes
    ]


def _demoted_under(store: LocalStore, word: str) -> list[Cid]:
    """The object of that name, or what is demoted of all that a node leads to."""
    cid = _there(store, word)
    if cid.codec is not Codec.NODE:
        return [cid]
    under = reachable(store, [cid])
    return [at for at in under if store.tier(at) is not Tier.ILLUMINATED]


def _there(store: LocalStore, word: str) -> Cid:
    cid = named(store, word)
    if not store.has(cid):
        raise InputError(f"object {cid} is not in the store at {store.path}; put it first")
    return cid


def _tell(
    context: Context, verdicts: "Sequence[Verdict]", done: str, *, by_cid: bool = False
) -> None:
    report = context.report
    taken = [verdict for verdict in verdicts if verdict.why.is_taken]
    saved = sum(verdict.saved_bytes for verdict in taken)
    report.data(
        {
            "objects": [_value(verdict) for verdict in verdicts],
            "changed": len([verdict for verdict in verdicts if verdict.move is not None]),
            "saved_bytes": saved,
        }
    )
    shown = [verdict for verdict in verdicts if not verdict.why.is_untried]
    shown = taken if len(shown) > _MOST_LINES else shown
    left = Counter(map(_because, verdicts)) - Counter(map(_because, shown))
    report.table(
        ("object", "bytes", "tier", "saves", "rebuild", "because"),
        [_row(verdict) for verdict in sorted(shown, key=lambda at: not at.why.is_taken)],
    )
    for because, count in sorted(left.items()):
        report.line(f"{count:,} objects left alone: {because}")
    report.say(f"{len(taken):,} of {len(verdicts):,} objects {done}{_room(saved, by_cid=by_cid)}")


def _room(saved_bytes: int, *, by_cid: bool) -> str:
    if saved_bytes > 0:
        # Whether a root leads to what was named by its CID, only a look at all of them could tell.
        caution = ", and drops what no root leads to" if by_cid else ""
        return (
            f", {size_text(saved_bytes)} saved; `redoxa store gc` gives that back to the "
            f"disk, when the grace period of their packs is over{caution}"
        )
    return f", {size_text(-saved_bytes)} more are needed" if saved_bytes < 0 else ""


def _value(verdict: "Verdict") -> dict[str, object]:
    move, option = verdict.move, verdict.option
    return {
        "cid": str(verdict.cid),
        "bytes": verdict.size_bytes,
        "why": verdict.why.value,
        "reason": _because(verdict),
        "changed": move is not None,
        "from": move.origin.value if move is not None else None,
        "to": move.target.value if move is not None else option and option.tier.value,
        "saved_bytes": verdict.saved_bytes,
        "cost_s": move.cost_s if move is not None else option and option.cost_s,
        "gain": option and option.gain,
    }


def _row(verdict: "Verdict") -> tuple[object, ...]:
    value = _value(verdict)
    cost_s = value["cost_s"]
    return (
        value["cid"],
        verdict.size_bytes,
        value["to"],
        verdict.saved_bytes,
        seconds_text(cost_s) if isinstance(cost_s, float) else None,
        _because(verdict),
    )


def _because(verdict: "Verdict") -> str:
    """Why the object was taken or left, in words."""
    from ring2_orchestrator.tiers.policy import Why  # noqa: PLC0415 - start-up is performance

    gain = f"{size_text(round(verdict.option.gain))} a second" if verdict.option else ""
    return {
        Why.GAIN: f"saves {gain} of rebuilding",
        Why.ASKED: "named, and rebuilt once to verify it",
        Why.NO_WAY: "nothing makes it smaller",
        Why.NO_FRAME: "no frame in this store makes it again",
        Why.LOW_GAIN: f"saves only {gain} of rebuilding",
        Why.ENOUGH: "others that gain more have saved enough",
        Why.THERE: "is there already",
        Why.YOUNG: "put too lately",
        Why.CHUNK: "another object is kept in it",
        Why.INGREDIENT: "a demoted object is rebuilt from it",
        Why.GARBAGE: "no root leads to it, so gc drops it",
        Why.REFUSED: verdict.note,
    }[verdict.why]


VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]] = {
    "demote": _demote,
    "promote": _promote,
}
