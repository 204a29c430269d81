"""Whether bytes name a folder: in a result they tie it there, in an input they lead back to it."""

import os
from collections.abc import Iterable

from ring2_orchestrator.runs.clones.above import folders_above
from ring2_orchestrator.runs.paths import inside, name_of

_HOMES = (b"~/", b"$HOME/", b"${HOME}/", b'"$HOME"/')
_CHUNK_BYTES = 1 << 20
_IN_NAMES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+~")


class Spellings:
    """The ways to spell a folder's path. All end in its last name, so they are quick to find."""

    def __init__(self, forms: Iterable[bytes], *, whole: bool) -> None:
        self._forms = tuple(dict.fromkeys(forms))
        self._whole = whole  # not as the beginning of a longer name
        self._tails = {b"/" + name_of(form) for form in self._forms}
        self._longest = max(len(form) for form in self._forms)

    def found_in(self, data: bytes) -> bool:
        """Whether the bytes hold one of them."""
        return any(self._ends(data, tail) for tail in self._tails)

    def _ends(self, data: bytes, tail: bytes) -> bool:
        at = data.find(tail)
        while at >= 0:
            end = at + len(tail)
            if self._form_before(data, end) and not (self._whole and _goes_on(data, end)):
                return True
            at = data.find(tail, at + 1)
        return False

    def _form_before(self, data: bytes, end: int) -> bool:
        near = data[max(0, end - self._longest) : end]
        return any(near.endswith(form) for form in self._forms)

    def found_in_parts(self, parts: Iterable[bytes]) -> bool:
        """The same of bytes that come in pieces."""
        rest = b""
        for part in parts:
            data = rest + part
            if self.found_in(data):
                return True
            rest = data[-self._longest - 2 :]
        return False

    def found_in_file(self, path: bytes) -> bool:
        """The same of a file; one that cannot be read holds nothing that a run could read."""
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a bytes path
                return self.found_in_parts(iter(lambda: file.read(_CHUNK_BYTES) or b"", b""))
        except OSError:
            return False


def of_results(root: bytes, home: bytes | None, logical: bytes | None) -> Spellings:
    """How a result would name the folder of its run; `logical` is its name through links."""
    forms = [root, *_from_home(root, home)]
    if logical is not None:
        forms.append(logical)
    return Spellings(forms, whole=False)


def of_inputs(here: bytes, there: bytes, home: bytes | None) -> Spellings:
    """How an input would name the folder `here` so that it does not mean the one `there`."""
    forms = [here, *_from_home(here, home), there]
    ours, theirs = here.split(b"/"), there.split(b"/")
    # Up and down again: ../proj is the project only where it has that name.
    forms += [
        b"../" + b"/".join(ours[-count:])
        for count in range(1, len(folders_above(here)) + 1)
        if ours[-count:] != theirs[-count:]
    ]
    return Spellings(forms, whole=True)


def logical_root(pwd: str | None, cwd: bytes, root: bytes) -> bytes | None:
    """The root by the name that a shell came to it, where that leads through a link."""
    if pwd is None or not pwd.startswith("/"):
        return None
    named = os.fsencode(pwd).rstrip(b"/")
    below = cwd[len(root) :]
    if not named.endswith(below) or os.path.realpath(named) != cwd:
        return None
    found = named[: len(named) - len(below)]
    return found if found not in (b"", root) and name_of(found) else None


def _from_home(root: bytes, home: bytes | None) -> list[bytes]:
    if home is None or home == b"/" or not inside(root, home):
        return []
    return [start + root[len(home) + 1 :] for start in _HOMES]


def _goes_on(data: bytes, end: int) -> bool:
    """Whether a longer name begins like this one."""
    after = data[end : end + 2]
    if not after:
        return False
    return after[0] in _IN_NAMES or (after[:1] == b"." and len(after) > 1 and after[1] in _IN_NAMES)
