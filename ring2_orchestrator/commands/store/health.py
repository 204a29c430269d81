"""The verbs of `redoxa store` that look at the store as a whole."""

import argparse
import re
from collections.abc import Callable, Iterator, Mapping

from cid_store.cid import Cid
from cid_store.tiers import Account, Tier
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import seconds_text, size_text

SUMMARIES: Mapping[str, str] = {
    "stat": "say how much the store holds, and its size on the disk",
    "verify": "read everything and compare it with its names",
    "repair": "make the index anew from the packs, and say what is lost and how to get it again",
}

# How what a root led to is made again, by the beginning of the root's name.
_AGAIN = {
    "memo/": "run the command again",
    "clones/": "run the command again",
    "marks/": "run the command again",
    "frame/": "run the kernel again",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    verbs["verify"].add_argument(
        "--rebuild",
        action="store_true",
        help="rebuild what was demoted, too; else only what that needs is checked",
    )
    verbs["verify"].add_argument(
        "--sample",
        metavar="P",
        type=_share,
        default="100%",
        help="read only this share of the objects, others each time: 5%% or 0.05",
    )


def _share(text: str) -> float:
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?)(%?)", text)
    share = float(match[1]) / (100 if match[2] else 1) if match is not None else 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 5% or 0.05")
    return share


def _stat(home: Home, args: argparse.Namespace, context: Context) -> int:
    del args
    store = home.store
    stat, census, books = store.stat(), store.census(), store.books()
    dead = sum(pack.dead for pack in census.packs)
    codecs = {codec.name.lower(): counts for codec, counts in census.codecs.items()}
    context.report.data(
        {
            "path": str(store.path),
            **stat._asdict(),
            "codecs": {
                name: {"objects": count, "bytes": size} for name, (count, size) in codecs.items()
            },
            "in_chunks": census.in_chunks,
            "tiers": {tier.value: books.of(tier)._asdict() for tier in Tier},
            "dead_bytes": dead,
            "pack_fill": [pack._asdict() for pack in census.packs],
        }
    )
    context.report.table(
        ("what", "how much"),
        (
            ("objects", stat.objects),
            *((f"  {name}", count) for name, (count, _) in codecs.items()),
            ("  kept in chunks", census.in_chunks),
            ("their bytes", stat.object_bytes),
            *((f"  {name}", size) for name, (_, size) in codecs.items()),
            *(row for tier in Tier for row in _tier_rows(tier, books.of(tier))),
            ("roots", stat.roots),
            ("packs", stat.packs),
            ("bytes in packs", sum(pack.used for pack in census.packs)),
            ("  that no object needs", dead),
            ("bytes on disk", stat.disk_bytes),
        ),
    )
    return 0


def _tier_rows(tier: Tier, account: Account) -> Iterator[tuple[str, int | str]]:
    """The account of one tier in the table."""
    yield tier.value, account.objects
    yield "  bytes when read", account.object_bytes
    yield "  bytes of their records", account.stored_bytes
    if tier is not Tier.ILLUMINATED:
        yield "  debt", seconds_text(account.debt_s)


def _verify(home: Home, args: argparse.Namespace, context: Context) -> int:
    store = home.store
    report = context.report
    total = store.stat().object_bytes * args.sample
    with report.progress("verify", total=total) as advance:
        found = store.verify(advance, sample=args.sample, rebuild=args.rebuild)
    report.data(
        {
            "ok": found.ok,
            "objects": found.objects,
            "object_bytes": found.object_bytes,
            "packs": found.packs,
            "roots": found.roots,
            "unread": found.unread,
            "untried": len(found.untried),
            "damage": list(found.damage),
            "notes": list(found.notes),
        }
    )
    for note in found.notes:
        report.say(note)
    for sentence in found.damage:
        report.warn(sentence)
    intact = f"{found.objects:,} objects, {size_text(found.object_bytes)}, {found.roots:,} roots"
    report.line(f"{intact}: all sound" if found.ok else f"{intact} sound; damage found")
    if found.unread:
        report.line(f"{found.unread:,} objects were not read")
    if found.untried:
        report.line(f"{len(found.untried):,} objects could not be rebuilt on this machine now")
    if not found.ok:
        return 4
    return 5 if found.untried else 0


def _repair(home: Home, args: argparse.Namespace, context: Context) -> int:
    del args
    store = home.store
    report = context.report
    with report.progress("repair", total=store.stat().object_bytes) as advance:
        done = store.repair(
            live=home.needed(),
            derives=_again,
            progress=advance,
        )
    report.data(
        {
            "objects": done.found.objects,
            "damage": list(done.found.damage),
            "lost": [str(cid) for cid in done.lost],
            "lost_roots": [
                {"root": root.name, "cid": str(root.cid), "lost": str(root.lost), "how": root.again}
                for root in done.roots
            ],
            "lost_batches": done.starts,
        }
    )
    for sentence in done.found.damage:
        report.warn(sentence)
    for root in done.roots:
        way = root.again if root.again is not None else "put the same bytes again"
        report.warn(f"root {root.name!r} has lost {root.lost}; {way}")
    if done.starts:
        report.warn(f"{done.starts:,} batches of the ledger have lost something of what they name")
    report.line(
        f"the index is made anew: {done.found.objects:,} objects and {done.found.roots:,} roots "
        f"are there; {len(done.lost):,} objects are lost, {len(done.roots):,} roots need them"
    )
    return 4 if done.lost or done.found.damage else 0


def _again(name: str, cid: Cid) -> str | None:
    """How what that root led to can be made again."""
    del cid
    return next((way for prefix, way in _AGAIN.items() if name.startswith(prefix)), None)


VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]] = {
    "stat": _stat,
    "verify": _verify,
    "repair": _repair,
}
