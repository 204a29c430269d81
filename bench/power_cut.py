"""Acknowledged puts lost in power cuts: a home on a file system whose power is cut.

    sudo python bench/power_cut.py [--cuts N] [--write]

An ext4 file system in a file is mounted; one or two processes put, stream, bind roots, append to
the ledger and collect garbage, four threads each, and say what is acknowledged; at a random moment
the file system is shut down without flushing anything (the ioctl EXT4_IOC_SHUTDOWN), so only what
reached the disk is there after the next mount. After every second cut the index is deleted too.
A control follows whose syncs do nothing: there promises must be broken, or this program measures
nothing. What is done and compared is in tests/faults, which has a short form of it as a test. Needs
root, for mounting. `--write` keeps the figures in bench/results/power_cut.md.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path

from tests.faults import stopped
from tests.faults.promises import Tally

RESULT = Path(__file__).parent / "results" / "power_cut.md"
CONTROL_CUTS = 8


def run(cuts: int, *, seed: int, syncs: bool) -> Tally:
    """Cut the power that often, saying how it goes."""
    tally = Tally()
    start_s = time.monotonic()
    told = 0
    for tally in stopped.cut(cuts, seed=seed, syncs=syncs):
        print(f"{time.monotonic() - start_s:.0f} s: {tally}", flush=True)
        for sentence in tally.broken[told:] if syncs else ():
            print(f"  broken: {sentence}", flush=True)
        told = len(tally.broken)
    return tally


def row(name: str, tally: Tally) -> str:
    """One line of the table."""
    said = tally.counts
    figures = [said[kind] for kind in ("stop", "put", "root", "entry", "dropped")]
    cells = [name, *(f"{figure:,}" for figure in (*figures, len(tally.broken)))]
    return f"| {' | '.join(cells)} |\n"


def main() -> None:
    """Cut, count, and keep the figures where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--cuts", type=int, default=300, help="how often the power is cut")
    parser.add_argument("--seed", type=int, default=7, help="other moments, other acts")
    parser.add_argument("--write", action="store_true", help=f"replace {RESULT.name}")
    args = parser.parse_args()
    if reason := stopped.why_no_power_cut():
        sys.exit(reason)
    before = os.getloadavg()[0]
    real = run(args.cuts, seed=args.seed, syncs=True)
    control = run(CONTROL_CUTS, seed=args.seed, syncs=False)
    text = (
        "# Power cuts\n\n"
        f"Command: `sudo python bench/power_cut.py --cuts {args.cuts} --write`. An ext4 file\n"
        "system is shut down without a flush while one or two processes, four threads each, put,\n"
        "stream, bind roots, append to the ledger and collect garbage; after every second cut the\n"
        "index is deleted, too. Broken is a promise when an acknowledged object is missing or\n"
        "reads as other bytes, a root is older than acknowledged or leads to something missing, a\n"
        "ledger entry is gone, or store or ledger do not verify. The control is the same with\n"
        "syncs that do nothing.\n\n"
        "| | cuts | puts acknowledged | roots | ledger entries | collected | promises broken |\n"
        "|---|---|---|---|---|---|---|\n"
        f"{row('as it is', real)}{row('control', control)}\n"
        f"Machine: {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python\n"
        f"{platform.python_version()}; load {before:.0f} before, {os.getloadavg()[0]:.0f} after.\n"
        "On a busy machine workers come to fewer puts before the power goes.\n"
    )
    print(text)
    if args.write:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
