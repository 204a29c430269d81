"""Ratios and speeds of `redoxa pack` in every profile beside other compressors, over real files.

    REDOXA_SHARED=/path/to/shared python bench/compress.py [--files NAME...] [--profiles NAME...]
        [--peers] [--write]

Every file is packed and unpacked in a process of its own, so memory and time stay bounded, and what
comes back is compared. Sizes are exact and the same on every machine. Times are CPU seconds; MB are
of the original; decoding is in the sandbox, the best of three rounds. `--peers` runs what other
compressors are installed here; further peers' sizes are read from the shared PEERS.tsv. Results
stay in bench/results/compress.json, so runs over some files add to those over others; `--write`
renews bench/results/compress.md and the plot in docs/.
"""

import argparse
import io
import json
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from compress_report import GATES, Known, Row, draw, report

from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.gene import print_plan
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import find_profile, library, propose
from ring2_orchestrator.toolbox import open_toolbox

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "compress.json"
REPORT = HERE / "results" / "compress.md"
PLOT = HERE.parent / "docs" / "compress.svg"
SKIPPED = {".tsv", ".md"}
PEERS = "peers"
ROUNDS = 3

Codec = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]


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
            for row in _apart(path, what):
                known.setdefault(path.name, {})[row["tool"]] = row
                print(f"{path.name} {_short(row)}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    lines, met = report(known, data / "PEERS.tsv")
    print("\n".join(lines))
    if args.write:
        REPORT.write_text("\n".join(lines) + "\n")
        draw(known, PLOT)
    return 0 if met else 1


def _files(data: Path, names: list[str]) -> list[Path]:
    paths = sorted(path for path in data.iterdir() if path.suffix not in SKIPPED)
    return [path for path in paths if any(path.name.startswith(name) for name in names)]


def _apart(path: Path, what: str) -> list[Row]:
    command = [sys.executable, __file__, "--one", str(path), what]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def _packed(path: Path, profile: str) -> Row:
    """What Redoxa makes of a file; it ends the process when that does not come back."""
    data = path.read_bytes()
    source, chosen = BytesSource(data, path.name), find_profile(profile)
    with open_toolbox() as tools:
        genes = library(tools.palette)
        begin = time.process_time()
        propose(source, genes, tools.packer, tools.kernels, chosen)
        planned = time.process_time()
        out = io.BytesIO()
        packed = pack(source, out, genes, tools, profile=chosen)
        end = time.process_time()
        container = Container(BytesSource(out.getvalue()), tools.kernels)
        speed = _speed(lambda: b"".join(container.chunks(tools.executor)), data)
        plans = [print_plan(plan, tools.manifests) for plan in container.header.plans]
    return {
        "tool": profile,
        "bytes": len(data),
        "size": packed.container_bytes,
        "plan_s": planned - begin,
        "pack_s": end - planned,
        "decode_mb_s": speed,
        "gene": packed.gene,
        "plans": plans,
    }


def _peers(path: Path) -> list[Row]:
    """What other compressors installed here make of a file."""
    data = path.read_bytes()
    rows: list[Row] = []
    for name, (encode, decode) in _codecs().items():
        begin = time.process_time()
        coded = encode(data)
        pack_s = time.process_time() - begin
        speed = _speed(lambda decode=decode, coded=coded: decode(coded), data)
        rows.append(
            {
                "tool": name,
                "bytes": len(data),
                "size": len(coded),
                "plan_s": 0.0,
                "pack_s": pack_s,
                "decode_mb_s": speed,
                "gene": "",
                "plans": [],
            }
        )
    return rows


def _speed(decode: Callable[[], bytes], data: bytes) -> float:
    """MB of the original decoded in a CPU second, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        back = decode()
        best = min(best, time.process_time() - begin)
        if back != data:
            raise SystemExit("what was packed did not come back")
    return len(data) / max(best, 1e-9) / 1e6


def _codecs() -> dict[str, Codec]:
    codecs: dict[str, Codec] = {
        "xz:9": (lambda data: lzma.compress(data, preset=9), lzma.decompress)
    }
    for module, add in (("zstandard", _zstandard), ("brotli", _brotli)):
        try:
            import_module(module)
        except ImportError:
            print(f"{module} is not installed: left out", file=sys.stderr)
        else:
            codecs |= add()
    return codecs


def _zstandard() -> dict[str, Codec]:
    zstandard = import_module("zstandard")
    decode = zstandard.ZstdDecompressor().decompress
    levels = (3, 19)
    return {f"zstd:{at}": (zstandard.ZstdCompressor(level=at).compress, decode) for at in levels}


def _brotli() -> dict[str, Codec]:
    brotli = import_module("brotli")
    return {"brotli:11": (brotli.compress, brotli.decompress)}


def _short(row: Row) -> str:
    ratio = row["bytes"] / row["size"]
    return (
        f"{row['tool']}: {row['size']:,} bytes, ratio {ratio:.3f}, decode "
        f"{row['decode_mb_s']:.1f} MB/s, planning {row['plan_s']:.1f} s, all {row['pack_s']:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
