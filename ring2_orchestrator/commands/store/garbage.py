"""The verbs of `redoxa store` for what is kept: the roots, and the collection of all else."""

import argparse
from collections.abc import Callable, Mapping

from cid_store.errors import InputError
from cid_store.tiers import Tier
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.store.words import seconds
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import size_text

SUMMARIES: Mapping[str, str] = {
    "roots": "list the names that keep objects, and what they name",
    "unbind": "take a root's name away, so that gc may drop what only it led to",
    "gc": "drop what neither a root nor the ledger leads to",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    verbs["roots"].add_argument(
        "prefix", metavar="PREFIX", nargs="?", default="", help="only names that begin with it"
    )
    verbs["unbind"].add_argument("name", metavar="NAME", help="the root, as `roots` lists it")
    gc = verbs["gc"]
    gc.add_argument(
        "--grace",
        metavar="TIME",
        type=seconds,
        default="7d",
        help="leave alone what was put in this time: 90s, 30m, 12h, 7d; 0 only where nobody else "
        "works (default: 7d)",
    )
    gc.add_argument("--dry-run", action="store_true", help="change nothing; say what would go")


def _roots(home: Home, args: argparse.Namespace, context: Context) -> int:
    store = home.store
    bound = [(name, str(cid)) for name, cid in store.roots(args.prefix)]
    context.report.data({"roots": dict(bound)})
    context.report.table(("root", "names"), bound)
    return 0


def _unbind(home: Home, args: argparse.Namespace, context: Context) -> int:
    store = home.store
    cid = store.root(args.name)
    if cid is None:
        raise InputError(f"the store has no root {args.name!r}; `redoxa store roots` lists them")
    store.set_root(args.name, None)
    context.report.data({"root": args.name, "cid": str(cid)})
    context.report.say(f"{args.name} named {cid}")
    return 0


def _gc(home: Home, args: argparse.Namespace, context: Context) -> int:
    store = home.store
    report = context.report
    with report.progress("gc", total=store.stat().packs, after_s=1.0) as advance:
        found = store.gc(
            live=home.needed,
            grace_s=args.grace,
            dry_run=args.dry_run,
            progress=advance,
        )
    if not args.dry_run:
        from ring2_orchestrator.shortcuts.folder import drop_all  # noqa: PLC0415 - start-up

        drop_all(home.path)  # caches of traces that may be gone
    if home.has_ledger and not args.dry_run:
        from ring2_orchestrator.tiers.booking import book_forgotten  # noqa: PLC0415 - start-up

        book_forgotten(home.ledger, found.forgotten, store.books())
    values = {**found._asdict(), "dry_run": args.dry_run, "grace_s": args.grace}
    values["forgotten"] = {tier.value: found.forgotten.of(tier)._asdict() for tier in Tier}
    report.data({**values, "lost": [str(cid) for cid in found.lost]})
    for note in found.notes:
        report.warn(note)
    if found.lost:
        report.warn(
            f"{len(found.lost):,} needed objects are missing or damaged, {found.lost[0]} first; "
            "`redoxa store repair` says what that means"
        )
    does = "would go" if args.dry_run else "gone"
    report.line(f"{_amount(found.dropped, found.dropped_bytes)} {does}; {_packs(found.packs)}")
    if found.young:
        report.line(f"{_amount(found.young, found.young_bytes)} too young to go")
    if found.spared:
        amount = _amount(found.spared, found.spared_bytes)
        report.line(f"{amount} left, where moving what is needed would cost more than it frees")
    report.line(f"{_amount(found.kept, found.kept_bytes)} stay")
    return 4 if found.lost else 0


def _amount(objects: int, size: int) -> str:
    return f"{objects:,} objects, {size_text(size)},"


def _packs(numbers: tuple[int, ...]) -> str:
    return f"packs {', '.join(map(str, numbers))} go" if numbers else "every pack stays"


VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]] = {
    "roots": _roots,
    "unbind": _unbind,
    "gc": _gc,
}
