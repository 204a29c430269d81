"""The verbs of `redoxa store` that look at the store as a whole."""

import argparse
from collections.abc import Callable, Mapping

from cid_store.local import LocalStore
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.report import size_text

SUMMARIES: Mapping[str, str] = {
    "stat": "say how much the store holds, and its size on the disk",
    "verify": "read everything and compare it with its names",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs: none."""
    del verbs


def _stat(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    del args
    stat = store.stat()
    context.report.data({"path": str(store.path), **stat._asdict()})
    context.report.table(
        ("what", "how much"),
        (
            ("objects", stat.objects),
            ("their bytes", stat.object_bytes),
            ("roots", stat.roots),
            ("packs", stat.packs),
            ("bytes on disk", stat.disk_bytes),
        ),
    )
    return 0


def _verify(store: LocalStore, args: argparse.Namespace, context: Context) -> int:
    del args
    report = context.report
    with report.progress("verify", total=store.stat().object_bytes) as advance:
        found = store.verify(advance)
    report.data(
        {
            "ok": found.ok,
            "objects": found.objects,
            "object_bytes": found.object_bytes,
            "packs": found.packs,
            "roots": found.roots,
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
    return 0 if found.ok else 4


VERBS: Mapping[str, Callable[[LocalStore, argparse.Namespace, Context], int]] = {
    "stat": _stat,
    "verify": _verify,
}
