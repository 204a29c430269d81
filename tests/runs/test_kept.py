"""A kept trace is what docs/formats/trace.md says, and another one answers nobody."""

from typing import cast

import pytest

from cid_store.encoding import Node, NodeLike
from cid_store.errors import MalformedNodeError
from cid_store.memory import MemoryStore
from cid_store.nodes import get_node, put_node
from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.home import Home
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.policy import Policy
from ring2_orchestrator.runs.answers import network_changes
from ring2_orchestrator.runs.kept import load_kept
from tests.runs.conftest import Person

ORIGIN: dict[str, NodeLike] = {"root": b"/a", "key": "k", "trace": bytes(32)}


@pytest.mark.parametrize(
    "change",
    [
        {"v": 3},
        {"v": None},
        {"type": "other"},
        {"wall_ns": "1"},
        {"v": 2, "origin": None},
        {"v": 2, "origin": {**ORIGIN, "root": "/a"}},
        {"v": 2, "begun_ns": "1"},
    ],
)
def test_what_is_none_is_no_answer(person: Person, change: dict[str, NodeLike]) -> None:
    result = person.run("echo a")
    with Home(person.home_path) as home:
        ((name, entry),) = home.store.roots(f"memo/{result.subject}/")
        node = cast("dict[str, Node]", get_node(home.store, entry))
        assert set(node) == {"type", "v", "trace", "wall_ns", "cpu_ns", "max_rss_bytes"}
        other = put_node(home.store, {**node, **change})
        with pytest.raises(MalformedNodeError):
            load_kept(home.store, name, other)
        home.store.set_root(name, other)
    again = person.run("echo a")
    assert (again.verdict, again.exit_code) == ("ran", 0)


def test_answers_that_cannot_be_read_are_a_reason_to_run() -> None:
    policy, store, clock = Policy("record", Hosts([])), MemoryStore(), ManualClock()
    broken = put_node(store, {"type": "exchanges", "v": 1, "exchanges": [{"status": 1}]})
    (change,) = network_changes(policy, store, clock, broken, 0)
    assert change.now == "lost, or not readable"
    (change,) = network_changes(policy, MemoryStore(), clock, broken, 0)
    assert change.now == "lost, or not readable"


def test_an_origin_is_had_again(person: Person) -> None:
    result = person.run("echo a")
    with Home(person.home_path) as home:
        ((name, entry),) = home.store.roots(f"memo/{result.subject}/")
        node = cast("dict[str, Node]", get_node(home.store, entry))
        other = put_node(home.store, {**node, "v": 2, "origin": ORIGIN})
        kept = load_kept(home.store, name, other)
    assert kept.origin is not None
    assert kept.origin._asdict() == ORIGIN
