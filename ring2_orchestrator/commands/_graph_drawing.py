"""A run's graph as an SVG drawing, and as a page that needs nothing else.

Neither asks for anything from elsewhere, and every name is escaped: programs choose names.
"""

import html
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ring2_orchestrator.commands._graph_text import cost_text, group_text, paths_text, words_text
from ring2_orchestrator.report import one_line
from ring2_orchestrator.runs.graph import Group, grouped, order

if TYPE_CHECKING:
    from ring2_orchestrator.runs.graph import Graph

_MOST_GROUPS = 30
_MOST_DRAWN = 200  # processes; more boxes tell less
_MOST_LISTED = 5_000
_MOST_LETTERS = 150
_MOST_LEVELS = 12
_ROW, _TOP, _INDENT = 24, 64, 14
_INPUTS_X, _STEPS_X, _OUTPUTS_X, _WIDTH = 12, 380, 1010, 1320
_BOX, _STEP_BOX, _OUTPUT_BOX = 300, 560, 298
# Letters that no XML may hold, however they are written; control characters are spelled before.
_NOT_XML = re.compile("[\ufffe\uffff]")

_STYLE = """\
svg{background:#fff}
text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1b1f24}
.head{font-weight:bold}.dim{fill:#656d76}text.bad{fill:#b42318}
rect{fill:#f6f8fa;stroke:#d0d7de}.step{fill:#fff}
path{fill:none;stroke:#8c959f;stroke-opacity:.45}.out{stroke:#1a7f37}.tree{stroke:#d0d7de}
"""
_PAGE_STYLE = """\
body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#1b1f24;background:#fff}
.step{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;margin:.15em 0}
.step small{color:#656d76}.bad{color:#b42318}svg{max-width:100%;height:auto}
summary{cursor:pointer}
"""


class _Place(NamedTuple):
    x: int
    y: int


def svg_of(graph: "Graph", title: str, subtitle: str, *, styled: bool = True) -> str:
    """The drawing: inputs at the left, processes in the middle, outputs at the right.

    One that is not `styled` looks as the page around it says.
    """
    return "".join(_svg(graph, title, subtitle, style=_STYLE if styled else ""))


def html_of(graph: "Graph", title: str, subtitle: str) -> str:
    """A page with the drawing, and all processes below it as a list."""
    return "".join(_page(graph, title, subtitle))


def _escaped(text: str) -> str:
    return html.escape(_NOT_XML.sub("\ufffd", one_line(text)), quote=True)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def _svg(graph: "Graph", title: str, subtitle: str, *, style: str = _STYLE) -> Iterator[str]:
    sides = [grouped(paths, most=_MOST_GROUPS) for paths in (graph.inputs, graph.outputs)]
    steps = order(graph)[:_MOST_DRAWN]
    rows = max([len(sides[0]), len(sides[1]), len(steps) + (len(steps) < len(graph.steps)), 1])
    height = _TOP + rows * _ROW + 16
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img">\n<title>{_escaped(title)}</title>\n'
        + (f"<style>\n{style}</style>\n" if style else "")
    )
    yield _text(_Place(_INPUTS_X, 20), _cut(title), "head")
    yield _text(_Place(_INPUTS_X, 40), subtitle, "dim")
    inputs = {at: _Place(_INPUTS_X, _TOP + at * _ROW) for at in range(len(sides[0]))}
    outputs = {at: _Place(_OUTPUTS_X, _TOP + at * _ROW) for at in range(len(sides[1]))}
    places = {
        step: _Place(_STEPS_X + min(depth, _MOST_LEVELS) * _INDENT, _TOP + row * _ROW)
        for row, (step, depth) in enumerate(steps)
    }
    yield from _edges(graph, sides, (inputs, outputs), places)
    for ends, groups, width in ((inputs, sides[0], _BOX), (outputs, sides[1], _OUTPUT_BOX)):
        for at, group in enumerate(groups):
            yield _box(ends[at], width, group_text(group), _members(group))
    for step, place in places.items():
        process = graph.steps[step].process
        costs = cost_text(process)
        failed = process.exit_code not in (None, 0)
        width = _STEP_BOX - (place.x - _STEPS_X)
        name = words_text(process)
        yield _box(place, width, name, f"{name}\n{costs}", kind="bad step" if failed else "step")
    if len(steps) < len(graph.steps):
        more = f"and {len(graph.steps) - len(steps):,} more processes"
        yield _text(_Place(_STEPS_X, _TOP + len(steps) * _ROW + 15), more, "dim")
    yield "</svg>\n"


