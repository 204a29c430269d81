"""All demos, as a person types it: recorded, then reused; each alone; and when they do not hold."""

import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
NAMES = sorted(path.name for path in (ROOT / "demos").glob("[!_]*.py"))
CHECKED = ["audio_caption_loop.py", "ce1_quick_demo.py", "chess_gray8.py"]


class Rounds(NamedTuple):
    """A copy of the demos, and what `run.py` without words said there the first time and then."""

    folder: Path
    first: "subprocess.CompletedProcess[str]"
    second: "subprocess.CompletedProcess[str]"


def python(
    *words: str | Path, cwd: Path = ROOT, **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def demos_in(folder: Path) -> Path:
    """The demos as a clone has them."""
    unkept = shutil.ignore_patterns("weather", "__pycache__")
    return shutil.copytree(ROOT / "demos", folder / "demos", ignore=unkept)


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    folder = tmp_path_factory.mktemp("clone")
    weather = demos_in(folder) / "clean_weather.py"
    text = weather.read_text("utf-8")
    assert "\nROUNDS = 20_000\n" in text
    weather.write_text(text.replace("ROUNDS = 20_000", "ROUNDS = 200"), "utf-8")
    # What lists this machine's fonts for the first time leaves a file outside of all that is ours.
    assert python("-c", "import matplotlib.font_manager").returncode == 0
    home = str(folder.parent / f"{folder.name}-home")
    first, second = (
        python(ROOT / "scripts" / "run.py", cwd=folder, REDOXA_HOME=home) for _ in range(2)
    )
    return Rounds(folder, first, second)


def verdict(said: "subprocess.CompletedProcess[str]", name: str) -> str:
    found = re.search(rf"^redoxa: \[\d+/\d+\] demos/{name}: (.*)$", said.stderr, re.MULTILINE)
    assert found, said.stderr
    return found.group(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_demo_is_recorded_and_then_reused(rounds: Rounds, name: str) -> None:
    assert (rounds.first.returncode, rounds.second.returncode) == (0, 0), rounds.first.stderr
    assert verdict(rounds.first, name).startswith("recorded: ")
    assert verdict(rounds.second, name).startswith("reused: ")


@pytest.mark.slow
def test_the_second_round_prints_the_same(rounds: Rounds) -> None:
    assert rounds.first.stdout == rounds.second.stdout
    assert f"{len(NAMES)} scripts: 0 run, {len(NAMES)} reused, 0 failed" in rounds.second.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_a_demo_alone_says_what_it_said_recorded(rounds: Rounds, name: str) -> None:
    alone = python(Path("demos") / name, PYTHONHASHSEED="7", LC_ALL="C.UTF-8")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout
    assert alone.stdout in rounds.first.stdout
    assert alone.stdout.count("\n  ok  ") > 10


# Each with one thing made wrong, and the statement that then does not hold.
WRONG = {
    "audio_caption_loop.py": ("tone(440, 8000)", "tone(450, 8000)", "first_hz is 440: 450"),
    "ce1_quick_demo.py": (
        "return 4 * np.arctan2(norm(apart), norm(together))",
        "return (4 * np.arctan2(norm(apart), norm(together))) ** 2",
        "no way round is shorter",
    ),
    "chess_gray8.py": ("(1, 2), (2, 1)", "(1, 3), (3, 1)", "all 322 knight's moves turn 3 bits"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_what_does_not_hold_ends_a_demo(tmp_path: Path, name: str) -> None:
    right, wrong, statement = WRONG[name]
    script = demos_in(tmp_path) / name
    text = script.read_text("utf-8")
    assert right in text
    script.write_text(text.replace(right, wrong), "utf-8")
    said = python(script)
    assert said.returncode == 1
    assert said.stderr.startswith(f"{script}: this does not hold: {statement}")
    assert said.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_tour_begins_where_one_says() -> None:
    said = python("demos/chess_gray8.py", "e4")
    assert (said.returncode, said.stderr) == (0, "")
    assert "a closed tour from e4" in said.stdout


@pytest.mark.slow
def test_whoever_stops_reading_ends_a_demo_quietly() -> None:
    line = f"{sys.executable} demos/chess_gray8.py | head -n 1; exit ${{PIPESTATUS[0]}}"
    said = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert said.stderr == ""
    assert said.returncode in (0, 141)  # it may have ended before


@pytest.mark.slow
def test_no_square_is_one_sentence() -> None:
    said = python("demos/chess_gray8.py", "i9")
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.splitlines()[-1] == "chess_gray8.py: error: 'i9' is no square; a1 to h8 are"


def write_wav(path: Path, *, width: int = 2, seconds: float = 1.0) -> None:
    """A4 on the first of two channels, another tone on the second."""
    times = np.arange(round(8000 * seconds)) / 8000
    waves = [np.rint(30000 * np.sin(2 * np.pi * hz * times)) for hz in (440, 700)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(np.stack(waves, axis=1).astype(f"<i{width}").tobytes())


@pytest.mark.slow
def test_a_sound_of_ones_own_is_captioned(tmp_path: Path) -> None:
    write_wav(tmp_path / "a4.wav")
    said = python(ROOT / "demos" / "audio_caption_loop.py", "a4.wav", cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("a4.wav: 1.00 s, A4 (439.9 Hz); -3.8 dBFS, peak -0.8; even, ")
    assert "the container, bit for bit" in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "cannot be read as a WAV file"),
        ("text", "cannot be read as a WAV file"),
        ("empty", "cannot be read as a WAV file: it ends too early"),
        ("wide", "has samples of 32 bits; 16 are needed"),
        ("short", "has no sound of a quarter of a second or more"),
    ],
)
def test_a_sound_that_cannot_be_used_is_one_sentence(tmp_path: Path, kind: str, says: str) -> None:
    path = tmp_path / "sound.wav"
    if kind in ("text", "empty"):
        path.write_text("no sound at all, for sure" if kind == "text" else "")
    elif kind != "missing":
        write_wav(path, width=4 if kind == "wide" else 2, seconds=0.1 if kind == "short" else 1)
    said = python("demos/audio_caption_loop.py", path)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert said.stderr.startswith(f"audio_caption_loop: {path} {says}")


@pytest.mark.slow
def test_the_whole_cycle_goes_there_and_back(tmp_path: Path) -> None:
    said = python(ROOT / "scripts" / "ce1_fusion_demo.py", cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    for stage in ("MEASURE: ", "ACT: ", "RE-SEED: ", "AND BACK: "):
        assert f"\n{stage}" in f"\n{said.stdout}"
    assert said.stdout.splitlines()[-1].startswith("  ok  0 runs: ")


@pytest.mark.slow
def test_the_whole_cycle_cannot_be_recorded_inside_a_recording(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "ce1_fusion_demo.py"
    home = str(tmp_path / "home")
    said = python(ROOT / "scripts" / "run.py", script, cwd=tmp_path, REDOXA_HOME=home)
    assert said.returncode == 0
    assert said.stdout.endswith("start it alone.\n")
