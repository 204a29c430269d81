"""A run is named by the beginning of its id or by its place; whatever names none is refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.errors import InputError
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger import Draft, NoSuchEntryError
from ring2_orchestrator.runs.errors import AmbiguousRunError, NoSuchRunError
from ring2_orchestrator.runs.past import LostRun, Run, runs, trace_of
from ring2_orchestrator.runs.which import find_run
from tests.runs.conftest import Person


def found(person: Person, text: str) -> Run:
    with Home(person.home_path) as home:
        return find_run(home, text)


def refused(person: Person, text: str, error: type[Exception] = NoSuchRunError) -> str:
    with pytest.raises(error) as caught:
        found(person, text)
    return str(caught.value)


def test_places_and_ids_name_the_same_runs(person: Person) -> None:
    seqs = [person.run(f"echo {number}").seq for number in range(3)]
    assert [found(person, text).seq for text in ("@", "@~0", "@~1", "@~2")] == [
        seqs[2], seqs[2], seqs[1], seqs[0],
    ]  # fmt: skip
    for seq in seqs:
        run = found(person, f"@{seq}")
        assert run.command[-1] == f"echo {seqs.index(seq)}".encode()
        for text in (run.id, run.short, run.short.upper()):
            assert found(person, text) == run


@pytest.mark.parametrize(
    "text",
    ["", "@@", "@-1", "@~", "@~x", "abc", "xyzw", "12", "@~" + "9" * 30, "\x1b[31m", "é", "@1 "],
)
def test_what_names_no_run_is_refused(person: Person, text: str) -> None:
    person.run("true")
    assert "`redoxa log`" in refused(person, text)


def test_runs_that_are_not_there_are_told(person: Person) -> None:
    assert "no run is in the ledger" in refused(person, "@")
    person.run("true")
    assert "holds 1 run, so @~1 names none" in refused(person, "@~1")
    assert "no entry 7" in refused(person, "@7", NoSuchEntryError)
    assert "the id of no run begins" in refused(person, "0" * 64)
    with Home(person.home_path) as home:
        seq = home.ledger.append([{}], kind="other", subject="x").seq
        assert home.ledger.append([{"verdict": 1}], kind="run", subject="x").seq == seq + 1
    assert "is of kind 'other', and no run" in refused(person, f"@{seq}")
    assert "tells of no run that this Redoxa can read" in refused(person, f"@{seq + 1}")


def test_a_beginning_of_several_ids_is_told(person: Person) -> None:
    with Home(person.home_path) as home:
        # Of so many, two begin alike.
        home.ledger.append_all([Draft([{"number": at}], "run", "x", 0) for at in range(600)])
        ids = [leaf.batch.digest.hex()[:4] for _, leaf in home.ledger.leaves("run")]
    twice = next(text for text in ids if ids.count(text) > 1)
    assert "type more of it" in refused(person, twice, AmbiguousRunError)


def lose_batch(home: Path, run: Run) -> None:
    """Spoil the bytes of one batch in its pack."""
    command = run.command[-1]
    for pack in (home / "store" / "packs").iterdir():
        data = pack.read_bytes()
        pack.write_bytes(data.replace(command, bytes(len(command))))


def test_a_lost_batch_is_one_lost_run(person: Person) -> None:
    for line in ("echo one", "echo two"):
        person.run(line)
    second = found(person, "@")
    lose_batch(person.home_path, second)
    with Home(person.home_path) as home:
        newest, oldest = runs(home)
        assert isinstance(newest, LostRun)
        assert (newest.seq, newest.id) == (second.seq, second.id)
        assert isinstance(oldest, Run)
    assert "is lost: its batch cannot be read" in refused(person, "@")
    assert found(person, "@~1").command[-1] == b"echo one"


def test_a_run_without_a_trace_says_why(person: Person) -> None:
    person.run("cat /dev/urandom | head -c 1 > x")
    run = found(person, "@")
    assert run.trace is None
    with Home(person.home_path) as home, pytest.raises(InputError, match="not reusable: "):
        trace_of(home, run)


def test_the_trace_of_a_run_is_had(person: Person) -> None:
    person.write("in", "1")
    result = person.run("cat in > out")
    with Home(person.home_path) as home:
        run = find_run(home, "@")
        assert run.trace == result.trace
        assert [output.path for output in trace_of(home, run).outputs] == [b"P/out"]


@pytest.mark.parametrize(
    "entry",
    [
        {"verdict": "ran", "exit_code": 0, "wall_s": 1.0},
        {"verdict": "odd\x1b[31m", "exit_code": -5, "wall_s": float("inf"), "doubts": [[1], ["a"]]},
        {"verdict": "ran", "exit_code": 0, "wall_s": 1, "command": "text", "trace": "text"},
        {"verdict": "ran", "exit_code": 0, "wall_s": 1, "cpu_s": "x", "inputs": float("nan")},
    ],
)
def test_foreign_entries_are_read_as_far_as_they_can_be(
    person: Person, entry: dict[str, object]
) -> None:
    with Home(person.home_path) as home:
        home.ledger.append([entry], kind="run", subject="x")  # pyright: ignore[reportArgumentType]
    run = found(person, "@")
    assert run.verdict == entry["verdict"]
    assert (run.command, run.trace, run.doubts, run.cpu_s) == ((), None, (), 0.0)


def test_only_the_runs_asked_for_are_read(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    with Home(person.home_path) as home:
        home.ledger.append_all([Draft([entry_of(at)], "run", "x", 0) for at in range(100)])
        read: list[Cid] = []
        get_many = home.store.get_many

        def counted(cids: Sequence[Cid]) -> list[bytes]:
            read.extend(cids)
            return get_many(cids)

        monkeypatch.setattr(home.store, "get_many", counted)
        next(runs(home))
        assert len(read) < 100
        assert len(list(runs(home))) == 100


def entry_of(number: int) -> dict[str, int | float | str]:
    return {"verdict": "ran", "exit_code": 0, "wall_s": 1.0, "number": number}
