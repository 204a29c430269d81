"""Examinations that were made here before, so that a module is examined once.

A verdict is found again only for the same bytes, by the same engine and the same Redoxa, under the
same limits, in the same folder: see ring0/sealed.py. What depended on this machine's time or
memory is not kept. Losing all of it costs only time.
"""

from functools import cache
from pathlib import Path

from blake3 import blake3

from cid_store.cid import Cid
from cid_store.encoding import Node, decode, encode
from cid_store.errors import MalformedNodeError
from ring0.budget import Budget
from ring0.examination import QUICK, Check, Examination, examine
from ring0.host import Host
from ring0.host.library import VERSION as ENGINE
from ring0.sealed import SealedFolder
from ring0.subject import FIRST_LIMITS, LIMITS, LONG_LIMITS, Advance, Depth

_FORMAT = 1
_SUFFIX = ".verdict"
LIMIT_BYTES = 4 * 1024 * 1024


class Verdicts:
    """The examinations kept in one folder, made if missing. Any number of processes may share it.

    Where there is no folder to trust, every module is examined anew.
    """

    def __init__(self, folder: Path) -> None:
        self._sealed = SealedFolder.open(folder, suffix=_SUFFIX, limit_bytes=LIMIT_BYTES)

    def examine(
        self,
        wasm: bytes,
        host: Host,
        *,
        depth: Depth = QUICK,
        budget: Budget | None = None,
        advance: Advance = lambda: None,
    ) -> Examination:
        """What `ring0.examination.examine` says of these bytes, now or an earlier time."""
        cid = Cid.of(wasm)
        if (known := self.find(cid, depth)) is not None:
            return known
        before = host.unsettled
        examination = examine(wasm, host, depth=depth, budget=budget, advance=advance)
        if host.unsettled == before and examination.tried:
            self._keep(examination, depth)
        return examination

    def find(self, cid: Cid, depth: Depth = QUICK) -> Examination | None:
        """What was said of the module of that name, looked at so far, if it is still known."""
        content = None if self._sealed is None else self._sealed.find(_identity(cid, depth))
        return None if content is None else _decoded(cid, bytes(content))

    def _keep(self, examination: Examination, depth: Depth) -> None:
        if self._sealed is not None:
            self._sealed.keep(_identity(examination.cid, depth), _encoded(examination))


def _identity(cid: Cid, depth: Depth) -> bytes:
    limits = FIRST_LIMITS, LIMITS, LONG_LIMITS
    about = repr((_FORMAT, ENGINE, _inspector(), limits, depth, str(cid)))
    return blake3(about.encode()).digest()


@cache
def _inspector() -> str:
    """The version of what examines: the digest of its sources, which nobody has to count up."""
    hasher = blake3()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        hasher.update(f"{path.name} {len(source)} ".encode() + source)
    return hasher.hexdigest()


def _encoded(examination: Examination) -> bytes:
    checks = [[check.name, check.passed, check.sentence] for check in examination.checks]
    return encode({"cid": examination.cid, "name": examination.name, "checks": checks})


def _decoded(cid: Cid, content: bytes) -> Examination | None:
    # The seal is right, so it is what was written here; it is read with care all the same.
    try:
        node = decode(content)
    except MalformedNodeError:
        return None
    match node:
        case {"cid": Cid() as of, "name": str() | None as name, "checks": list(checks)} if (
            of == cid
        ):
            found = [check for one in checks if (check := _check(one)) is not None]
            return Examination(cid, name, (*found,)) if len(found) == len(checks) else None
        case _:
            return None


def _check(node: Node) -> Check | None:
    match node:
        case [str(name), bool(passed), str(sentence)]:
            return Check(name, passed=passed, sentence=sentence)
        case _:
            return None
