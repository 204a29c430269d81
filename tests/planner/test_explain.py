"""`redoxa explain`: every stored byte of a plan is beneath exactly one branch."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from ring2_orchestrator.commands import main
from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.explaining import Branch, drawn, explain
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import pack
from ring2_orchestrator.toolbox import Toolbox

GENE = "input x: u16\nlow, high = x |> delta |> zigzag |> byte_split\nemit low, high |> rans0\n"


def packed(tools: Toolbox) -> bytes:
    steps = np.random.default_rng(5).integers(-300, 300, 4000)
    data = np.cumsum(steps).astype("<u2").tobytes()
    out = io.BytesIO()
    pack(BytesSource(data), out, [Gene.parse(GENE, tools.palette)], tools)
    return out.getvalue()


def test_a_branch_has_the_bytes_of_its_branches(tools: Toolbox) -> None:
    container = Container(BytesSource(packed(tools)), tools.kernels)
    (plan,) = explain(container, tools.manifests)
    (extent,) = container.extents()
    assert extent.streams is not None
    assert plan.root.stored_bytes == sum(extent.streams)
    assert plan.original_bytes == 8000

    def check(branch: Branch) -> None:
        if branch.branches:
            assert branch.stored_bytes == sum(each.stored_bytes for each in branch.branches)
        for each in branch.branches:
            check(each)

    check(plan.root)
    lines = [text for text, _ in drawn(plan.root)]
    assert lines[:4] == ["original", "└─ delta", "   └─ zigzag", "      └─ byte_split"]
    assert lines[4:] == ["         ├─ plane 0", "         └─ plane 1", "            └─ rans0"]


def test_the_command_draws_and_tells(
    tools: Toolbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "series.rdx"
    path.write_bytes(packed(tools))
    assert main(["explain", str(path)]) == 0
    assert "└─ byte_split" in capsys.readouterr().out
    assert main(["explain", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plans"][0]["tree"]["bytes"] + told["rest_bytes"] == told["container_bytes"]
