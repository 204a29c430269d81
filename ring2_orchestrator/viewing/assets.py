"""The files of the local page, by the paths they are served under, and what they may do there."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
DECODER = HERE.parents[1] / "decoder_js"

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOLDERS = {"": HERE / "page", "vendored/": HERE / "vendored", "decoder/": DECODER}
# What runs in Node only, and reads its files.
_NOT_SERVED = {"cli.mjs", "streams.mjs"}
_INLINE = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


class Asset(NamedTuple):
    """One file as it is sent."""

    kind: str
    data: bytes


@cache
def assets() -> dict[str, Path]:
    """Every file that is served, by its path; nothing else ever is."""
    found = {
        f"/{prefix}{path.name}": path
        for prefix, folder in _FOLDERS.items()
        for path in sorted(folder.iterdir())
        if path.suffix in _TYPES and path.name not in _NOT_SERVED
    }
    found["/"] = found.pop("/index.html")
    return found


def asset(path: str) -> Asset | None:
    """The file of a path; None where there is none."""
    file = assets().get(path)
    return None if file is None else Asset(_TYPES[file.suffix], file.read_bytes())


@cache
def policy() -> str:
    """What the page may do: load what this server sends, compile kernels, and nothing else.

    The map of module names is the one script that has to stand in the page itself.
    """
    page = (HERE / "page" / "index.html").read_bytes()
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(inline).digest()).decode()}'"
        for inline in _INLINE.findall(page)
    )
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'wasm-unsafe-eval' {hashes}",
            "style-src 'self'",
            "img-src 'self' data:",  # the signs in the style sheet
            "connect-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
