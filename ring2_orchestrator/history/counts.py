"""What a test runner says at the end, and a name for output that time does not change."""

import re
from typing import NamedTuple

from blake3 import blake3

_SECONDS = re.compile(rb"\b[0-9]+(?:\.[0-9]+)? ?(?:ms|s|sec|secs|seconds?)\b(?: \([0-9:]+\))?")
_ADDRESS = re.compile(rb"0x[0-9a-f]{6,}")
_PYTEST = re.compile(rb"([0-9]+) (passed|failed|errors?)\b")
_RAN = re.compile(rb"^Ran ([0-9]+) tests? in ", re.MULTILINE)
_WENT_WRONG = re.compile(rb"^FAILED \((.*)\)", re.MULTILINE)
_SKIPPED = re.compile(rb"^OK \(.*?skipped=([0-9]+)", re.MULTILINE)


class Counts(NamedTuple):
    """How many tests ended which way; noughts where the output does not say."""

    passed: int = 0
    failed: int = 0
    error: int = 0


def counts_in(output: bytes) -> Counts:
    """The counts in the last lines of pytest or unittest."""
    for line in reversed(output.splitlines()):
        found = {word.rstrip(b"s"): int(number) for number, word in _PYTEST.findall(line)}
        if found:
            return Counts(found.get(b"passed", 0), found.get(b"failed", 0), found.get(b"error", 0))
        if line.startswith((b"OK", b"FAILED (")):
            break
    return _of_unittest(output)


def _of_unittest(output: bytes) -> Counts:
    ran = _RAN.findall(output)
    if not ran:
        return Counts()
    wrong: dict[str, int] = {}
    for each in _WENT_WRONG.findall(output)[-1:]:
        pairs = (part.strip().partition(b"=") for part in each.split(b","))
        wrong = {name.decode(): int(number) for name, _, number in pairs if number.isdigit()}
    for skipped in _SKIPPED.findall(output)[-1:]:
        wrong["skipped"] = int(skipped)
    failed, error = wrong.get("failures", 0), wrong.get("errors", 0)
    return Counts(max(int(ran[-1]) - failed - error - wrong.get("skipped", 0), 0), failed, error)


def output_hash(output: bytes) -> str:
    """Ten digits that are equal where what was printed is, but for times and addresses."""
    plain = _ADDRESS.sub(b"0x", _SECONDS.sub(b"", output))
    return blake3(plain).hexdigest(5)
