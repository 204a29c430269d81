"""Curves as SVG that can be read on light and on dark pages: no ground, greys and hues between."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullLocator

_INK = "#7d7d7d"  # as far from white as from black
_HUES = ("#d1495b", "#3f88c5", "#2a9d6f", "#b8860b", "#8e6bbf", "#c76bb0", "#5f8f8f")
_MARKS = "osD^vPX"


class Curve(NamedTuple):
    """One line: a middle with its spread for each place on the x axis (None: not measured)."""

    values: Sequence[tuple[float, float, float] | None]
    is_floor: bool = False  # dashed and grey: what no contender can pass


def draw(
    path: Path, title: str, unit: str, at: Mapping[int, str], curves: Mapping[str, Curve]
) -> None:
    """Both axes logarithmic; `at` gives the places on the x axis and what they are called."""
    # The same figures give the same bytes: a fixed salt for ids, text as text, no date.
    mpl.rcParams.update(
        {"svg.hashsalt": "redoxa", "svg.fonttype": "none", "font.size": 9}
        | {f"{part}.color": _INK for part in ("text", "xtick", "ytick", "grid")}
        | {f"axes.{part}color": _INK for part in ("label", "edge")}
    )
    figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
    hues, marks, dashes = iter(_HUES), iter(_MARKS), iter(("--", ":", "-."))
    for name, curve in curves.items():
        points = [
            (x, *value) for x, value in zip(at, curve.values, strict=True) if value is not None
        ]
        xs, middles, lows, highs = zip(*points, strict=True)
        if curve.is_floor:
            axes.plot(xs, middles, color=_INK, linestyle=next(dashes), label=name)
            continue
        hue = next(hues)
        axes.fill_between(xs, lows, highs, color=hue, alpha=0.18, linewidth=0)
        axes.plot(
            xs, middles, color=hue, marker=next(marks), markersize=4, linewidth=1.4, label=name
        )
    axes.set_xscale("log", base=4)
    axes.set_yscale("log")
    axes.set_xticks(list(at), list(at.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel(unit)
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, metadata={"Date": None}, transparent=True)
    plt.close(figure)
