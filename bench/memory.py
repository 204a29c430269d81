"""How much memory packing and unpacking a long file take in each profile.

    python bench/memory.py FILE|FOLDER... [--mib 256] [--profiles NAME...] [--write]

The long file is made of real files: those that are named and those in the folders, in the order of
their paths, each contents once, until there are so many MiB. It is packed and unpacked by `redoxa`
in processes of their own, and what comes back is compared. The peak is the most that the process
had in memory, as the system counts it (`ru_maxrss`), files that it maps included. `--write` renews
the rows of these profiles in bench/results/memory.md.
"""

import argparse
import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "memory.md"
MIB = 1 << 20
HEAD = """# Memory of long files

Measured by `python bench/memory.py`, which says what is measured, in MiB.

| profile | MiB | packed to | packing, peak | CPU s | unpacking, peak | CPU s | date | load |
|---|--:|--:|--:|--:|--:|--:|---|---|
"""


def main() -> None:
    """Measure the profiles that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path, metavar="FILE|FOLDER")
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--profiles", nargs="+", default=["fast", "balanced", "max"])
    parser.add_argument("--folder", type=Path, help="where the files go meanwhile")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redoxa-memory-", dir=args.folder) as folder:
        os.environ |= {"REDOXA_HOME": f"{folder}/home", "TMPDIR": folder}
        long = Path(folder) / "long"
        fill(long, contents(args.sources), args.mib * MIB)
        for profile in args.profiles:
            row = measured(long, profile)
            print(row, flush=True)
            if args.write:
                keep(profile, row)


def contents(sources: list[Path]) -> Iterator[bytes]:
    """The contents of all files, each once."""
    seen: set[bytes] = set()
    for source in sources:
        below = source.rglob("*") if source.is_dir() else [source]
        for path in sorted(each for each in below if each.is_file() and not each.is_symlink()):
            data = path.read_bytes()
            digest = hashlib.sha256(data).digest()
            if digest not in seen:
                seen.add(digest)
                yield data


def fill(long: Path, data: Iterator[bytes], size: int) -> None:
    """Write exactly so many bytes of them."""
    left = size
    with long.open("wb") as file:
        for each in data:
            left -= file.write(each[:left])
            if not left:
                return
    sys.exit(f"the files have {left:,} bytes too few; name more of them")


def measured(long: Path, profile: str) -> str:
    """Pack and unpack it: a row of the table."""
    packed, back = long.with_suffix(".rdx"), long.with_suffix(".back")
    began = os.getloadavg()[0]
    to = ["-q", "--force", "-o"]
    packing = ran("pack", str(long), *to, str(packed), "--profile", profile)
    unpacking = ran("unpack", str(packed), *to, str(back))
    compared = subprocess.run(["cmp", str(long), str(back)], check=False)
    if compared.returncode:
        sys.exit(f"{profile}: what came back is not what was packed")
    sizes = f"{long.stat().st_size // MIB} | {packed.stat().st_size / MIB:.1f}"
    load = f"{began:.1f} to {os.getloadavg()[0]:.1f}"
    date = datetime.now(UTC).date()
    return f"| {profile} | {sizes} | {packing} | {unpacking} | {date} | {load} |"


def ran(*words: str) -> str:
    """The peak in MiB and the CPU seconds of one command."""
    program = subprocess.Popen([sys.executable, "-m", "redoxa", *words])
    started = time.monotonic()
    _, status, usage = os.wait4(program.pid, 0)
    if status:
        sys.exit(f"redoxa {words[0]} failed after {time.monotonic() - started:.0f} s")
    return f"{usage.ru_maxrss / 1024:.0f} | {usage.ru_utime + usage.ru_stime:.0f}"


def keep(profile: str, row: str) -> None:
    """Put the row in the place of the profile's earlier one."""
    text = RESULT.read_text("utf-8") if RESULT.exists() else HEAD
    version = platform.python_version()
    machine = f"Python {version}, {platform.machine()}, {os.cpu_count()} cores."
    rows = [line for line in text.splitlines() if re.match(r"\| (?!profile)\w", line)]
    kept = [line for line in rows if not line.startswith(f"| {profile} |")]
    RESULT.write_text("\n".join([HEAD.rstrip(), *kept, row, "", machine, ""]), "utf-8")


if __name__ == "__main__":
    main()
