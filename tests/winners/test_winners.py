"""A second search of data of one kind takes over what won, says so, and loses no byte."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid
from ring0.plan import Plan
from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.packing import Packed, pack
from ring2_orchestrator.planner import FAST, library_gene
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.winners import MalformedWinnerError, Winner, Winners, distance, features_of
from ring2_orchestrator.winners.features import COUNT

PROFILE = replace(FAST, search_fuel=0)


def walk(seed: int, count: int = 3000) -> bytes:
    """Numbers that change slowly: data of one kind, whatever the seed."""
    steps = np.random.default_rng(seed).integers(-20, 21, count)
    return (np.cumsum(steps) + 9000).astype("<u2").tobytes()


def noise(seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(6000)


@pytest.fixture(scope="module")
def genes(tools: Toolbox) -> list[Gene]:
    return [library_gene(name, tools.palette) for name in ("repeats", "series_u16", "byte_series")]


@pytest.fixture
def winners(tools: Toolbox, genes: list[Gene]) -> Winners:
    return Winners(tools, genes, PROFILE, in_parts=True)


def packed(
    data: bytes, genes: list[Gene], tools: Toolbox, winners: Winners | None = None
) -> Packed:
    """What packing comes to, once it gave its bytes back."""
    out = io.BytesIO()
    made = pack(BytesSource(data), out, genes, tools, profile=PROFILE, winners=winners)
    container = Container(BytesSource(out.getvalue()), tools.kernels)
    assert b"".join(container.chunks(tools.executor)) == data
    assert len(out.getvalue()) == made.container_bytes
    return made


def counts(winners: Winners) -> tuple[int, int, int]:
    return winners.recalled, winners.taken_over, winners.searched


def test_the_same_bytes_get_the_same_plan_without_a_search(
    tools: Toolbox, genes: list[Gene], winners: Winners
) -> None:
    first = packed(walk(1), genes, tools, winners)
    again = packed(walk(1), genes, tools, winners)
    assert (again.plan, again.container_bytes) == (first.plan, first.container_bytes)
    assert counts(winners) == (1, 0, 1)
    assert len(winners.fresh) == 1
    assert winners.left_out == "of 2 searches left out: 1 for these very bytes"


def test_data_of_the_same_kind_takes_over_what_won(
    tools: Toolbox, genes: list[Gene], winners: Winners
) -> None:
    packed(walk(1), genes, tools, winners)
    second = packed(walk(2), genes, tools, winners)
    assert counts(winners) == (0, 1, 1)
    assert len(winners.fresh) == 1, "what was taken over makes no winner"
    assert second.container_bytes * 16 <= packed(walk(2), genes, tools).container_bytes * 17


def test_data_of_another_kind_is_searched(
    tools: Toolbox, genes: list[Gene], winners: Winners
) -> None:
    packed(walk(1), genes, tools, winners)
    other = packed(noise(1), genes, tools, winners)
    assert counts(winners) == (0, 0, 2)
    assert winners.left_out is None
    assert other.container_bytes == packed(noise(1), genes, tools).container_bytes


def test_the_first_search_finds_what_it_finds_without_winners(
    tools: Toolbox, genes: list[Gene], winners: Winners
) -> None:
    assert packed(walk(3), genes, tools, winners).plan == packed(walk(3), genes, tools).plan


def test_what_won_under_other_terms_is_no_winner(
    tools: Toolbox, genes: list[Gene], winners: Winners
) -> None:
    packed(walk(1), genes, tools, winners)
    for other in (
        Winners(tools, genes[:2], PROFILE, in_parts=True),
        Winners(tools, genes, replace(PROFILE, search_fuel=1), in_parts=True),
        Winners(tools, genes, PROFILE, in_parts=False),
    ):
        other.know(winners.fresh)
        assert other.recall(BytesSource(walk(1)), Cid.of(walk(1)).digest) is None


@pytest.mark.parametrize("lie", ["size", "plan", "both"])
def test_a_winner_that_lies_costs_nothing_but_time(
    tools: Toolbox, genes: list[Gene], winners: Winners, lie: str
) -> None:
    honest = packed(walk(1), genes, tools, winners)
    (winner,) = winners.fresh
    if lie in ("plan", "both"):
        winner = replace(winner, plan=library_gene("repeats", tools.palette).plan())
    if lie in ("size", "both"):
        winner = replace(winner, container_bytes=60)
    misled = Winners(tools, genes, PROFILE, in_parts=True)
    misled.know([replace(winner, here=winner.here // 8)])
    made = packed(walk(1), genes, tools, misled)
    assert made.container_bytes == honest.container_bytes
    assert counts(misled) == (0, 0, 1)


def test_the_same_winners_give_the_same_plan(
    tools: Toolbox, genes: list[Gene], winners: Winners
) -> None:
    for seed in (1, 2, 3):
        packed(walk(seed) if seed < 3 else noise(seed), genes, tools, winners)
    plans: list[Plan | None] = []
    for _ in range(2):
        told = Winners(tools, genes, PROFILE, in_parts=True)
        told.know(reversed(winners.fresh))
        plans.append(packed(walk(9), genes, tools, told).plan)
    assert plans[0] == plans[1]


@given(st.binary(max_size=300))
def test_features_are_of_any_bytes(data: bytes) -> None:
    found = features_of(data)
    assert len(found.numbers) == COUNT
    assert found.estimated > 0
    assert distance(found.numbers, features_of(data).numbers) == 0


def test_features_tell_kinds_apart() -> None:
    one, like, other = (features_of(each).numbers for each in (walk(1), walk(2), noise(1)))
    assert distance(one, like) < distance(one, other) // 4


def test_a_winner_is_read_as_it_was_written(
    tools: Toolbox, genes: list[Gene], winners: Winners
) -> None:
    packed(walk(1), genes, tools, winners)
    (winner,) = winners.fresh
    node = winner.to_node()
    assert Winner.from_node(node, tools.manifests) == winner
    with pytest.raises(MalformedWinnerError):
        Winner.from_node(node, {})
