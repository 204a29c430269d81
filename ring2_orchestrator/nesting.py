"""Whether this process is itself part of a recorded run.

What is recorded sees everything that happens inside, Redoxa's own bookkeeping included: the inner
run's ledger, the cache of compiled kernels. Those would be inputs and outputs of the outer run,
which then depends on what changes nothing; so inside a recording they are left alone.
"""

import os
from pathlib import Path

# How the helper's name begins (ring2_orchestrator.recorder.binary.NAME, which is slow to import);
# the kernel keeps fifteen letters of a process's name.
_HELPER = b"redoxa-trace"
_FURTHEST = 64


def inside_recording() -> bool:
    """Whether one of this process's ancestors is the recorder's helper."""
    pid = os.getppid()
    for _ in range(_FURTHEST):
        if pid <= 1:
            return False
        try:
            text = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return False
        # The name stands in parentheses and may hold some itself.
        start, end = text.find(b"("), text.rfind(b")")
        if text[start + 1 : end].startswith(_HELPER):
            return True
        pid = int(text[end + 2 :].split()[1])
    return False
