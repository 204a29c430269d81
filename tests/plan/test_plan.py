"""A plan has one form, one order and one name; anything else is refused."""

import copy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid
from cid_store.encoding import Node, encode
from ring0.plan import Dtype, MalformedPlanError, Plan, PlanBuilder, Step

A, B = Cid.of(b"kernel a"), Cid.of(b"kernel b")
U8, U16 = Dtype.U8, Dtype.U16


def split_and_code() -> Plan:
    builder = PlanBuilder(U16)
    low, high = builder.add(A, (), [0], [U8, U8])
    builder.add(B, (3,), [low], [U8])
    builder.add(B, (4,), [high], [U8])
    return builder.build()


def test_a_plan_comes_back_from_its_bytes() -> None:
    plan = split_and_code()
    assert Plan.from_bytes(plan.to_bytes()) == plan
    assert plan.streams == (3, 4)
    assert plan.values == (U16, U8, U8, U8, U8)
    assert plan.kernels == tuple(sorted((A, B)))


def test_a_plan_is_handed_to_another_process_without_what_holds_here_alone() -> None:
    plan = split_and_code()
    assert hash(plan) == hash(split_and_code())
    copied = copy.copy(plan)
    assert copied == plan
    assert not {"_hash"} & vars(copied).keys(), "hashes differ from process to process"


def test_steps_added_in_another_order_are_the_same_plan() -> None:
    builder = PlanBuilder(U16)
    low, high = builder.add(A, (), [0], [U8, U8])
    builder.add(B, (4,), [high], [U8])
    builder.add(B, (3,), [low], [U8])
    assert builder.build() == split_and_code()


def test_a_step_that_joins_stands_after_its_last_input() -> None:
    builder = PlanBuilder(U16)
    low, high = builder.add(A, (), [0], [U8, U8])
    late = builder.add(B, (), [low], [U8])[0]
    builder.add(A, (), [high, late], [U16])
    plan = builder.build()
    assert [step.inputs for step in plan.steps] == [(0,), (1,), (2, 3)]
    assert plan.streams == (4,)


@given(st.data())
def test_any_build_order_gives_one_plan(data: st.DataObject) -> None:
    # A binary tree of splits, grown at leaves in any order.
    first, second = PlanBuilder(U8), PlanBuilder(U8)
    leaves = [0]
    for _ in range(data.draw(st.integers(1, 6))):
        handle = leaves.pop(data.draw(st.integers(0, len(leaves) - 1)))
        leaves += first.add(A, (), [handle], [U8, U8])
    # Replay the same tree, but add the steps breadth first.
    tree = _tree(first)
    waiting = [(0, 0)]
    while waiting:
        original, handle = waiting.pop(0)
        if original in tree:
            made = second.add(A, (), [handle], [U8, U8])
            waiting += list(zip(tree[original], made, strict=True))
    assert first.build() == second.build()


def _tree(builder: PlanBuilder) -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    made = 1
    for step in builder._steps:
        tree[step.inputs[0]] = list(range(made, made + len(step.outputs)))
        made += len(step.outputs)
    return tree


def test_a_value_used_twice_is_refused() -> None:
    builder = PlanBuilder(U8)
    builder.add(A, (), [0], [U8])
    builder.add(B, (), [0], [U8])
    with pytest.raises(MalformedPlanError, match="at most once"):
        builder.build()


MALFORMED: list[Callable[[], Plan]] = [
    lambda: Plan(U8, (Step(A, (), (1,), (U8,)),)),
    lambda: Plan(U8, (Step(A, (), (0, 0), (U8,)),)),
    lambda: Plan(U8, (Step(A, (), (), (U8,)),)),
    lambda: Plan(U8, (Step(A, (), (0,), ()),)),
    lambda: Plan(U8, (Step(A, (1 << 64,), (0,), (U8,)),)),
    lambda: Plan(U8, (Step(A, (0,) * 65, (0,), (U8,)),)),
    lambda: Plan(U8, (Step(None, (), (0,), (U16,)),)),
    lambda: Plan(U8, (Step(None, (), (0,), (U8,)),)),
    lambda: Plan(U8, (Step(None, (1,), (0,), (U8,)),)),
    lambda: Plan(U8, (Step(A, (), (0,), (U8, U8)), *(Step(B, (), (at,), (U8,)) for at in (2, 1)))),
    lambda: Plan(U8, tuple(Step(A, (), (at,), (U8,)) for at in range(1025))),
    lambda: Plan(U8, (Step(A, (), (0,), (U8,) * 5000),)),
]


@pytest.mark.parametrize("make", MALFORMED)
def test_what_is_not_a_plan_is_refused(make: Callable[[], Plan]) -> None:
    with pytest.raises(MalformedPlanError):
        make()


STEP: Node = [A, [], [0], ["u8"]]
LONG: list[Node] = [STEP] * 1025
NODES: list[Node] = [
    None,
    {},
    {"v": 2, "input": "u8", "steps": []},
    {"v": 1, "input": "u9", "steps": []},
    {"v": 1, "input": "u8", "steps": [], "more": 1},
    {"v": 1, "input": "u8", "steps": [[]]},
    {"v": 1, "input": "u8", "steps": [["delta", [], [0], ["u8"]]]},
    {"v": 1, "input": "u8", "steps": [[A, [True], [0], ["u8"]]]},
    {"v": 1, "input": "u8", "steps": [[A, ["1"], [0], ["u8"]]]},
    {"v": 1, "input": "u8", "steps": [[A, [], [0], [8]]]},
    {"v": 1, "input": "u8", "steps": [[A, [], [-1], ["u8"]]]},
    {"v": 1, "input": "u8", "steps": LONG},
]


@pytest.mark.parametrize("node", NODES)
def test_a_node_that_is_not_a_plan_is_refused(node: Node) -> None:
    with pytest.raises(MalformedPlanError):
        Plan.from_bytes(encode(node))
