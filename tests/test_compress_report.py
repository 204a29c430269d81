"""The report, the page and the plot of bench/compress.py are made of its rows."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TABLE = "PEERS.tsv of 2026-01-31"
BEFORE = {"a.bin": {"zstd:19": 600, "zpaq:m5": 90}, "b.bin": {"zstd:19": 500, "zpaq:m5": 400}}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    return import_module("compress_report")


def row(tool: str, size: int, speed: float, **more: object) -> dict[str, object]:
    return {
        "tool": tool,
        "bytes": 1000,
        "size": size,
        "plan_s": 0.5,
        "pack_s": 1.0,
        "decode_mb_s": speed,
        "gene": "",
        "plans": [f"input x: u8\nemit x |> {tool}\n"] if tool == "balanced" else [],
        **more,
    }


def known() -> dict[str, dict[str, dict[str, object]]]:
    when = {"day": "2026-02-01", "load": 0.5}
    return {
        "a.bin": {
            "balanced": row("balanced", 100, 30.0, **when),
            "zstd:19": row("zstd:19", 125, 600.0, **when),
            "slow": row("slow", 200, 20.0, day="2026-02-03", load=2.0),
        },
        "b.bin": {
            "balanced": row("balanced", 400, 30.0, **when),
            "slow": row("slow", 800, 20.0, **when),
        },
    }


def test_a_row_is_kept_as_soon_as_it_is_known(module: Any, tmp_path: Path) -> None:
    path, rows = tmp_path / "results" / "compress.json", {}
    module.keep(path, rows, "a.bin", [row("balanced", 300, 30.0)])
    module.keep(path, rows, "a.bin", [row("balanced", 100, 30.0), row("slow", 200, 20.0)])
    module.keep(path, rows, "b.bin", [row("slow", 800, 20.0)])
    assert json.loads(path.read_text()) == rows
    assert {name: {*each} for name, each in rows.items()} == {
        "a.bin": {"balanced", "slow"},
        "b.bin": {"slow"},
    }
    assert rows["a.bin"]["balanced"]["size"] == 100
    assert [*path.parent.iterdir()] == [path]


def test_the_report_judges_by_what_ran_here_and_what_was_known_before(module: Any) -> None:
    lines, met = module.report(known(), BEFORE, TABLE)
    text = "\n".join(lines)
    assert not met
    assert "| a.bin | 1,000 | 100 | 10.000 | zstd:19 125 | 0.800 | 125 | 30.0 |" in text
    assert "| b.bin | 1,000 | 400 | 2.500 | zstd:19* 500 | 0.800 | 500 | 30.0 |" in text
    assert "Geometric mean ratio of 2 files: 5.000 (gate 5.35)." in text
    assert "Measured on 2026-02-01 to 2026-02-03, at loads of 0.5 to 2." in text
    assert f"marked *, those of {TABLE};" in text
    assert "emit x |> balanced" in text


def test_a_report_without_anything_to_compare_with_is_made_all_the_same(module: Any) -> None:
    lines, _ = module.report({"a.bin": {"fast": row("fast", 100, 400.0)}}, {}, TABLE)
    assert any(line.startswith("| a.bin | 1,000 | 100 | 10.000 |  |  |") for line in lines)


def test_the_page_gets_its_figures_and_keeps_its_words(module: Any) -> None:
    page = (ROOT / "docs" / "compression.md").read_text()
    lines = module.overview(known(), BEFORE, TABLE)
    once = module.renewed(page, lines)
    assert (
        "| a.bin | 1,000 |  | 10.000 |  | 8.000 | zstd:19 8.000 | zpaq:m5* 11.111 |"
        in once.splitlines()
    )
    assert "| slow | 2 | 2.500 | 0.00 | 20.0 |" in once.splitlines()
    assert module.renewed(once, lines) == once
    assert once.splitlines()[:5] == page.splitlines()[:5]
    assert once.splitlines()[-1] == page.splitlines()[-1]


def test_the_frontier_is_what_nothing_beats_in_both(module: Any) -> None:
    points = [
        module.Point(name, speed, ratio)
        for name, speed, ratio in (("a", 1.0, 9.0), ("b", 5.0, 4.0), ("c", 4.0, 3.0), ("d", 5.0, 2))
    ]
    assert [point.name for point in module.frontier(points)] == ["b", "a"]


@pytest.mark.slow
def test_the_plot_shows_what_ran_on_every_file(module: Any, tmp_path: Path) -> None:
    path = tmp_path / "plot.svg"
    module.draw(known(), path)
    text = path.read_text()
    assert text.rstrip().endswith("</svg>")
    assert "<!-- balanced -->" in text
    assert "<!-- slow -->" in text
    assert "<!-- zstd:19 -->" not in text
    module.draw(known(), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == text
