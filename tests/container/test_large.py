"""Files far larger than memory should ever hold go through in a few blocks at a time."""

import json
import os
import subprocess
import sys

import pytest

BOUNDED = os.environ.get("REDOXA_LONG") == "bounded"
SIZE = (1 << 28) if BOUNDED else (1 << 31) + 5
# Blocks of 16 MiB, a few at a time, with all that a plan makes of them; Python and the engine.
MOST_KB = 1 << 20

# In a process of its own, whose peak is this work's alone.
WORK = """
import json, resource, sys, tempfile
from blake3 import blake3
from ring2_orchestrator.container import Container, FileSource, Original, write_planned
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.toolbox import open_toolbox

MIB = b"".join((at * 7 % 60_000).to_bytes(4, "little") for at in range(1 << 18))

class Generated:
    name = "the numbers"
    size = int(sys.argv[1])
    def read(self, offset, size):
        end = min(offset + size, self.size)
        first, last = offset >> 20, (end >> 20) + 1
        whole = b"".join(at.to_bytes(4, "little") + MIB[4:] for at in range(first, last))
        return whole[offset - (first << 20) : end - (first << 20)]

source = Generated()
with open_toolbox() as tools, tempfile.TemporaryFile() as file:
    text = "input x: u32\\nemit x |> delta |> zigzag |> byte_split |> rans0"
    plan = Gene.parse(text, tools.palette).plan()
    original = Original.of(source)
    header = original.header(plan)
    packed = write_planned(file, original, header, tools.executor, tools.kernels)
    container = Container(FileSource(file, "it"), tools.kernels)
    given = sum(map(len, container.chunks(tools.executor)))
    far = source.size - 100_000
    same = container.read(far, 1_000, tools.executor) == source.read(far, 1_000)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"packed": packed, "given": given, "same": same, "peak_kb": peak}))
"""


@pytest.mark.long
def test_memory_does_not_grow_with_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    words = [sys.executable, "-c", WORK, str(SIZE)]
    done = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=1_800).stdout)
    with capsys.disabled():
        sys.stdout.write(f"\n{SIZE:,} bytes: {done}\n")
    assert (done["given"], done["same"]) == (SIZE, True)
    assert done["packed"] < SIZE // 50
    assert done["peak_kb"] < MOST_KB
