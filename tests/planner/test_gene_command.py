"""`redoxa gene search` and `redoxa gene run`, as a person uses them one after the other."""

import json
from pathlib import Path

import numpy as np
import pytest

from ring2_orchestrator.commands import main


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    steps = np.random.default_rng(5).integers(-20, 21, 1500)
    path = tmp_path / "samples.i16"
    path.write_bytes((np.cumsum(steps) + 9000).astype("<u2").tobytes())
    return path


@pytest.mark.slow
def test_what_a_search_prints_is_a_gene_that_runs(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gene", "search", str(samples), "--profile", "fast"]) == 0
    gene = tmp_path / "mine.gene"
    gene.write_text(capsys.readouterr().out)
    assert main(["gene", "check", str(gene)]) == 0
    capsys.readouterr()
    assert main(["gene", "run", str(gene), str(samples), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plans"][0]["tree"]["bytes"] < told["container_bytes"] < told["original_bytes"]


def test_a_gene_that_does_not_fit_is_said_to(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples.write_bytes(bytes(range(7)))
    assert main(["gene", "run", "audio_mono", str(samples)]) == 1
    assert "does not make them smaller" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"", b"1", b"8 bytes!", np.random.default_rng(4).bytes(2000)])
def test_there_is_no_gene_for_what_none_makes_smaller(
    samples: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    samples.write_bytes(data)
    assert main(["gene", "search", str(samples)]) == 1
    assert "nothing is expected" in capsys.readouterr().err


def test_what_is_no_text_is_refused_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """However long it is: of a device that never ends only a gene's length is read."""
    assert main(["gene", "check", "/dev/zero"]) == 1
    assert capsys.readouterr().err == (
        "redoxa: /dev/zero:1:1: this is no text: it holds a byte 0; name a .gene file\n"
    )
