"""Ratios and speeds of `redoxa pack` in every profile beside other compressors, over real files.

    REDOXA_SHARED=/path/to/shared python bench/compress.py [--files NAME...] [--profiles NAME...]
        [--peers] [--write]

Every file is packed and unpacked in a process of its own, so memory stays bounded, and what comes
back is compared. Sizes are exact and the same on every machine. Times are CPU seconds; MB are of
original; decoding is in the sandbox, the best round of three at least and of a quarter of a second,
for Redoxa and its peers alike. `--peers` runs what other compressors are installed here
(`pip install -e '.[peers]'`); sizes of further ones are read from the shared PEERS.tsv and named as
such. Every row is kept in bench/results/compress.json as soon as it is known, so what is
interrupted goes on where it was, with `--files` and `--profiles`; `--write` renews
bench/results/compress.md, and the table and the plot of docs/compression.md.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from compress_peers import codecs_for, kind_of, sizes_of
from compress_report import GATES, Known, Row, draw, keep, overview, renewed, report

from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.gene import print_plan
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import find_profile, library
from ring2_orchestrator.toolbox import open_toolbox

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "compress.json"
REPORT = HERE / "results" / "compress.md"
PAGE = HERE.parent / "docs" / "compression.md"
PLOT = HERE.parent / "docs" / "compress.svg"
SKIPPED = {".tsv", ".md"}
PEERS = "peers"
# A round of some files is 3 ms, three of which say more about the machine than about the decoder.
ROUNDS, ROUNDS_S = 3, 0.25
# Hundreds of times what any of them takes on an idle machine: only what hangs is given up.
TIMEOUT_S = 4 * 3600


def main() -> int:
    """Measure what was asked for; 1 when a gate is missed by what is known now."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--files", nargs="*", default=[""], help="names or their beginnings")
    parser.add_argument("--profiles", nargs="*", default=[*GATES], choices=[*GATES])
    parser.add_argument("--peers", action="store_true", help="run other compressors, too")
    parser.add_argument("--write", action="store_true", help="renew the report and the plot")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        path, what = Path(args.one[0]), args.one[1]
        print(json.dumps(_peers(path) if what == PEERS else [_packed(path, what)]))
        return 0
    if "REDOXA_SHARED" not in os.environ:
        print("set REDOXA_SHARED to the folder that holds data/")
        return 2
    data = Path(os.environ["REDOXA_SHARED"]) / "data"
    known: Known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for path in _files(data, args.files):
        for what in [*args.profiles, *([PEERS] if args.peers else [])]:
            rows = _apart(path, what)
            keep(RESULTS, known, path.name, rows)
            for row in rows:
                print(f"{path.name} {_short(row)}", flush=True)
    table = data / "PEERS.tsv"
    lines, met = report(known, sizes_of(table), _dated(table))
    print("\n".join(lines))
    if args.write:
        REPORT.write_text("\n".join(lines) + "\n")
        PAGE.write_text(renewed(PAGE.read_text(), overview(known, sizes_of(table), _dated(table))))
        draw(known, PLOT)
    return 0 if met else 1


def _dated(table: Path) -> str:
    """Which table of sizes it is, by its name and the day of its file."""
    if not table.exists():
        return "no table of sizes measured before"
    day = datetime.fromtimestamp(table.stat().st_mtime, UTC).date()
    return f"{table.name} of {day}"


def _files(data: Path, names: list[str]) -> list[Path]:
    paths = sorted(path for path in data.iterdir() if path.suffix not in SKIPPED)
    return [path for path in paths if any(path.name.startswith(name) for name in names)]


def _apart(path: Path, what: str) -> list[Row]:
    command = [sys.executable, __file__, "--one", str(path), what]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        # The other files' rows are worth having; the report names what is missing.
        print(f"{path.name} {what}: {error}", file=sys.stderr, flush=True)
        return []
    return json.loads(done.stdout)


class Clock:
    """Told how far packing is, it notes the CPU time at which each phase began."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}

    def __call__(self, amount: float = 1, note: str | None = None) -> None:  # noqa: ARG002 - Advance
        """The first word of a note names the phase."""
        if note is not None:
            self.at.setdefault(note.split()[0], time.process_time())


def _packed(path: Path, profile: str) -> Row:
    """What Redoxa makes of a file; it ends the process when that does not come back."""
    data = path.read_bytes()
    source, chosen = BytesSource(data, path.name), find_profile(profile)
    with open_toolbox() as tools:
        genes = library(tools.palette)
        clock, out = Clock(), io.BytesIO()
        packed = pack(source, out, genes, tools, profile=chosen, advance=clock)
        end = time.process_time()
        container = Container(BytesSource(out.getvalue()), tools.kernels)
        speed = _speed(lambda: b"".join(container.chunks(tools.executor)), data)
        plans = [print_plan(plan, tools.manifests) for plan in container.header.plans]
    sizes = len(data), packed.container_bytes
    begin, planned = clock.at["planning"], clock.at["trying"]
    times = planned - begin, end - begin, speed
    return _row(profile, sizes, times, gene=packed.gene, plans=plans)


def _peers(path: Path) -> list[Row]:
    """What other compressors installed here make of a file."""
    data, rows = path.read_bytes(), list[Row]()
    for name, codec in codecs_for(kind_of(path, path.parent / "MANIFEST.tsv")).items():
        begin = time.process_time()
        coded = codec.encode(data)
        pack_s = time.process_time() - begin
        speed = _speed(lambda codec=codec, coded=coded: codec.decode(coded), data)
        rows.append(_row(name, (len(data), len(coded)), (0.0, pack_s, speed)))
    return rows


def _row(
    tool: str,
    sizes: tuple[int, int],
    times: tuple[float, float, float],
    *,
    gene: str = "",
    plans: Sequence[str] = (),
) -> Row:
    return {
        "tool": tool,
        "bytes": sizes[0],
        "size": sizes[1],
        "plan_s": times[0],
        "pack_s": times[1],
        "decode_mb_s": times[2],
        "gene": gene,
        "plans": [*plans],
        "day": str(datetime.now(UTC).date()),
        "load": round(os.getloadavg()[0], 1),
    }


def _speed(decode: Callable[[], bytes], data: bytes) -> float:
    """MB of the original decoded in a CPU second, in the best of the rounds."""
    times = list[float]()
    while len(times) < ROUNDS or sum(times) < ROUNDS_S:
        begin = time.process_time()
        back = decode()
        times.append(max(time.process_time() - begin, 1e-9))
        if back != data:
            raise SystemExit("what was packed did not come back")
    return len(data) / min(times) / 1e6


def _short(row: Row) -> str:
    ratio = row["bytes"] / row["size"]
    return (
        f"{row['tool']}: {row['size']:,} bytes, ratio {ratio:.3f}, decode "
        f"{row['decode_mb_s']:.1f} MB/s, planning {row['plan_s']:.1f} s, all {row['pack_s']:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
