"""The pictures of docs/view.md are those of the page; REDOXA_SCREENSHOTS=1 takes them anew.

They show times and durations of whoever took them, so they are not compared.
"""

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.leaf import Draft
from ring2_orchestrator.viewing.server import Server
from tests.viewing.browser import ROOT, Browser
from tests.viewing.serving import serving

PICTURES = ROOT / "docs" / "view"
SAMPLES = ROOT / "tests" / "container" / "samples"
MOST_BYTES = 200_000
MAKEFILE = """\
all: report.txt
report.txt: clean.txt counts.txt
\tcat clean.txt counts.txt > report.txt
clean.txt: data.csv
\tgrep -v '#' data.csv > clean.txt
counts.txt: data.csv
\twc -l < data.csv > counts.txt
"""
COMMANDS = (
    (b"make", b"report.txt"), (b"python3", b"clean.py", b"data.csv"), (b"pytest", b"-q", b"tests"),
    (b"cc", b"-O2", b"-c", b"parser.c", b"-o", b"parser.o"), (b"python3", b"plot.py", b"--week"),
)  # fmt: skip
SHOTS = {
    "timeline-light": ("light", 1280, ""),
    "timeline-dark": ("dark", 1280, ""),
    "run-light": ("light", 1280, "#/entry/{run}"),
    "run-dark": ("dark", 1280, "#/entry/{run}"),
    "verify-light": ("light", 1280, "#/verify"),
    "forecasts-dark": ("dark", 1280, "#/forecasts"),
    "store-light": ("light", 1280, "#/store"),
    "timeline-phone": ("light", 390, ""),
    "verify-phone": ("dark", 390, "#/verify"),
}


def past(now_ns: int) -> list[Draft]:
    """Four days of somebody's runs."""
    drafts: list[Draft] = []
    for at in range(420):
        kind = at % len(COMMANDS)
        chance = at * 2654435761 % 1000
        wall = (1.8, 0.4, 9.0, 0.9, 3.0)[kind] * (0.7 + chance / 900)
        reused, failed = chance % 3 > 0, chance % 23 == 0
        entry = {
            "verdict": "failed" if failed else "reused" if reused else "ran",
            "exit_code": 1 if failed else 0,
            "wall_s": 0.012 + chance / 80_000 if reused and not failed else wall,
            "cpu_s": wall * 0.8,
            "max_rss_bytes": 30_000_000 + 7919 * chance,
            "saved_s": wall if reused and not failed else 0.0,
            "command": list(COMMANDS[kind]),
            "doubts": [["clock", "it asked a clock"]] if kind == 4 and not reused else [],
        }
        ago_s = (420 - at) * 790 + (at // 105) * 9000 + chance
        drafts.append(Draft([entry], "run", f"subject {kind}", now_ns - ago_s * 10**9))
    return drafts


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    (place / "data.csv").write_text("# name,count\na,1\nb,2\n")
    (place / "Makefile").write_text(MAKEFILE)
    home = place / ".local" / "share" / "redoxa"
    with Home(home) as opened:
        opened.ledger.append_all(past(time.time_ns()))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for _ in range(2):
            assert main(["--home", str(home), "run", "-q", "--", "make"]) == 0
    for name, gene in (("mercury.f64", "floats_f64"), ("coffee.rgb8", "picture_rgb")):
        (place / name).write_bytes((SAMPLES / name).read_bytes())
        assert main(["pack", "-q", str(place / name), "-g", gene]) == 0
    return place


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place))
        with serving(place / ".local" / "share" / "redoxa") as opened:
            yield opened


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOTS)
def test_a_picture_is_taken(
    browser: Browser, server: Server, place: Path, tmp_path: Path, name: str
) -> None:
    theme, width, where = SHOTS[name]
    browser.open(server, where.format(run=420), theme=theme, width=width)
    browser.until("!document.querySelector('[aria-busy=true]')")
    if "verify" in where:
        files = [place / "coffee.rgb8.rdx", place / "coffee.rgb8"]
        if width > 700:
            files += [place / "mercury.f64.rdx", place / "mercury.f64"]
        browser.choose(*files)
        browser.until(
            "document.querySelector('.result') && !document.querySelector('.result.running')"
        )
    if where in ("", "#/forecasts"):
        browser.until("document.querySelector('canvas')")
    browser.js("(document.activeElement.blur(), document.fonts.ready, 1)")
    file = tmp_path / f"{name}.png"
    assert browser.driver.save_screenshot(str(file))
    data = file.read_bytes()
    assert struct.unpack(">I", data[16:20]) == (width,)
    assert 5_000 < len(data) < MOST_BYTES
    if os.environ.get("REDOXA_SCREENSHOTS"):
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / file.name).write_bytes(data)


def test_the_page_of_the_documentation_shows_them() -> None:
    page = (ROOT / "docs" / "view.md").read_text("utf-8")
    there = {path.stem for path in PICTURES.glob("*.png")}
    assert there == set(SHOTS)
    assert all(f"(view/{name}.png)" in page for name in there)
