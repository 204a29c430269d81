"""What one gene without choices makes of one file, and what undoing it costs.

    python bench/one_gene.py FILE 'input x: u16; emit x |> delta |> zigzag |> byte_split |> rans0'
        [--first BYTES]

A semicolon is as good as a new line. Sizes and fuel are exact and the same on every machine; speed
is of decoding in this process, in CPU time, the best of five. The figures of `docs/decisions/` that
name a gene were made with this.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from ring0.execution import Limits
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.toolbox import open_toolbox

ROUNDS = 5
# So much that no call reaches it: the meter runs, and nothing is stopped.
_FUEL = 1 << 60


def main() -> int:
    """Measure one gene over one file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("gene", help="its text")
    parser.add_argument("--first", type=int, metavar="BYTES", help="take only the file's beginning")
    args = parser.parse_args()
    data = args.file.read_bytes()[: args.first]
    with open_toolbox() as tools:
        plan = Gene.parse(args.gene.replace(";", "\n") + "\n", tools.palette).plan()
        data = data[: len(data) // plan.input.width * plan.input.width]
        executor = tools.executor.with_limits(Limits())
        streams = executor.forward(plan, data).outputs
        best = float("inf")
        for _ in range(ROUNDS):
            begin = time.process_time()
            back = executor.inverse(plan, streams).outputs[0]
            best = min(best, time.process_time() - begin)
            assert back == data, "a plan gives back what it was given"
        metered = tools.executor.with_limits(Limits(fuel=_FUEL))
        fuel = metered.inverse(plan, streams).fuel or 0
    sizes = [len(stream) for stream in streams]
    print(f"{len(data):,} bytes became {sum(sizes):,}: {' + '.join(f'{one:,}' for one in sizes)}")
    print(f"decoding: {fuel / len(data):.1f} fuel and {len(data) / best / 1e6:.1f} MB/s")
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
