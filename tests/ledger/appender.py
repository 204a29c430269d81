"""A program to be killed: appends batches for ever and says each receipt once it has it."""

import sys
from pathlib import Path

from ring2_orchestrator.home import Home


def main() -> None:
    home = Home(Path(sys.argv[1]))
    name = sys.argv[2]
    for number in range(int(sys.argv[3])):
        receipt = home.ledger.append([{"writer": name, "number": number}], kind="t", subject=name)
        sys.stdout.write(f"{receipt.seq} {name} {number}\n")
        sys.stdout.flush()


main()
