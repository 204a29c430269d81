"""The decoder in JavaScript tells of a container's plans what `redoxa explain` tells."""

import json
import subprocess
from pathlib import Path

import pytest

from ring2_orchestrator.commands import main
from tests.container.conftest import node

HERE = Path(__file__).parent
SAMPLES = {
    "coffee.rgb8": "picture_rgb", "instrument.i16": "audio_mono", "mercury.f64": "floats_f64",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_the_trees_are_those_of_explain(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.rdx"
    words = ["pack", "-q", str(HERE / "samples" / name), "-g", SAMPLES[name], "-o", str(out)]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["explain", str(out), "--json"]) == 0
    plans = json.loads(capsys.readouterr().out)["plans"]
    words = [node(), str(HERE / "trees.mjs"), str(out)]
    said = subprocess.run(words, capture_output=True, check=True, timeout=60).stdout
    assert plans
    assert [(tree["originalBytes"], tree["root"]) for tree in json.loads(said)] == [
        (plan["original_bytes"], plan["tree"]) for plan in plans
    ]
