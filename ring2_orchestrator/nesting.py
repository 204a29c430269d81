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
    pid, hidden = os.getppid(), 0
    for _ in range(_FURTHEST):
        if pid <= 1 or pid == hidden:
            return False
        try:
            text = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            # It is another user's, or it ended just now, and its children have another parent.
            pid, hidden = os.getppid(), pid
            continue
        # The name stands in parentheses and may hold some itself.
        start, end = text.find(b"("), text.rfind(b")")
        if text[start + 1 : end].startswith(_HELPER):
            return True
        pid = int(text[end + 2 :].split()[1])
    return False
