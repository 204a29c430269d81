"""Run a recorded run again in a scratch folder, and say whether it does the same.

    ./replay [--anyway] [--json]

It needs nothing but Python 3.8 or later. The exit code is 0 where everything is the same, 1 where
something differs, 3 where the run cannot be re-created (with --anyway it is run all the same).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from ring2_orchestrator.replaying.cell import Cell, remove
from ring2_orchestrator.replaying.parts import CannotReplayError, Item, sentence
from ring2_orchestrator.replaying.verdict import differences, facts_that_differ, world_that_differs

FORMAT = "redoxa.bundle/1"
WITH_NETWORK = "redoxa.bundle/2"
_MOST_SHOWN = 20


def main(words: list[str]) -> int:
    """Replay the bundle in the one folder named; the exit code."""
    options = {word for word in words if word.startswith("--")}
    folders = [word for word in words if not word.startswith("--")]
    if options - {"--anyway", "--json"} or len(folders) != 1:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        answer = replay(folders[0], anyway="--anyway" in options)
    except (CannotReplayError, OSError, ValueError, KeyError) as error:
        answer = {"cannot": [sentence(error)], "differences": [], "notes": [], "isolated": False}
    if "--json" in options:
        print(json.dumps(answer))
    else:
        _tell(answer)
    return 3 if answer["cannot"] else 1 if answer["differences"] else 0


def replay(folder: str, *, anyway: bool = False) -> Item:
    """Run it again; what could not be re-created, what differs, and what there is to know."""
    with open(os.path.join(folder, "run.json"), encoding="utf-8") as file:
        run = json.load(file)
    if run.get("format") not in (FORMAT, WITH_NETWORK):
        raise CannotReplayError(f"{folder} is no bundle that this program can read")
    notes = [*run["notes"], *facts_that_differ(run)]
    cannot = [*run["lacks"], *world_that_differs(run)]
    if cannot and not anyway:
        return {"cannot": cannot, "differences": [], "notes": notes, "isolated": False}
    scratch = tempfile.mkdtemp(prefix="redoxa-replay-")
    try:
        cell = Cell(folder, run, scratch)
        cell.build()
        before = cell.standing()
        code, printed = cell.execute()
        found = differences(cell, code, printed, before)
    finally:
        remove(scratch)
    return {
        "cannot": [],
        "differences": found,
        "isolated": cell.isolated,
        "notes": [*notes, *cannot, *cell.notes],
    }


def _tell(answer: Item) -> None:
    begun = "cannot be re-created: " if answer["cannot"] else "DIFFERS: "
    said = answer["cannot"] or answer["differences"]
    for line in said[:_MOST_SHOWN]:
        print(begun + line)
    if len(said) > _MOST_SHOWN:
        print(f"and {len(said) - _MOST_SHOWN} more")
    if not said:
        print("EXACT: the same output, the same files, the same exit code")
    for note in answer["notes"]:
        print(f"note: {note}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
