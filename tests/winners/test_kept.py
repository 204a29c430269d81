"""Winners in the ledger: what is kept is found again, and what is damaged is ignored and said."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cid_store.encoding import Node
from cid_store.errors import UsageError
from redoxa import VM
from ring0.plan import Dtype, Plan, Step
from ring2_orchestrator.commands import main
from ring2_orchestrator.container import BytesSource, Segment
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.home import Home
from ring2_orchestrator.planner import FAST, library_gene
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.winners import Winner, Winners
from ring2_orchestrator.winners.kept import LEDGER_KIND, keep_winners, open_winners

PROFILE = replace(FAST, search_fuel=0)
DATA = (np.cumsum(np.random.default_rng(7).integers(-9, 10, 2400)) + 900).astype("<u2").tobytes()


@pytest.fixture
def genes(tools: Toolbox) -> list[Gene]:
    return [library_gene("repeats", tools.palette)]


@pytest.fixture
def winner(tools: Toolbox, genes: list[Gene]) -> Winner:
    """What a search wins with; here of one gene alone."""
    winners = Winners(tools, genes, PROFILE, in_parts=True)
    found = winners.propose(BytesSource(DATA), genes, PROFILE)[0]
    winners.settle(bytes(32), [Segment(len(DATA), found.plan)], found.gene, 2000)
    return winners.fresh[0]


def opened(home: Home, tools: Toolbox, genes: list[Gene]) -> tuple[list[Winner], str | None]:
    winners, ignored = open_winners(lambda: home.ledger, tools, genes, PROFILE, in_parts=True)
    return list(winners.known), ignored


def test_what_is_kept_is_found_the_newest_first(
    tmp_path: Path, tools: Toolbox, genes: list[Gene], winner: Winner
) -> None:
    newer = replace(winner, here=winner.here + 1)
    with Home(tmp_path / "home") as home:
        for each in (winner, newer):
            winners = Winners(tools, genes, PROFILE, in_parts=True)
            winners.fresh.append(each)
            assert keep_winners(lambda: home.ledger, winners) is None
            assert winners.fresh == []
        assert opened(home, tools, genes) == ([newer, winner], None)
        assert len(home.ledger) == 2


@pytest.mark.parametrize(
    "spoiled",
    [
        {"v": 2},
        {"more": 1},
        {"features": b"short"},
        {"here": 0},
        {"estimated": -5},
        {"container_bytes": None},
        {"of": "not a CID"},
        {"under": b""},
        {"plan": {"v": 1, "input": "u8", "steps": []}},
        {"plan": {"v": 1, "input": "u8", "steps": [[1, 2]]}},
        {"plan": []},
        {"gene": "x" * 10_000},
        None,
    ],
)
def test_an_entry_that_is_no_winner_is_ignored_and_counted(
    tmp_path: Path,
    tools: Toolbox,
    genes: list[Gene],
    winner: Winner,
    spoiled: dict[str, Node] | None,
) -> None:
    with Home(tmp_path / "home") as home:
        entry: Node = 7 if spoiled is None else {**winner.to_node(), **spoiled}
        entries = [winner.to_node(), entry]
        home.ledger.append(entries, kind=LEDGER_KIND, subject=PROFILE.name)
        known, ignored = opened(home, tools, genes)
    assert known == [winner]
    assert ignored == "earlier winners in the ledger were ignored, malformed or lost: 1"


def test_a_plan_that_does_not_fit_its_kernel_is_ignored(
    tmp_path: Path, tools: Toolbox, genes: list[Gene], winner: Winner
) -> None:
    step = winner.plan.steps[-1]
    wrong = Plan(Dtype.U8, (Step(step.kernel, (1, 2, 3, 4, 5), (0,), (Dtype.U8,)),))
    with Home(tmp_path / "home") as home:
        entry = replace(winner, plan=wrong).to_node()
        home.ledger.append([entry], kind=LEDGER_KIND, subject=PROFILE.name)
        assert opened(home, tools, genes)[0] == []


def test_a_lost_batch_is_counted_and_a_damaged_ledger_is_said(
    tmp_path: Path, tools: Toolbox, genes: list[Gene], winner: Winner
) -> None:
    with Home(tmp_path / "home") as home:
        home.ledger.append([winner.to_node()], kind=LEDGER_KIND, subject=PROFILE.name)
    for pack in (tmp_path / "home" / "store").glob("**/*.pack"):
        pack.write_bytes(pack.read_bytes()[:64])
    (tmp_path / "home" / "ledger" / "checkpoint").write_text("nonsense\n")
    with Home(tmp_path / "home") as home:
        known, ignored = opened(home, tools, genes)
    assert known == []
    assert ignored is not None
    assert ignored.startswith("what won before is not known: ")


def test_the_command_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.u16"
    path.write_bytes(DATA)
    words = ["--home", str(tmp_path / "home"), "pack", str(path), "-f", "-p", "fast"]
    words += ["--budget", "0", "--json", "--learned"]
    answers: list[dict[str, object]] = []
    for said in ("", "of 1 searches left out: 1 for these very bytes"):
        assert main(words) == 0
        told = capsys.readouterr()
        assert said in told.err
        answers.append(json.loads(told.out))
    first, again = answers
    assert first.pop("learned") == {"recalled": 0, "taken_over": 0, "searched": 1}
    assert again.pop("learned") == {"recalled": 1, "taken_over": 0, "searched": 0}
    assert first["plan"] == again["plan"]
    assert first["container_bytes"] == again["container_bytes"]


def test_nothing_is_learned_unless_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.u16"
    path.write_bytes(DATA)
    home = tmp_path / "home"
    words = ["--home", str(home), "pack", str(path), "-f", "--budget", "0", "--json"]
    assert main([*words, "-p", "fast"]) == 0
    assert json.loads(capsys.readouterr().out)["learned"] is None
    assert not home.exists()
    assert main(["pack", str(path), "-f", "--gene", "repeats", "--learned"]) == 2
    assert "leaves nothing to search for" in capsys.readouterr().err


def test_a_program_hears_what_was_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    with VM(tmp_path / "home") as vm:
        cid = vm.put(DATA)
        plan = vm.plan(cid, profile="fast", learned=True, tell=told.append)
        assert told == []
        assert vm.plan(cid, profile="fast", learned=True, tell=told.append) == plan
        assert told == ["of 1 searches left out: 1 for these very bytes"]
        with pytest.raises(UsageError, match="nothing to search for"):
            vm.plan(cid, vm.gene("repeats"), learned=True)
