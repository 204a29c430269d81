"""The report and the plot of bench/compress.py: what was measured, beside the gates."""

import math
import platform
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypedDict

# The geometric mean of the ratios, and MB/s of decoding that every file must reach.
GATES = {"fast": (4.3, 300.0), "balanced": (5.35, 20.0), "max": (5.93, 1.0)}
PLANNING_S = {"fast": 2.0, "balanced": 10.0, "max": 60.0}

_PLANNING_BYTES = 4_000_000
_WORST = 1.03
_SLACK = 64
_HEAD = [
    "# `redoxa pack` by profile, beside other compressors",
    "",
    "Made by `REDOXA_SHARED=... python bench/compress.py --peers --write`; every container was",
    "unpacked and compared. Sizes are exact. Times are CPU seconds of one thread, on a shared",
    f"machine ({platform.machine()}, Python {platform.python_version()}): +-40 %. `pack s` is all:",
    "planning, the finalists on everything, and decoding to verify. The best peer is the smallest",
    "in the shared table of tools and settings; beside `fast` and `balanced`, zpaq is left out.",
]
_COLUMNS = "file | bytes | redoxa | ratio | best peer | to it | zstd -19 | decode MB/s | planning s"


class Row(TypedDict):
    """One tool on one file."""

    tool: str
    bytes: int
    size: int
    plan_s: float
    pack_s: float
    decode_mb_s: float
    gene: str
    plans: list[str]


Known = dict[str, dict[str, Row]]
Peers = dict[str, dict[str, int]]


class Point(NamedTuple):
    """A tool over all files: MB/s of decoding and ratio, geometric means."""

    name: str
    speed: float
    ratio: float


def report(known: Known, peers_file: Path) -> tuple[list[str], bool]:
    """The report's lines, and whether every gate is met that can be judged."""
    peers = _read_peers(peers_file)
    lines = [*_HEAD]
    met = True
    for profile in GATES:
        rows = {name: row for name, each in sorted(known.items()) if (row := each.get(profile))}
        if rows:
            section, misses = _section(profile, rows, peers)
            lines += section
            met = met and not misses
    lines += ["", "## The plans", ""]
    for name, each in sorted(known.items()):
        for profile in GATES:
            if profile in each:
                text = [line for plan in each[profile]["plans"] for line in plan.splitlines()]
                lines += [f"{name}, {profile}", "", "```", *text, "```", ""]
    return lines, met


def draw(known: Known, path: Path) -> None:
    """The plot of ratio against decode speed, of tools that ran on every file."""
    mpl = import_module("matplotlib")
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "redoxa"
    pyplot = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    points = _points(known)
    for ours, label in ((True, "redoxa"), (False, "others")):
        group = [point for point in points if (point.name in GATES) == ours]
        axes.scatter([each.speed for each in group], [each.ratio for each in group], label=label)
        for each in group:
            place = (each.speed, each.ratio)
            axes.annotate(each.name, place, textcoords="offset points", xytext=(5, 4), fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("decoding, MB/s of CPU time (geometric mean)")
    axes.set_ylabel("ratio (geometric mean)")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def _section(profile: str, rows: dict[str, Row], peers: Peers) -> tuple[list[str], list[str]]:
    lines = ["", f"## {profile}", "", f"| {_COLUMNS} | pack s | gene |"]
    lines.append("|---|--:|--:|--:|---|--:|--:|--:|--:|--:|---|")
    misses: list[str] = []
    for name, row in rows.items():
        theirs = {
            tool: size for tool, size in peers.get(name, {}).items() if _is_peer(profile, tool)
        }
        tool = min(theirs, key=lambda each: theirs[each])
        size, total, zstd = row["size"], row["bytes"], theirs["zstd:19"]
        lines.append(
            f"| {name} | {total:,} | {size:,} | {total / size:.3f} | {tool} {theirs[tool]:,} "
            f"| {size / theirs[tool]:.3f} | {zstd:,} | {row['decode_mb_s']:.1f} "
            f"| {row['plan_s']:.1f} | {row['pack_s']:.1f} | {row['gene']} |"
        )
        misses += _misses(profile, name, row, theirs)
    mean = _mean([row["bytes"] / row["size"] for row in rows.values()])
    gate = GATES[profile][0]
    if mean < gate:
        misses.append(f"the geometric mean of the ratios is {mean:.3f}, not {gate}")
    verdict = "met." if not misses else "missed: " + "; ".join(misses) + "."
    lines += ["", f"Geometric mean ratio of {len(rows)} files: {mean:.3f} (gate {gate})."]
    return [*lines, "", f"Gates: {verdict}"], misses


def _misses(profile: str, name: str, row: Row, theirs: dict[str, int]) -> list[str]:
    """The gates that one file misses, each as a sentence's part."""
    size, speed, best = row["size"], GATES[profile][1], min(theirs.values())
    planning_s = PLANNING_S[profile] * max(row["bytes"] / _PLANNING_BYTES, 1)
    checks = [
        (row["decode_mb_s"] < speed, f"decodes at {row['decode_mb_s']:.1f} MB/s, not {speed:g}"),
        (
            size > theirs["zstd:19"] + _SLACK,
            f"has {size - theirs['zstd:19']:,} bytes over zstd -19",
        ),
        (profile == "max" and size > best * _WORST, f"takes {size / best:.3f} of the best peer's"),
        (row["plan_s"] > planning_s, f"took {row['plan_s']:.1f} s to plan"),
    ]
    return [f"{name} {what}" for missed, what in checks if missed]


def _is_peer(profile: str, tool: str) -> bool:
    return profile == "max" or not tool.startswith("zpaq")


def _read_peers(path: Path) -> Peers:
    found: Peers = {}
    for line in path.read_text().splitlines():
        cells = line.split("\t")
        if not line.startswith("#") and cells[0] != "name":
            found.setdefault(cells[0], {})[cells[1]] = int(cells[2])
    return found


def _points(known: Known) -> list[Point]:
    tools = {tool for each in known.values() for tool in each}
    points: list[Point] = []
    for tool in sorted(tools):
        rows = [each[tool] for each in known.values() if tool in each]
        if len(rows) == len(known):
            speed = _mean([row["decode_mb_s"] for row in rows])
            points.append(Point(tool, speed, _mean([row["bytes"] / row["size"] for row in rows])))
    return points


def _mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))
