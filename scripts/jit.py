"""`python scripts/jit.py VERB …` is `redoxa jit VERB …`, from a checkout and without installing."""

import sys
from pathlib import Path

# A checkout need not be installed; its own packages come before installed ones.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from redoxa.__main__ import main

if __name__ == "__main__":
    main(["jit", *sys.argv[1:]])
