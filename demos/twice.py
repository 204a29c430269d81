"""Run the demo twice: recorded, then reused; then say what the second run saved."""

import hashlib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ring2_orchestrator.nesting import inside_recording  # noqa: E402

OUT = ROOT / "demos" / "out" / "weather"
SCRIPT = "demos/clean_weather.py"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of the script: how long it took, what it and Redoxa said, and what it left."""

    seconds: float
    exit_code: int
    output: bytes
    message: bytes
    files: dict[str, str]


def main() -> int:
    """Show both passes; 1 when the second was not a reuse or left something else."""
    if inside_recording():
        print("This demo records by itself, which it cannot inside a recorded run: start it alone.")
        return 0
    list_fonts()
    print("First pass: run and recorded, whatever was recorded before.\n", flush=True)
    first = run("--no-reuse")
    show(first.output, first.message)
    if first.exit_code:
        return first.exit_code
    print("\nSecond pass: the results are deleted; nothing that the script reads has changed.\n")
    second = run()
    same = (first.output, first.files) == (second.output, second.files)
    lines = first.output.count(b"\n")
    show(b"(the same %d lines)\n" % lines if same else second.output, second.message)
    if not second.message.startswith(b"redoxa: reused"):
        print("\nThe second pass was not reused; Redoxa's line above says why.")
        return second.exit_code or 1
    if not same:
        print("\nThe passes differ, which is a fault in Redoxa: please report it.")
        return 1
    print(
        f"\nThe same output and the same {len(second.files)} files, byte for byte: "
        f"{first.seconds:.2f} s to run, {second.seconds:.2f} s to reuse; "
        f"{first.seconds - second.seconds:.2f} s saved."
    )
    return 0


def list_fonts() -> None:
    """Have matplotlib list this machine's fonts, if it never did so in this home folder.

    The first pass would make that list, and what made a file that it looked for is not reused.
    """
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)


def run(*options: str) -> Pass:
    """One pass that starts without any results."""
    shutil.rmtree(OUT, ignore_errors=True)
    words = ["scripts/run.py", *options, SCRIPT]
    print(f"$ python {' '.join(words)}", flush=True)
    started = time.monotonic()
    ended = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, check=False)
    seconds = time.monotonic() - started
    return Pass(seconds, ended.returncode, ended.stdout, ended.stderr, contents(OUT))


def show(output: bytes, message: bytes) -> None:
    """What a pass wrote to its two streams, each to our own."""
    for stream, text in ((sys.stdout, output), (sys.stderr, message)):
        stream.flush()
        stream.buffer.write(text)
        stream.flush()


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with a hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    sys.exit(main())
