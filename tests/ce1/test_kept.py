"""What was learned is a cache: it follows the ledger, and any damage to it only costs time."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cid_store.local import LocalStore
from ring2_orchestrator.ce1.entries import happening_of, is_own, name_of
from ring2_orchestrator.ce1.kept import FILE, Learned, caught_up
from ring2_orchestrator.clock import SystemClock
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Ledger


class World:
    """A home whose ledger is filled by hand."""

    def __init__(self, path: Path) -> None:
        self.home = Home(path)
        self.ledger = self.home.ledger

    def run(self, verdict: str = "ran", *, subject: str = "s", times: int = 1) -> None:
        for _ in range(times):
            code = int(verdict == "failed")
            entry = {"verdict": verdict, "exit_code": code, "wall_s": 1.5, "cpu_s": 1.0}
            self.ledger.append([entry], kind="run", subject=subject)

    def learned(self, most: int = 1000) -> Learned:
        return caught_up(self.home.path, self.ledger, most=most)

    def said(self, subject: str = "s") -> tuple[int, int, float]:
        learned = self.learned()
        mind = learned.mind(subject)
        return learned.learner.runs, mind.told.forecasts, mind.told.confidence

    @property
    def file(self) -> Path:
        return self.home.path / FILE


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.home.close()


def test_nothing_ran(world: World) -> None:
    assert world.said() == (0, 0, 0.5)


def test_it_follows_the_ledger_run_by_run_and_learns_none_twice(world: World) -> None:
    for number in range(1, 6):
        world.run()
        assert world.said()[:2] == (number, number)
        assert world.said()[:2] == (number, number)
    world.ledger.append([{"any": 1}], kind="jit", subject="s")
    assert world.said()[:2] == (5, 5)


def test_learning_at_once_or_one_by_one_is_the_same(world: World, tmp_path: Path) -> None:
    story = ["ran", "failed", "reused", "ran", "drifted", "ran"]
    other = World(tmp_path / "other")
    for verdict in story:
        world.run(verdict)
        world.learned()
        other.run(verdict)
    a, b = (each.learned().mind("s") for each in (world, other))
    assert (a.prior, a.told) == (b.prior, b.told)
    other.home.close()


@pytest.mark.parametrize("damage", ["none", "empty", "text", "cut", "flipped", "folder"])
def test_a_damaged_cache_is_learned_again(world: World, damage: str) -> None:
    world.run(times=7)
    before = world.said()
    data = bytearray(world.file.read_bytes())
    match damage:
        case "none":
            world.file.unlink()
        case "empty":
            world.file.write_bytes(b"")
        case "text":
            world.file.write_bytes(b"not a database at all\n" * 100)
        case "cut":
            world.file.write_bytes(bytes(data[: len(data) // 2]))
        case "flipped":
            for at in range(4096, len(data), 97):
                data[at] ^= 0x55
            world.file.write_bytes(bytes(data))
        case _:
            world.file.unlink()
            world.file.mkdir()
    assert world.said() == before
    assert world.said() == before


def test_one_changed_row_is_learned_again_with_all_others(world: World) -> None:
    world.run(times=4)
    world.run(subject="other", times=3)
    before, other = world.said(), world.said("other")
    change = "UPDATE learned SET sealed = zeroblob(64) WHERE key = ?"
    for asked_first in ("s", "other"):
        with sqlite3.connect(world.file) as file:
            file.execute(change, (b"of s",))
        file.close()
        world.said(asked_first)
        assert (world.said(), world.said("other")) == (before, other)


def test_a_changed_row_that_is_met_while_learning_loses_nothing(world: World) -> None:
    world.run(subject="other", times=3)
    world.run(times=4)
    world.ledger.append([{"any": 1}], kind="run", subject="s")  # no run
    world.learned()
    with sqlite3.connect(world.file) as file:
        file.execute("UPDATE learned SET sealed = zeroblob(64) WHERE key = ?", (b"of s",))
    file.close()
    world.run()
    for _ in range(2):
        learned = world.learned()
        assert (learned.whole.totals.counts.total, learned.whole.passed_over) == (8, 1)
        assert world.said()[:2] == (8, 5)
        assert world.said("other")[:2] == (8, 3)


def test_damage_anywhere_in_the_file_changes_no_figure(world: World) -> None:
    for number in range(12):
        world.run(subject=f"s{number}", times=2)
    asked = ("s0", "s5", "s11")
    before = [world.said(subject) for subject in asked]
    data = world.file.read_bytes()
    for at in range(0, len(data), 1531):
        damaged = bytearray(data)
        damaged[at : at + 16] = bytes(byte ^ 0x5A for byte in damaged[at : at + 16])
        world.file.write_bytes(damaged)
        assert [world.said(subject) for subject in asked] == before, f"byte {at}"


def test_a_cache_of_another_ledger_is_thrown_away(world: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    other.run("failed", times=30)
    other.learned()
    world.run(times=40)
    world.file.write_bytes(other.file.read_bytes())
    assert world.said()[:2] == (40, 40)
    other.home.close()


def test_a_ledger_that_was_set_back_is_learned_anew(world: World, tmp_path: Path) -> None:
    world.run(times=9)
    world.learned()
    shorter = World(tmp_path / "shorter")
    shorter.run(times=4)
    shorter.file.write_bytes(world.file.read_bytes())
    assert shorter.said()[:2] == (4, 4)
    shorter.home.close()


def test_of_many_only_the_newest_are_learned_at_once(world: World) -> None:
    world.run("failed", times=20)
    world.run("ran", times=5)
    mind = world.learned(most=5).mind("s")
    assert mind.told.forecasts == 5
    assert mind.subject.failure.hits == 0


def test_what_is_no_run_is_passed_over(world: World) -> None:
    for entry in ({}, {"verdict": "odd", "exit_code": 0, "wall_s": 1.0}, {"verdict": "ran"}):
        world.ledger.append([entry], kind="run", subject="s")
    world.run()
    assert world.said()[:2] == (1, 1)


def test_a_clock_set_back_changes_nothing(tmp_path: Path) -> None:
    class Backwards(SystemClock):
        now = 10**18

        def now_ns(self) -> int:
            self.now -= 10**15
            return self.now

    with LocalStore(tmp_path / "store") as store:
        ledger = Ledger(tmp_path / "ledger", store=store, clock=Backwards())
        for _ in range(5):
            entry = {"verdict": "ran", "exit_code": 0, "wall_s": 1.5}
            ledger.append([entry], kind="run", subject="s")
        assert caught_up(tmp_path, ledger).mind("s").told.forecasts == 5
        ledger.close()


def test_what_a_command_is_about() -> None:
    assert name_of(["python", "-m", "pytest", "tests/test_a.py", "-q"]) == "tests/test_a.py"
    assert name_of(["make", "-j2"]) == "make"
    assert name_of([]) == ""
    assert is_own("tests/test_a.py", ["/srv/x/tests/test_a.py"])
    assert not is_own("a.py", ["data.py"])


def test_a_run_of_the_ledger_as_learning_sees_it(world: World) -> None:
    entry = {
        "verdict": "failed",
        "exit_code": 3,
        "wall_s": 2.0,
        "cpu_s": float("inf"),
        "max_rss_bytes": 5,
        "changed": ["src/a.py"],
        "command": [b"python", b"src/a.py"],
        "load": 1.5,
    }
    world.ledger.append([entry], kind="run", subject="s")
    found = happening_of(next(iter(world.ledger.batches("run"))))
    assert found is not None
    before, after = found
    assert (before.name, before.paths, before.own_changed) == ("src/a.py", ("src/a.py",), True)
    assert (before.changed, before.load) == (True, 1.5)
    assert (after.failed, after.executed, after.cpu_s, after.max_rss_bytes) == (True, True, None, 5)
