"""Show runs, store and forecasts on a local page, and verify containers in the browser.

The page is served to this machine alone, at an address with a token in it; nothing on it can
change anything, and it asks nobody else for anything. Ctrl-C ends it. A container that is dropped
on it, or named here, is decoded by the browser with the same kernels, and compared with the name
that it carries.
"""

import argparse
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cid_store.errors import InputError
from ring2_orchestrator.commands import Context, _streams
from ring2_orchestrator.commands._files import ended_tidily

EXAMPLES: Sequence[str] = (
    "redoxa view",
    "redoxa view samples.rdx",
    "redoxa view --port 8400 --no-open",
)
_HIGHEST_PORT = 65_535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to serve it, and what to verify on it."""
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="IN.rdx", help="containers to verify on the page"
    )
    parser.add_argument(
        "--port", type=_port, default=0, metavar="N", help="the port (default: any that is free)"
    )
    parser.add_argument(
        "--no-open", action="store_true", help="open no browser; the address is printed anyway"
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= _HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: they go up to {_HIGHEST_PORT}")
    return int(text)


def run(args: argparse.Namespace, context: Context) -> int:
    """Serve until interrupted."""
    from ring2_orchestrator.commands._view_answers import Answers  # noqa: PLC0415 - start-up
    from ring2_orchestrator.viewing.server import Server  # noqa: PLC0415 - start-up

    for file in args.files:
        if not file.is_file():
            raise InputError(f"{file} is not a file that can be shown; name a container")
    with (
        context.open_home(to_read=True) as home,
        Server(Answers(home, args.files), port=args.port) as server,
    ):
        wanted = not (args.no_open or context.report.json)
        # Whoever reads the address may end it at once, and that ends tidily, too.
        with ended_tidily():
            try:
                context.report.data({"port": server.access.port, "url": server.url})
                context.report.line(server.url)
                _streams.flush_output()
                context.report.say("the page is there until Ctrl-C")
                with _opened(server.url, wanted=wanted):
                    server.serve_forever()
            except KeyboardInterrupt:
                context.report.say("the page is closed")
    return 0


@contextmanager
def _opened(url: str, *, wanted: bool) -> Generator[None]:
    """Show the address in a browser, where there is one with a screen.

    By way of a file: others of this machine may see what a program is started with.
    """
    if not wanted or not _has_screen():
        yield
        return
    import tempfile  # noqa: PLC0415 - start-up
    import webbrowser  # noqa: PLC0415 - start-up

    with tempfile.TemporaryDirectory(prefix="redoxa-view-") as folder:
        file = Path(folder, "open.html")
        file.write_text(
            '<!doctype html><meta charset="utf-8"><title>Redoxa</title>'
            f'<meta http-equiv="refresh" content="0;url={url}">',
            encoding="utf-8",
        )
        webbrowser.open(file.as_uri())
        yield


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
