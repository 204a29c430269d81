"""The demo's script does honest work, says what it could not trust, and repeats itself exactly."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "demos" / "clean_weather.py"
# So that the demo finds this checkout even where it is not installed.
IN_CHECKOUT = {**os.environ, "PYTHONPATH": str(ROOT)}
HEADING = "date,precipitation,temp_max,temp_min,wind,weather"
DIRTY = f"""{HEADING}
2012/01/01,0.0,12.8,5.0,4.7,rain
2012/01/02,10.9,10.6,2.8,4.5,sun
2012/01/02,11.9,10.6,2.8,4.5,rain
soon,0.8,11.7,7.2,2.3,rain
2012/01/04,-3,11.7,7.2,2.3,rain
2012/01/05,1.3,2.8,8.9,6.1,rain
2012/01/06,2.5,?,2.2,2.2,
"""


def demo(*words: str, without: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the script as a person would; `without` hides a module from it."""
    program = [str(SCRIPT)]
    if without:
        hide = f"import runpy, sys; sys.modules[{without!r}] = None; sys.argv.pop(0); "
        program = ["-c", hide + "runpy.run_path(sys.argv[0], run_name='__main__')", str(SCRIPT)]
    return subprocess.run(
        [sys.executable, *program, *words],
        env=IN_CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_the_shipped_data_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    first = demo("-o", str(tmp_path / "1"))
    second = demo("-o", str(tmp_path / "2"))
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert first.stdout == second.stdout
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert set(contents(tmp_path / "1")) == {"months.csv", "months.svg", "weather.rdx"}
    with (tmp_path / "1" / "months.csv").open(newline="") as file:
        months = list(csv.DictReader(file))
    assert [int(month["days"]) for month in months][:3] == [124, 113, 124]
    for month in months:
        assert float(month["rain_low_mm"]) < float(month["rain_mm"]) < float(month["rain_high_mm"])


@pytest.mark.slow
def test_the_readme_shows_what_the_script_says(tmp_path: Path) -> None:
    result = demo("-o", str(tmp_path))
    shown = "".join(f"    {line}".rstrip() + "\n" for line in result.stdout.splitlines())
    assert shown in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_dirty_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    dirty = tmp_path / "dirty.csv"
    dirty.write_text(DIRTY)
    result = demo(str(dirty), "-o", str(tmp_path / "out"), without="matplotlib")
    assert result.returncode == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in (
        "6 days, 2012-01-01 to 2012-01-06",
        "1 rows without a date dropped",
        "1 repeated days dropped",
        "1 absent days left empty",
        "1 impossible values of precipitation taken out",
        "1 days warmer by night than by day",
        "1 days labelled rain, drizzle or snow, and nothing in the gauge",
        "1 days labelled sun, and rain in the gauge",
        "no plot: matplotlib is not installed (the extra `plot` names it)",
    ):
        assert line in lines
    assert set(contents(tmp_path / "out")) == {"months.csv", "weather.rdx"}


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, "", f"{HEADING}\n", "\0\xff"])
def test_a_table_that_cannot_be_read_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    table = tmp_path / "table.csv"
    if content is not None:
        table.write_bytes(content.encode("latin-1"))
    result = demo(str(table), "-o", str(tmp_path / "out"))
    assert result.returncode == 2
    assert str(table) in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_second_pass_is_reused_and_says_what_it_saved(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "demos" / "twice.py")],
        env={**IN_CHECKOUT, "REDOXA_HOME": str(tmp_path / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    recorded, reused = result.stderr.splitlines()
    assert recorded.startswith("redoxa: recorded")
    assert reused.startswith("redoxa: reused")
    assert "the same 3 files, byte for byte" in result.stdout.splitlines()[-1]
