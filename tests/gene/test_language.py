"""What genes mean: the plan each comes to, and that printing a plan loses nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring0.plan import Dtype, Plan, PlanBuilder
from ring2_orchestrator.gene import Gene, lower, print_plan
from ring2_orchestrator.toolbox import Toolbox
from tests.random_plans import plans


def plan_of(tools: Toolbox, text: str) -> Plan:
    return Gene.parse(text, tools.palette).plan()


def test_a_pipeline_is_its_steps_in_order(tools: Toolbox) -> None:
    plan = plan_of(tools, "input x: u16\nemit x |> delta(order=2) |> zigzag")
    delta, zigzag = tools.palette["delta"], tools.palette["zigzag"]
    builder = PlanBuilder(Dtype.U16)
    first = builder.add(delta.cid, (2, 1), [0], [Dtype.U16])
    builder.add(zigzag.cid, (), first, [Dtype.U16])
    assert plan == builder.build()


@pytest.mark.parametrize(
    "text",
    [
        "input x: u16 emit x |> delta |> zigzag",
        "# why\ninput x: u16 # what\nemit x\n  |> delta\n  |> zigzag # how\n",
        "input samples: u16\nd = samples |> delta\nemit d |> zigzag",
        "input x: u16\nemit zigzag(delta(x, order=1, lag=1))",
        "input x: u16\nemit x |> pass |> delta() |> bitcast(to=u16) |> zigzag",
        "input x: u16\r\nemit x |> delta |> zigzag\r\n",
    ],
)
def test_spelling_does_not_change_the_plan(tools: Toolbox, text: str) -> None:
    assert plan_of(tools, text).cid == plan_of(tools, "input x: u16 emit x|>delta|>zigzag").cid


def test_the_order_of_independent_statements_does_not_change_the_plan(tools: Toolbox) -> None:
    head = "input x: u16\nlow, high = byte_split(x)\n"
    one = plan_of(tools, head + "emit low |> rans0\nemit high |> delta")
    two = plan_of(tools, head + "h = high |> delta\nemit h, low |> rans0")
    assert one == two


def test_a_stage_of_one_input_applies_to_every_stream(tools: Toolbox) -> None:
    plan = plan_of(tools, "input x: u32\nemit x |> byte_split |> rans0")
    assert len(plan.steps) == 5
    assert len(plan.streams) == 4


def test_one_name_may_hold_all_streams(tools: Toolbox) -> None:
    one = plan_of(tools, "input x: u32\nplanes = x |> byte_split\nemit planes |> rans0")
    assert one == plan_of(tools, "input x: u32\nemit x |> byte_split |> rans0")


def test_every_stream_takes_its_own_alternative(tools: Toolbox) -> None:
    gene = Gene.parse("input x: u16\nemit x |> byte_split |> (rans0 | pass)", tools.palette)
    low, high = lower(gene.program, {}).choices
    plans = {lower(gene.program, {low.site: a, high.site: b}).plan for a in (0, 1) for b in (0, 1)}
    assert len(plans) == 4
    assert gene.is_open
    assert not gene.has_holes


def test_a_choice_inside_a_choice(tools: Toolbox) -> None:
    text = "input x: u8\nemit x |> (delta |> (zigzag | pass) | gray) |> rans0"
    gene = Gene.parse(text, tools.palette)
    outer, inner = lower(gene.program, {}).choices
    assert len(lower(gene.program, {outer.site: 1}).choices) == 1
    assert len(lower(gene.program, {inner.site: 1}).plan.steps) == 2


def test_a_hole_names_the_streams_where_it_stands(tools: Toolbox) -> None:
    gene = Gene.parse("input x: u16\na, b = byte_split(x)\nemit a |> rans0, b |> ?", tools.palette)
    lowered = lower(gene.program, {})
    assert lowered.holes == (2,)
    assert gene.has_holes


def test_alternatives_may_differ_in_streams_where_all_are_stored(tools: Toolbox) -> None:
    text = "input x: u32\nemit x |> (byte_split | bitcast(to=u8)) |> rans0"
    gene = Gene.parse(text, tools.palette)
    choice = lower(gene.program, {}).choices[0]
    assert len(lower(gene.program, {choice.site: 0}).plan.streams) == 4
    assert len(lower(gene.program, {choice.site: 1}).plan.streams) == 1


def test_a_bare_input_is_a_plan_without_steps(tools: Toolbox) -> None:
    assert plan_of(tools, "input x: f64\nemit x") == Plan(Dtype.F64, ())


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_printed_plan_checks_to_itself(tools: Toolbox, data: st.DataObject) -> None:
    plan = data.draw(plans(tools))
    assert Gene.parse(print_plan(plan, tools.manifests), tools.palette).plan() == plan
