"""Run the demo twice: recorded, then reused; then say what the second run saved."""

import hashlib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "demos" / "out"
SCRIPT = "demos/clean_weather.py"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of the script: how long it took, what it said and what it left."""

    seconds: float
    exit_code: int
    said: bytes
    files: dict[str, str]


def main() -> int:
    """Show both passes; 1 when the second was not a reuse or left something else."""
    print("First pass: run and recorded, whatever was recorded before.\n", flush=True)
    first = run("--no-reuse")
    if first.exit_code:
        return first.exit_code
    print("\nSecond pass: the results are deleted, and nothing it depends on has changed.\n")
    second = run()
    if second.exit_code:
        return second.exit_code
    if (first.said, first.files) != (second.said, second.files):
        print("\nThe passes differ: this is a fault in Redoxa, please report it.")
        return 1
    print(
        f"\nThe same output and the same {len(second.files)} files, byte for byte: "
        f"{first.seconds:.2f} s when it ran, {second.seconds:.2f} s when it was reused; "
        f"{first.seconds - second.seconds:.2f} s saved."
    )
    return 0


def run(*options: str) -> Pass:
    """One pass from an empty result folder, its output shown as it would be without us."""
    shutil.rmtree(OUT, ignore_errors=True)
    shown = ["scripts/run.py", *options, SCRIPT]
    print(f"$ python {' '.join(shown)}", flush=True)
    started = time.monotonic()
    ended = subprocess.run([sys.executable, *shown], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - started
    sys.stdout.buffer.write(ended.stdout)
    sys.stdout.flush()
    return Pass(seconds, ended.returncode, ended.stdout, contents(OUT))


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with a hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    sys.exit(main())
