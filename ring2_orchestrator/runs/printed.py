"""What a run printed, printed again."""

from ring2_orchestrator.report import printing
from ring2_orchestrator.runs.trace import Trace
from ring2_orchestrator.writing import write_all


def print_again(trace: Trace, printed: bytes) -> None:
    """What the run printed, to the streams it printed it to, in the order it did."""
    at = 0
    for cut in trace.cuts:
        with printing("standard output" if cut.stream == 1 else "standard error"):
            write_all(cut.stream, memoryview(printed)[at : at + cut.length])
        at += cut.length
