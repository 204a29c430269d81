"""Where a replayed run differs from the recorded one, and where this machine does."""

from __future__ import annotations

import os
import stat

from ring2_orchestrator.replaying.cell import Cell
from ring2_orchestrator.replaying.parts import Item, names_in, sha256_of


def differences(cell: Cell, code: int, printed: dict[int, bytes], before: set[str]) -> list[str]:
    """What is not as the recorded run left it. `before` is what stood in the cell at the start."""
    run = cell.run
    found: list[str] = []
    if code != run["exit_code"]:
        found.append(f"the exit code is {code} and was {run['exit_code']}")
    for stream, name in ((1, "standard output"), (2, "standard error")):
        with open(cell.object(run["printed"][stream - 1]), "rb") as file:
            was = file.read()
        if was != printed[stream]:
            found.append(f"{name} differs {_first_difference(was, printed[stream])}")
    told = ((output["path"], _output_differs(cell, output)) for output in run["outputs"])
    found += [f"{path} {what}" for path, what in told if what is not None]
    return found + _unlike_the_record(cell, before)


def _unlike_the_record(cell: Cell, before: set[str]) -> list[str]:
    """Paths that came or went, and did not in the recorded run."""
    outputs = {output["path"] for output in cell.run["outputs"]}
    now = cell.standing()
    # Python makes its caches again where the recorded run found them made.
    came = {path for path in now - before - outputs if "/__pycache__/" not in path + "/"}
    return [
        *(f"{path} was left, and by the recorded run was not" for path in sorted(came)),
        *(
            f"{path} is gone, and was left by the recorded run"
            for path in sorted(before - now - outputs)
        ),
    ]


def _output_differs(cell: Cell, output: Item) -> str | None:
    path, what = cell.place(output["path"]), output["what"]
    try:
        status = os.lstat(path)
    except OSError:
        return None if what == "deleted" else "is missing"
    if what == "deleted":
        return "is there, and the recorded run deleted it"
    kinds = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "link": stat.S_ISLNK}
    if not kinds[what](status.st_mode):
        return f"is no {what}"
    if what == "link":
        target = os.readlink(path)
        return None if target == output["target"] else f"points to {target}"
    mode = stat.S_IMODE(status.st_mode)
    if what == "file" and not _same_bytes(cell, output, path):
        return f"holds other bytes ({output['size']} bytes then, {status.st_size} now)"
    return (
        None if mode == output["mode"] else f"has mode {mode:04o} instead of {output['mode']:04o}"
    )


def _same_bytes(cell: Cell, output: Item, path: str) -> bool:
    if not ("/__pycache__/" in path and path.endswith(".pyc")):
        return sha256_of(path) == output["object"]
    with open(path, "rb") as one, open(cell.object(output["object"]), "rb") as other:
        return one.read()[16:] == other.read()[16:]  # its header has the time of its source


def world_that_differs(run: Item) -> list[str]:
    """What of the files that are not in the bundle is not as the run saw it."""
    told = ((item["path"], _difference_here(item)) for item in run["expected"])
    return [f"{path} {what}" for path, what in told if what is not None]


def _difference_here(item: Item) -> str | None:
    path, what = item["path"], item["what"]
    if not os.path.lexists(path):
        return None if what == "missing" else "is missing here"
    if what == "missing":
        return "is here, and was not"
    holds = {"link": _is_link, "folder": _is_folder, "listing": _lists, "file": _is_file}[what]
    return None if holds(path, item) else f"is another {what} here"


def _is_link(path: str, item: Item) -> bool:
    return os.path.islink(path) and os.readlink(path) == item["target"]


def _is_folder(path: str, _: Item) -> bool:
    return os.path.isdir(path)


def _lists(path: str, item: Item) -> bool:
    return sorted(names_in(path)) == sorted(item["entries"])


def _is_file(path: str, item: Item) -> bool:
    try:
        return sha256_of(path) == item["sha256"]
    except OSError:
        return False


def facts_that_differ(run: Item) -> list[str]:
    """What this machine is, and was not."""
    name = os.uname()
    now = {
        "host name": name.nodename,
        "kernel": f"{name.sysname} {name.release} {name.machine}",
        "user": f"{os.getuid()}:{os.getgid()}",
    }
    return [
        f"the {fact} is {now[fact]} and was {was}"
        for fact, was in sorted(run["machine"].items())
        if fact in now and now[fact] != was
    ]


def _first_difference(was: bytes, now: bytes) -> str:
    for number, (one, other) in enumerate(zip(was.splitlines(), now.splitlines()), start=1):
        if one != other:
            return f"in line {number}: {_shown(one)} then, {_shown(other)} now"
    return f"in length: {len(was)} bytes then, {len(now)} now"


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("utf-8", "backslashreplace"))
