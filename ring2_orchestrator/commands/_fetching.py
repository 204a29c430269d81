"""What the commands that load addresses share: their options, and how they tell of a probe."""

import argparse
from typing import TYPE_CHECKING, cast

from cid_store.errors import UsageError
from ring2_orchestrator.commands._files import ended_tidily
from ring2_orchestrator.report import Report, size_text

if TYPE_CHECKING:
    from ring2_orchestrator.fetching.wish import Wish
    from ring2_orchestrator.home import Home
    from ring2_orchestrator.probing import Loaded

SCHEMA = "redoxa.fetch/1"
_SHOWN_AFTER_S = 0.5


def add_fetch_arguments(parser: argparse.ArgumentParser) -> None:
    """Who may be asked, what may be spent, and what must come out."""
    parser.add_argument(
        "--allow", action="append", default=[], metavar="HOST[:PORT]",
        help="a host that redirects may lead to, or the address's own where it is private; also "
        "*.example.org, and * for every public one; may be given several times",
    )  # fmt: skip
    parser.add_argument("--offline", action="store_true", help="ask nobody: use what is kept")
    parser.add_argument(
        "--again", action="store_true", help="ask though what is kept is still fresh"
    )
    parser.add_argument(
        "--expect", metavar="DIGEST",
        help="what must come out: a CID, sha256:HEX or sha512:HEX; all else is refused",
    )  # fmt: skip
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="tell the address's own server this; credentials are kept nowhere",
    )  # fmt: skip
    parser.add_argument(
        "--max-bytes", type=_number, metavar="N", help="take no more than this (default: 1 GiB)"
    )
    parser.add_argument(
        "--retries", type=_number, metavar="N",
        help="try again so often (default: planned from how the host answered before, 3 or 4)",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=_seconds, metavar="S",
        help="wait so long for a byte (default: planned from past latencies, 10 to 120 s)",
    )  # fmt: skip
    parser.add_argument(
        "--deadline", type=_seconds, metavar="S", help="give up after this (default: one hour)"
    )


def check_words(args: argparse.Namespace) -> None:
    """Raise UsageError where an option was given that means something only for an address."""
    given = [
        f"--{name.replace('_', '-')}"
        for name in (
            "allow", "offline", "again", "expect", "header", "max_bytes", "retries", "timeout",
            "deadline",
        )
        if getattr(args, name) not in (None, False, [])
    ]  # fmt: skip
    if given:
        raise UsageError(f"{given[0]} is for an address; a script takes its own words after it")


def wish_in(args: argparse.Namespace, url: str) -> "Wish":
    """What the options ask for. Raises UsageError."""
    from ring2_orchestrator.fetching.wish import Bounds, Wish  # noqa: PLC0415 - start-up

    if args.offline and args.again:
        raise UsageError("--offline asks nobody, and --again asks; leave one of them out")
    given = {
        "size_bytes": args.max_bytes,
        "silence_s": args.timeout,
        "whole_s": args.deadline,
        "retries": args.retries,
    }
    bounds = Bounds()._replace(**{name: at for name, at in given.items() if at is not None})
    return Wish.of(
        url,
        allow=cast("list[str]", args.allow),
        headers=[_header(word) for word in cast("list[str]", args.header)],
        offline=args.offline,
        again=args.again,
        expect=args.expect,
        bounds=bounds,
    )


def load_wish(home: "Home", wish: "Wish", report: Report) -> "Loaded":
    """Load it, with a bar on a terminal."""
    import asyncio  # noqa: PLC0415 - start-up

    from ring2_orchestrator.probing import probe_network  # noqa: PLC0415 - start-up

    with report.progress("loading", after_s=_SHOWN_AFTER_S) as advance:

        def told(received: int, total: int | None) -> None:
            of = "" if total is None else f" of {size_text(total)}"
            advance(0, f"{size_text(received)}{of}")

        with ended_tidily():
            return asyncio.run(probe_network(home, wish._replace(progress=told)))


def probe_json(loaded: "Loaded") -> dict[str, object]:
    """A probe as `--json` tells it: docs/formats/fetch.md."""
    probe = loaded.probe
    return {
        "checked": loaded.checked,
        "cid": None if probe.cid is None else str(probe.cid),
        "entry": probe.entry,
        "exit_code": probe.exit_code,
        "jitter_s": probe.jitter_s,
        "latency_s": probe.latency_s,
        "moved_bytes": probe.moved_bytes,
        "provenance": list(probe.provenance),
        "realm": probe.realm.value,
        "reason": probe.reason,
        "retries": probe.retries,
        "reused": probe.reused,
        "schema": SCHEMA,
        "size_bytes": probe.size_bytes,
        "source": loaded.source,
        "target": probe.target,
    }


def _header(word: str) -> tuple[str, str]:
    name, mark, value = word.partition(":")
    if not mark:
        # Not the word itself: it may be a secret.
        raise UsageError("a header is written 'NAME: VALUE'")
    return name.strip(), value.strip()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return value
