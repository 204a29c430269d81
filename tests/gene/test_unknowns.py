"""Parameters left to the planner: one value for a name, in range, in lanes of the input."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring2_orchestrator.gene import Gene, GeneError, lower
from ring2_orchestrator.gene.lowering import Lowered
from ring2_orchestrator.planner.resolve import MAX_COMBINATIONS, explored, resolutions
from ring2_orchestrator.toolbox import Toolbox

GRID = "input x: u16\nemit x |> predict2d(row=?) |> residual(row=?)\n"
# Rows are told in lanes of what comes in, and taken by a kernel of bytes.
AS_BYTES = "input x: u32\nemit x |> bitcast(to=u8) |> record_mix(record=4, row=?)\n"
OFFERED = st.lists(st.integers(0, 1 << 20), max_size=6, unique=True).map(tuple)


def parsed(tools: Toolbox, text: str) -> Gene:
    return Gene.parse(text, tools.palette)


def values(tools: Toolbox, lowered: Lowered, name: str) -> list[int]:
    """What every step of a plan has for its parameter of that name."""
    found: list[int] = []
    for step in lowered.plan.steps:
        if step.kernel is None:
            continue
        parameters = tools.manifests[step.kernel].parameters
        found += [step.parameters[at] for at, each in enumerate(parameters) if each.name == name]
    return found


def test_an_unknown_is_named_and_leaves_a_plan_with_defaults(tools: Toolbox) -> None:
    gene = parsed(tools, GRID)
    assert gene.unknowns == ("row",)
    assert gene.is_open
    assert not gene.has_holes
    defaults = parsed(tools, "input x: u16\nemit x |> predict2d |> residual\n")
    assert gene.plan() == defaults.plan()


@given(rows=OFFERED)
@settings(max_examples=30, deadline=None)
def test_every_number_that_is_offered_is_one_plan(tools: Toolbox, rows: tuple[int, ...]) -> None:
    """All unknowns of a name in a gene have one value: rows are rows."""
    gene = parsed(tools, GRID)
    plans = resolutions(gene, {"row": rows})
    assert len(plans) == max(len(rows), 1)
    for row, lowered in zip(rows, plans, strict=False):
        assert lowered.unknowns == ("row",)
        assert set(values(tools, lowered, "row")) == {row}


@given(rows=OFFERED)
@settings(max_examples=30, deadline=None)
def test_distances_are_taken_in_the_lanes_of_each_kernel(
    tools: Toolbox, rows: tuple[int, ...]
) -> None:
    gene = parsed(tools, AS_BYTES)
    (kernel,) = {step.kernel for step in gene.plan().steps if step.kernel is not None}
    parameter = next(each for each in tools.manifests[kernel].parameters if each.name == "row")
    for row, lowered in zip(rows, resolutions(gene, {"row": rows}), strict=False):
        fits = parameter.min <= 4 * row <= parameter.max
        assert values(tools, lowered, "row") == [4 * row if fits else parameter.default]


@given(value=st.integers(-(1 << 40), 1 << 40))
def test_what_is_out_of_range_leaves_the_default(tools: Toolbox, value: int) -> None:
    gene = parsed(tools, "input x: u8\nemit x |> colour_lift(channels=?)\n")
    kernel = gene.plan().steps[0].kernel
    assert kernel is not None
    parameter = next(p for p in tools.manifests[kernel].parameters if p.name == "channels")
    lowered = lower(gene.program, {}, {"channels": (value,)})
    fits = parameter.min <= value <= parameter.max
    assert values(tools, lowered, "channels") == [value if fits else parameter.default]


def test_a_hole_for_a_parameter_that_is_none_shows_its_place(tools: Toolbox) -> None:
    with pytest.raises(GeneError, match="rwo"):
        parsed(tools, "input x: u16\nemit x |> predict2d(rwo=?)\n")


PICTURE = (
    "input x: u8\nemit x |> (colour_lift | colour_lift(mode=3)) |> "
    "(predict2d(row=?, channels=3) | predict2d(row=?, channels=3, mode=0)) |> "
    "residual(row=?, channels=3)\n"
)


def test_of_many_combinations_each_choice_keeps_its_alternatives(tools: Toolbox) -> None:
    rows = tuple(range(100, 100 + MAX_COMBINATIONS // 2))
    gene = parsed(tools, PICTURE)
    plans = resolutions(gene, {"row": rows})
    assert len(plans) <= MAX_COMBINATIONS
    assert {row for each in plans for row in values(tools, each, "row")} == {*rows}
    assert len({each.plan for each in plans if 100 in values(tools, each, "row")}) > 2


@given(wanted=st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 16)))
@settings(max_examples=20, deadline=None)
def test_the_best_of_many_combinations_is_found_where_choices_are_independent(
    tools: Toolbox, wanted: tuple[int, int, int]
) -> None:
    rows = tuple(range(100, 117))
    gene = parsed(tools, PICTURE)
    sites = [each.site for each in lower(gene.program, {}, {"row": rows}).choices]
    target = lower(gene.program, dict(zip(sites, wanted, strict=True)), {"row": rows}).plan

    def cost(lowered: Lowered) -> tuple[int, bytes]:
        pairs = zip(lowered.plan.steps, target.steps, strict=True)
        return sum(one != other for one, other in pairs), lowered.plan.cid.digest

    found = explored(gene, cost, {"row": rows})
    assert min(found, key=cost).plan == target
    assert len({each.plan for each in found}) <= 2 * (len(rows) + 4), "one choice after another"


def test_what_is_offered_is_heard_however_often_a_gene_is_lowered(tools: Toolbox) -> None:
    """Also where only a later alternative has an unknown."""
    gene = parsed(tools, "input x: u16\nemit x |> (zigzag | predict2d(row=?)) |> residual\n")
    (choice,) = gene.choices
    for row in (5, 9):
        assert gene.lowered({choice.site: 0}, {"row": (row,)}).unknowns == ()
        lowered = gene.lowered({choice.site: 1}, {"row": (row,)})
        assert values(tools, lowered, "row")[0] == row
