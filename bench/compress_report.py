"""The report and the plot of bench/compress.py: what was measured, beside the gates."""

import json
import math
import os
import platform
import tempfile
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NotRequired, TypedDict

# The geometric mean of the ratios, and MB/s of decoding that every file must reach.
GATES = {"fast": (4.3, 300.0), "balanced": (5.35, 20.0), "max": (5.93, 1.0)}
PLANNING_S = {"fast": 2.0, "balanced": 10.0, "max": 60.0}

# Between these, a page's figures stand; they are made anew with the report.
_BEGIN = "<!-- figures: bench/compress.py --write -->"
_END = "<!-- end of figures -->"
_PLANNING_BYTES = 4_000_000
_WORST = 1.03
_SLACK = 64
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
    day: NotRequired[str]  # when it was measured, and how many other programs wanted to run
    load: NotRequired[float]


Known = dict[str, dict[str, Row]]
Peers = dict[str, dict[str, int]]


class Point(NamedTuple):
    """A tool over all files: MB/s of decoding and ratio, geometric means."""

    name: str
    speed: float
    ratio: float


def keep(path: Path, known: Known, name: str, rows: Iterable[Row]) -> None:
    """Add a file's rows to what is known; on disk, too, whole or as it was before."""
    known.setdefault(name, {}).update({row["tool"]: row for row in rows})
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(json.dumps(known, indent=1, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def report(known: Known, before: Peers, table: str) -> tuple[list[str], bool]:
    """The report's lines, and whether every gate is met that can be judged.

    `before` are sizes that were measured earlier, elsewhere; `table` says which they are.
    """
    lines = [
        "# `redoxa pack` by profile, beside other compressors",
        "",
        "Made by `REDOXA_SHARED=... python bench/compress.py --peers --write`; every container was",
        "unpacked and compared. Sizes are exact. Times are CPU seconds of one thread, on a shared",
        f"machine ({platform.machine()}, Python {platform.python_version()}): +-40 %.",
        f"{_when(known)} `pack s` is all:",
        "planning, the finalists on everything, and decoding to verify. The best peer is the",
        f"smallest of those that ran here and, marked *, those of {table};",
        "beside `fast` and `balanced`, zpaq is left out.",
    ]
    met = True
    for profile in GATES:
        rows = {name: row for name, each in sorted(known.items()) if (row := each.get(profile))}
        if rows:
            peers = {name: _peers(known.get(name, {}), before.get(name, {})) for name in rows}
            section, misses = _section(profile, rows, peers)
            lines += section
            met = met and not misses
    lines += ["", "## Every tool that ran here", "", *_tools(known), "", "## The plans", ""]
    for name, each in sorted(known.items()):
        for profile in GATES:
            if profile in each:
                text = [line for plan in each[profile]["plans"] for line in plan.splitlines()]
                lines += [f"{name}, {profile}", "", "```", *text, "```", ""]
    return lines, met


def overview(known: Known, before: Peers, table: str) -> list[str]:
    """Ratios of every file in every profile beside the best of the others, and means of all."""
    lines = [
        "| file | bytes | fast | balanced | max | zstd:19 | best that ran here | best known |",
        "|---|--:|--:|--:|--:|--:|---|---|",
    ]
    for name, each in sorted(known.items()):
        size = next(iter(each.values()))["bytes"]
        ratios = {tool: size / row["size"] for tool, row in each.items()}
        here = {tool: ratio for tool, ratio in ratios.items() if tool not in GATES}
        peers = {tool: size / bytes_ for tool, bytes_ in _peers(each, before.get(name, {})).items()}
        cells = [_ratio(ratios.get(tool)) for tool in (*GATES, "zstd:19")]
        bests = [_best(here), _best(peers)]
        lines.append(f"| {name} | {size:,} | {' | '.join([*cells, *bests])} |")
    lines += ["", *_tools(known), "", _when(known)]
    return [*lines, f"Marked *: not run here, but from {table}."]


def renewed(page: str, lines: list[str]) -> str:
    """The page with these lines between its two marks."""
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert end, "the page has the marks between which its figures stand"
    return f"{before}{_BEGIN}\n\n" + "\n".join(lines) + f"\n\n{_END}{after}"


def draw(known: Known, path: Path) -> None:
    """The plot of ratio against decode speed, of tools that ran on every file.

    A line joins those that no other beats in both.
    """
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
    best = frontier(points)
    axes.plot([each.speed for each in best], [each.ratio for each in best], lw=0.8, color="grey")
    axes.set_xscale("log")
    axes.set_xlabel("decoding, MB/s of CPU time (geometric mean)")
    axes.set_ylabel("ratio (geometric mean)")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def frontier(points: list[Point]) -> list[Point]:
    """The points that no other beats in both speed and ratio, the fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda each: (each.speed, each.ratio), reverse=True):
        if not best or point.ratio > best[-1].ratio:
            best.append(point)
    return best


def _section(profile: str, rows: dict[str, Row], peers: Peers) -> tuple[list[str], list[str]]:
    lines = ["", f"## {profile}", "", f"| {_COLUMNS} | pack s | gene |"]
    lines.append("|---|--:|--:|--:|---|--:|--:|--:|--:|--:|---|")
    misses: list[str] = []
    for name, row in rows.items():
        theirs = {tool: size for tool, size in peers[name].items() if _is_peer(profile, tool)}
        zstd = theirs.get("zstd:19", theirs.get("zstd:19*"))
        size, total = row["size"], row["bytes"]
        beside = ["", "", ""]
        if theirs and zstd is not None:
            tool = min(theirs, key=lambda each: theirs[each])
            beside = [f"{tool} {theirs[tool]:,}", f"{size / theirs[tool]:.3f}", f"{zstd:,}"]
            misses += _misses(profile, name, row, zstd, theirs[tool])
        lines.append(
            f"| {name} | {total:,} | {size:,} | {total / size:.3f} | {' | '.join(beside)} "
            f"| {row['decode_mb_s']:.1f} | {row['plan_s']:.1f} | {row['pack_s']:.1f} "
            f"| {row['gene']} |"
        )
    mean = _mean([row["bytes"] / row["size"] for row in rows.values()])
    gate = GATES[profile][0]
    if mean < gate:
        misses.append(f"the geometric mean of the ratios is {mean:.3f}, not {gate}")
    verdict = "met." if not misses else "missed: " + "; ".join(misses) + "."
    lines += ["", f"Geometric mean ratio of {len(rows)} files: {mean:.3f} (gate {gate})."]
    return [*lines, "", f"Gates: {verdict}"], misses


def _misses(profile: str, name: str, row: Row, zstd: int, best: int) -> list[str]:
    """The gates that one file misses, each as a sentence's part."""
    size, speed = row["size"], GATES[profile][1]
    planning_s = PLANNING_S[profile] * max(row["bytes"] / _PLANNING_BYTES, 1)
    checks = [
        (row["decode_mb_s"] < speed, f"decodes at {row['decode_mb_s']:.1f} MB/s, not {speed:g}"),
        (size > zstd + _SLACK, f"has {size - zstd:,} bytes over zstd -19"),
        (profile == "max" and size > best * _WORST, f"takes {size / best:.3f} of the best peer's"),
        (row["plan_s"] > planning_s, f"took {row['plan_s']:.1f} s to plan"),
    ]
    return [f"{name} {what}" for missed, what in checks if missed]


def _is_peer(profile: str, tool: str) -> bool:
    return profile == "max" or not tool.startswith("zpaq")


def _peers(each: dict[str, Row], before: dict[str, int]) -> dict[str, int]:
    """The others' sizes of one file; what did not run here is marked *."""
    here = {tool: row["size"] for tool, row in each.items() if tool not in GATES}
    return here | {f"{tool}*": size for tool, size in before.items() if tool not in here}


def _tools(known: Known) -> list[str]:
    """Every tool with its means, over the files that it ran on."""
    lines = [
        "| tool | files | ratio | packing MB/s | decoding MB/s |",
        "|---|--:|--:|--:|--:|",
    ]
    for tool in [*GATES, *sorted({tool for each in known.values() for tool in each} - {*GATES})]:
        rows = [each[tool] for each in known.values() if tool in each]
        if rows:
            ratio = _mean([row["bytes"] / row["size"] for row in rows])
            packing = _mean([row["bytes"] / max(row["pack_s"], 1e-9) / 1e6 for row in rows])
            decoding = _mean([row["decode_mb_s"] for row in rows])
            name = f"redoxa {tool}" if tool in GATES else tool
            lines.append(f"| {name} | {len(rows)} | {ratio:.3f} | {packing:.2f} | {decoding:.1f} |")
    return lines


def _when(known: Known) -> str:
    rows = [row for each in known.values() for row in each.values()]
    days = sorted({day for row in rows if (day := row.get("day"))})
    loads = [load for row in rows if (load := row.get("load")) is not None]
    if not days:
        return "Nothing says when this was measured."
    span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
    return f"Measured on {span}, at loads of {min(loads):g} to {max(loads):g}."


def _best(ratios: dict[str, float]) -> str:
    if not ratios:
        return ""
    tool = max(ratios, key=lambda each: ratios[each])
    return f"{tool} {_ratio(ratios[tool])}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


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
