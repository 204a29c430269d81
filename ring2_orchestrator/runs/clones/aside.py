"""A question with the project's folder put aside, wherever it stands in a text as a whole path."""

import os
import re
from collections.abc import Mapping, Sequence

from blake3 import blake3

from cid_store.encoding import encode
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.surroundings import EnvironmentKey

_KEY_BYTES = 20
_NEAR = 64
# Neither a word nor a variable can hold this byte, so what stands for the folder is no other text.
_ASIDE = b"\0"
# A path begins with the text, after one of these, or after the letters of an option (-I/a/proj).
_BEFORE = re.compile(rb"(?:^|[\s=:,;'\"(<>|&@\[{])(?:-[A-Za-z]+)?\Z")
_AFTER = frozenset(b"/ \t\r\n=:,;'\")<>|&]}")


def put_aside(text: bytes, root: bytes) -> bytes:
    """The text with a sign in place of the root; `/a/proj` in `/a/project` stays."""
    parts: list[bytes] = []
    begun = at = 0
    while (at := text.find(root, at)) >= 0:
        end = at + len(root)
        whole = end == len(text) or text[end] in _AFTER
        if whole and _is_begun(text, at):
            parts += (text[begun:at], _ASIDE)
            begun = end
        at = end
    return b"".join((*parts, text[begun:]))


def _is_begun(text: bytes, at: int) -> bool:
    """Whether a path may begin there. No option's letters are so many that more must be read."""
    start = max(0, at - _NEAR)
    found = _BEFORE.search(text[start:at])
    return found is not None and (start == 0 or found.start() > 0)


def clones_key(command: Sequence[str], cwd: bytes, roots: Roots) -> str:
    """The name under which a command's relocatable traces are kept, wherever its project lies."""
    words = [put_aside(os.fsencode(word), roots.project) for word in command]
    node = encode({"command": words, "folder": roots.short(cwd), "type": "relocatable"})
    return blake3(node).hexdigest(_KEY_BYTES)


def digests_aside(
    env: Mapping[str, str], root: bytes, key: EnvironmentKey
) -> Mapping[bytes, bytes]:
    """Name to keyed digest of each variable that may matter, the root put aside in its value."""
    aside = {name: os.fsdecode(put_aside(os.fsencode(value), root)) for name, value in env.items()}
    return key.digests(aside)
