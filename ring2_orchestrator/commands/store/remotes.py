"""The verbs of `redoxa store` for stores elsewhere: with a service, in a folder, on the web."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cid_store.cid import Cid
from cid_store.errors import CorruptObjectError, InputError, MalformedCidError
from cid_store.store import Store
from ring2_orchestrator.commands import Context, Parser
from ring2_orchestrator.commands.store.words import shown
from ring2_orchestrator.home import Home
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from cid_store.remote import Moved, RemoteStore

_PATIENCE_S = 1.0  # what is done by then needs no bar

SUMMARIES: Mapping[str, str] = {
    "push": "give a store elsewhere objects, with all that their nodes lead to",
    "pull": "take objects, with all that their nodes lead to, from a store elsewhere",
    "remote": "list the roots of a store elsewhere",
}


def add_arguments(verbs: Mapping[str, Parser]) -> None:
    """The words after these verbs."""
    for verb in ("push", "pull", "remote"):
        verbs[verb].add_argument(
            "url",
            metavar="URL",
            help="s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH, file:///FOLDER "
            "or, to read only, https://HOST/PATH; credentials come from the environment",
        )
    for verb, there, or_damaged in (("push", "there", ", or damaged"), ("pull", "here", "")):
        verbs[verb].add_argument(
            "what",
            metavar="ROOT-OR-CID",
            nargs="+",
            help=f"a root's name, which is then bound {there}, too, or an object's CID",
        )
        verbs[verb].add_argument(
            "-f",
            "--force",
            action="store_true",
            help=f"bind a root {there} that is bound to something else{or_damaged}",
        )
    verbs["push"].add_argument(
        "--check", action="store_true", help="read what is there already, and replace damage"
    )
    verbs["remote"].add_argument(
        "prefix", metavar="PREFIX", nargs="?", default="", help="only names that begin with it"
    )


def _push(home: Home, args: argparse.Namespace, context: Context) -> int:
    from cid_store.remote import RemoteStore, push  # noqa: PLC0415 - start-up is performance

    store = home.store
    roots, cids = _meant(store, args.what, f"the store at {store.path}")
    _check_there(cids, (store,), f"{store.path}; put it first")
    with RemoteStore(args.url) as remote:
        damaged = _damaged(remote, roots) if args.force else set[str]()
        sound = {name: cid for name, cid in roots.items() if name not in damaged}
        seen = _free(remote, sound, remote.url, force=args.force)
        with context.report.progress("push", after_s=_PATIENCE_S) as advance:
            moved = push(
                store, remote, [*roots.values(), *cids], check=args.check, progress=advance
            )
        for name in damaged:  # it binds nothing that another could have bound anew
            remote.set_root(name, roots[name])
        for name, cid in sound.items():
            if not remote.swap_root(name, seen[name], cid):
                raise InputError(
                    f"the root {name!r} at {remote.url} was bound by somebody else meanwhile; look "
                    "at what it names now, then push again"
                )
    return _done(moved, roots, remote.url, context)


def _pull(home: Home, args: argparse.Namespace, context: Context) -> int:
    from cid_store.remote import RemoteStore, pull  # noqa: PLC0415 - start-up is performance

    store = home.store
    with RemoteStore(args.url) as remote:
        roots, cids = _meant(remote, args.what, f"the store at {remote.url}")
        _free(store, roots, f"the store at {store.path}", force=args.force)
        _check_there(cids, (store, remote), f"{remote.url}; push it there first")
        with context.report.progress("pull", after_s=_PATIENCE_S) as advance:
            moved = pull(remote, store, [*roots.values(), *cids], progress=advance)
    with store.batch():
        for name, cid in roots.items():
            store.set_root(name, cid)
    return _done(moved, roots, remote.url, context)


def _remote(home: Home, args: argparse.Namespace, context: Context) -> int:
    from cid_store.remote import RemoteStore  # noqa: PLC0415 - start-up is performance

    del home
    with RemoteStore(args.url) as remote:
        damaged: list[CorruptObjectError] = []
        found = remote.roots(args.prefix, damaged=damaged.append)
        bound = [(name, str(cid)) for name, cid in found]
    context.report.data({"url": remote.url, "roots": dict(bound)})
    context.report.table(("root", "names"), bound)
    for error in damaged:
        context.report.warn(str(error))
    return CorruptObjectError.exit_code if damaged else 0


def _meant(store: Store, words: Sequence[str], where: str) -> tuple[dict[str, Cid], list[Cid]]:
    """The roots among the words, and the CIDs."""
    roots: dict[str, Cid] = {}
    cids: list[Cid] = []
    for word in words:
        try:
            cids.append(Cid.parse(word))
        except MalformedCidError:
            bound = store.root(word)
            if bound is None:
                raise InputError(
                    f"{shown(word)} is neither a CID nor a root of {where}; "
                    "`redoxa store roots` and `redoxa store remote URL` list roots"
                ) from None
            roots[word] = bound
    return roots, cids


def _free(
    target: Store, roots: Mapping[str, Cid], where: str, *, force: bool
) -> dict[str, Cid | None]:
    """What each name is bound to in the target; InputError where that would be lost unasked."""
    seen = {name: target.root(name) for name in roots}
    for name, cid in roots.items():
        if seen[name] not in (None, cid) and not force:
            raise InputError(
                f"the root {name!r} in {where} names {seen[name]}, not {cid}; with --force it is "
                "bound anew"
            )
    return seen


def _damaged(remote: "RemoteStore", names: Iterable[str]) -> set[str]:
    """Those of the names whose roots there are damaged: what they were bound to is lost."""
    damaged: set[str] = set()
    for name in names:
        try:
            remote.root(name)
        except CorruptObjectError:
            damaged.add(name)
    return damaged


def _check_there(cids: Sequence[Cid], stores: Sequence[Store], where: str) -> None:
    """Refuse what was never put anywhere: that is no damage."""
    for cid in cids:
        if not any(store.has(cid) for store in stores):
            raise InputError(f"object {cid} is not in the store at {where}")


def _done(moved: "Moved", roots: Mapping[str, Cid], url: str, context: Context) -> int:
    bound = {name: str(cid) for name, cid in roots.items()}
    context.report.data({"url": url, **moved._asdict(), "bound": bound})
    context.report.say(
        f"{url}: {moved.moved:,} of {moved.objects:,} objects moved, {size_text(moved.moved_bytes)}"
    )
    return 0


VERBS: Mapping[str, Callable[[Home, argparse.Namespace, Context], int]] = {
    "push": _push,
    "pull": _pull,
    "remote": _remote,
}
