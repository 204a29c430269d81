"""The shipped genes are tests at once: each parses, fits, and gives its data back."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cid_store.errors import InputError
from ring0.execution import StepFailedError
from ring2_orchestrator.gene import Gene, GeneError, print_plan, read_gene
from ring2_orchestrator.planner import find_gene, library, library_gene, library_names
from ring2_orchestrator.planner.resolve import resolutions
from ring2_orchestrator.toolbox import Toolbox


@pytest.mark.parametrize("name", library_names())
def test_a_library_gene_is_sound(tools: Toolbox, name: str) -> None:
    gene = library_gene(name, tools.palette)
    assert gene.summary, "its first line is a comment that says what it is for"
    printed = print_plan(gene.plan(), tools.manifests)
    assert Gene.parse(printed, tools.palette).plan() == gene.plan()


@pytest.mark.parametrize("name", library_names())
@given(data=st.binary(max_size=400))
@settings(max_examples=12, deadline=None)
def test_a_library_gene_gives_its_data_back(tools: Toolbox, name: str, data: bytes) -> None:
    gene = library_gene(name, tools.palette)
    whole = data[: len(data) // gene.program.dtype.width * gene.program.dtype.width]
    for lowered in resolutions(gene)[:8]:
        try:
            streams = tools.executor.forward(lowered.plan, whole).outputs
        except StepFailedError:
            continue  # a refusal is an answer; wrong bytes would not be
        assert tools.executor.inverse(lowered.plan, streams).outputs == [whole]


def test_no_two_library_genes_are_the_same(tools: Toolbox) -> None:
    plans = [frozenset(each.plan for each in resolutions(g)) for g in library(tools.palette)]
    assert len(set(plans)) == len(plans)


def test_a_misspelt_library_gene_is_answered_with_a_suggestion(tools: Toolbox) -> None:
    with pytest.raises(InputError, match="no gene named 'audio_mno'; did you mean 'audio_mono'"):
        find_gene("audio_mno", tools.palette)


def test_a_gene_file_is_found_by_its_path(tools: Toolbox, tmp_path: Path) -> None:

    path = tmp_path / "mine.gene"
    path.write_text("input x: u8\nemit x |> rans0\n")
    assert find_gene(str(path), tools.palette).plan().steps


def test_a_gene_that_is_not_text_is_one_sentence(tools: Toolbox, tmp_path: Path) -> None:

    path = tmp_path / "bad.gene"
    path.write_bytes(b"input x: u8\n\xff\xfe")
    with pytest.raises(GeneError, match="this byte is not UTF-8 text"):
        read_gene(path, tools.palette)
    with pytest.raises(InputError, match="cannot be read"):
        read_gene(path.parent, tools.palette)