def _edges(
    graph: "Graph",
    sides: Sequence[Sequence[Group]],
    ends: tuple[dict[int, _Place], dict[int, _Place]],
    places: dict[int, _Place],
) -> Iterator[str]:
    """Who was started by whom, who read what, and who wrote what."""
    of_input, of_output = (
        {path: at for at, group in enumerate(groups) if _tells(group) for path in group.paths}
        for groups in sides
    )
    for at, place in places.items():
        step = graph.steps[at]
        parent = places.get(-1 if step.process.parent is None else step.process.parent)
        if parent is not None:
            x, y = parent.x + 6, parent.y + _ROW - 4
            yield f'<path class="tree" d="M{x} {y}V{place.y + 10}H{place.x}"/>\n'
        read = {of_input[path] for path in (*step.reads, *step.lists) if path in of_input}
        for group in sorted(read):
            yield _curve(ends[0][group].x + _BOX, ends[0][group].y, place.x, place.y, "in")
        wrote = {of_output[path] for path in (*step.writes, *step.removes) if path in of_output}
        for group in sorted(wrote):
            end = ends[1][group]
            yield _curve(_STEPS_X + _STEP_BOX, place.y, end.x, end.y, "out")


def _tells(group: Group) -> bool:
    """Whether it is worth a line who used it: everyone uses the system."""
    return group.path is not None or group.folder is not None


def _curve(x1: int, y1: int, x2: int, y2: int, kind: str) -> str:
    middle = (x1 + x2) // 2
    return (
        f'<path class="{kind}" d="M{x1} {y1 + 10}C{middle} {y1 + 10} {middle} {y2 + 10} '
        f'{x2} {y2 + 10}"/>\n'
    )


def _box(place: _Place, width: int, text: str, whole: str, *, kind: str = "file") -> str:
    """A box with what fits into it; who points at it is shown the whole."""
    letters = max(3, (width - 12) // 8)
    shown = text if len(text) <= letters else f"{text[: letters - 3]}..."
    tip = "\n".join(_escaped(line) for line in whole.split("\n"))
    style = "bad" if kind.startswith("bad") else ""
    return (
        f'<g><title>{tip}</title><rect class="{kind}" x="{place.x}" y="{place.y}" '
        f'width="{width}" height="{_ROW - 4}" rx="3"/>'
        f"{_text(_Place(place.x + 6, place.y + 15), shown, style)}</g>\n"
    )


def _text(place: _Place, text: str, style: str) -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{place.x}" y="{place.y}"{kind}>{_escaped(text)}</text>'


def _members(group: Group) -> str:
    from ring2_orchestrator.commands._runs import typed  # noqa: PLC0415 - beside its only use

    some = [typed(path) for path in group.paths[:20]]
    more = [f"and {len(group.paths) - 20:,} more"] if len(group.paths) > 20 else []
    return "\n".join([*some, *more])


def _page(graph: "Graph", title: str, subtitle: str) -> Iterator[str]:
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{_escaped(title)}</title>\n<style>\n{_PAGE_STYLE}</style>\n</head>\n<body>\n"
    )
    yield from _svg(graph, title, subtitle)
    steps = order(graph)
    if steps:
        yield "<h2>Processes</h2>\n"
    for at, depth in steps[:_MOST_LISTED]:
        step = graph.steps[at]
        failed = ' class="bad"' if step.process.exit_code not in (None, 0) else ""
        yield (
            f'<div class="step" style="margin-left:{min(depth, 40) * 1.5:g}em"><details><summary>'
            f"<b{failed}>{_escaped(words_text(step.process))}</b> "
            f"<small>{_escaped(cost_text(step.process))}</small></summary>\n"
        )
        for verb, paths in (
            ("reads", step.reads),
            ("lists", step.lists),
            ("writes", step.writes),
            ("removes", step.removes),
        ):
            if paths:
                said = _escaped(paths_text(paths, everything=len(paths) <= 100))
                yield f"<div><small>{verb}</small> {said}</div>\n"
        yield "</details></div>\n"
    if len(steps) > _MOST_LISTED:
        yield f"<p>and {len(steps) - _MOST_LISTED:,} more</p>\n"
    for name, paths in (("Inputs", graph.inputs), ("Outputs", graph.outputs)):
        yield f"<h2>{name}</h2>\n<ul>\n"
        for group in grouped(paths, most=200):
            yield f"<li>{_escaped(group_text(group))}</li>\n"
        yield "</ul>\n"
    yield "</body>\n</html>\n"
