"""`redoxa store demote` and `promote` as typed: less room, the same bytes, reasons for all."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from cid_store.cid import Cid
from cid_store.errors import UnavailableError
from cid_store.gc_report import GcReport
from cid_store.local import LocalStore
from cid_store.tiers import Tier
from redoxa import VM
from ring2_orchestrator.gene import Gene, Palette
from ring2_orchestrator.home import Home
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.planner import library_gene
from ring2_orchestrator.tiers import demotion, trial
from tests.store_command import home, refusal, store

__all__ = ["home"]  # the fixture


def series(seed: int, length: int = 6000) -> bytes:
    steps = np.random.default_rng(seed).integers(-3, 4, length)
    return (np.cumsum(steps) + 30_000).astype("<u2").tobytes()


def noise(size: int = 8192) -> bytes:
    return np.random.default_rng(9).bytes(size)


def put(home: Path, data: bytes, root: str | None = None) -> Cid:
    with LocalStore(home / "store") as opened:
        cid = opened.put(data)
        if root is not None:
            opened.set_root(root, cid)
        return cid


def few_genes(palette: Palette) -> list[Gene]:
    return [library_gene("series_u16", palette)]


@pytest.fixture
def kernels(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels are in the store, as they are from the first large object on; genes are few."""
    monkeypatch.setattr(demotion, "library", few_genes)
    with Home(home) as opened:
        cids = opened.store.put_many(kernel.wasm for kernel in KernelSet.shipped())
        for cid in cids:
            opened.store.set_root(f"kernel/{cid}", cid)


def answer(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert store(*words, "--json") == code
    return json.loads(capsys.readouterr().out)


def auto(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """What the policy chose, by object; however slow this machine is now, it finds some gain."""
    gain = () if "--min-gain" in words else ("--min-gain", 1)
    return by_cid(answer(capsys, "demote", "--auto", *gain, *words))


def by_cid(value: Any) -> dict[str, Any]:
    return {each["cid"]: each for each in value["objects"]}


def booked(home: Path) -> list[dict[str, Any]]:
    """The entries of the ledger's batches about tiers, in order."""
    with Home(home) as opened:
        return [cast("Any", entry) for at in opened.ledger.batches("tier") for entry in at.entries]


def tier(home: Path, cid: Cid) -> Tier:
    with LocalStore(home / "store", read_only=True) as opened:
        return opened.tier(cid)


# Room and bytes


@pytest.mark.slow
def test_a_demoted_object_takes_less_room_and_reads_back_equal(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = series(1, 200_000)
    Path("data.u16").write_bytes(data)
    assert store("put", "data.u16", "--root", "data") == 0
    cid = capsys.readouterr().out.strip()
    before = answer(capsys, "stat")
    assert store("demote", "data") == 0
    said = capsys.readouterr()
    assert f"{cid}  400,000  penumbra" in said.out
    assert "1 of 1 objects demoted, 2" in said.err
    assert "`redoxa store gc` gives that back to the disk" in said.err
    assert store("gc", "--grace", "0") == 0
    after = answer(capsys, "stat")
    assert after["tiers"]["penumbra"]["objects"] == 1
    assert after["tiers"]["penumbra"]["object_bytes"] == len(data)
    assert after["tiers"]["penumbra"]["debt_s"] > 0
    stored = [sum(at["stored_bytes"] for at in each["tiers"].values()) for each in (before, after)]
    assert stored[1] < stored[0] / 2
    assert store("get", cid, "-o", "back") == 0
    assert Path("back").read_bytes() == data
    assert answer(capsys, "verify", "--rebuild")["ok"]
    assert store("export", cid, "-o", "one.car") == 0
    assert data in Path("one.car").read_bytes()
    assert store("promote", "data") == 0
    assert store("get", cid, "-o", "again") == 0
    assert Path("again").read_bytes() == data


@pytest.mark.slow
@pytest.mark.usefixtures("kernels")
def test_whoever_watches_hears_which_object_of_how_many_it_is(home: Path) -> None:
    said: list[tuple[float, str | None]] = []

    def advance(amount: float = 1, note: str | None = None) -> None:
        said.append((amount, note))

    with Home(home) as opened:
        cids = opened.store.put_many([series(1), series(2)])
        assert all(verdict.move for verdict in opened.tiers.demote(cids, Tier.PENUMBRA, advance))
    assert sum(amount for amount, _ in said) == len(cids)
    places = list(dict.fromkeys(note.partition(": ")[0] for _, note in said if note is not None))
    assert places == ["1 of 2", "2 of 2"]


@pytest.mark.usefixtures("kernels")
def test_what_a_frame_makes_is_dropped_and_made_again(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with VM(home) as vm:
        given = vm.put(series(2, 40_000))
        frame = vm.run(vm.gene("input x: u16\nemit x |> delta(order=1)\n"), given)
        (made,) = frame.outputs
        stream = vm.get(made)
    assert store("demote", "--to", "umbra", made) == 0
    assert tier(home, made) is Tier.UMBRA
    assert store("gc", "--grace", "0") == 0
    with VM(home) as vm:
        assert vm.get(made) == stream
        assert vm.run(vm.gene("input x: u16\nemit x |> delta(order=1)\n"), given) == frame
        assert vm.invert(frame) == given
    # What it is made from can be packed, but not be dropped for what is made from it.
    capsys.readouterr()
    assert store("demote", "--to", "umbra", given) == 1
    assert "to rebuild itself" in capsys.readouterr().out
    assert tier(home, given) is Tier.ILLUMINATED
    assert store("demote", "--to", "penumbra", given) == 0
    with VM(home) as vm:
        assert vm.get(made) == stream
    assert answer(capsys, "verify", "--rebuild")["ok"]


@pytest.mark.usefixtures("kernels")
def test_what_cannot_be_rebuilt_now_is_not_called_sound_or_damaged(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = put(home, series(5), "data")
    assert store("demote", cid) == 0
    assert store("gc", "--grace", "0") == 0

    def no_room(file: object, data: object) -> None:
        raise UnavailableError("the folder for temporary files takes no more")

    with monkeypatch.context() as patch:
        patch.setattr("ring2_orchestrator.tiers.rebuild.spool", no_room)
        assert answer(capsys, "verify", "--rebuild", code=5)["untried"] == 1
        assert store("verify", "--rebuild") == 5
        assert "1 objects could not be rebuilt" in capsys.readouterr().out
        assert answer(capsys, "verify")["untried"] == 0
    assert answer(capsys, "verify", "--rebuild")["untried"] == 0


@pytest.mark.usefixtures("kernels")
def test_of_a_tree_the_files_are_demoted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tree").mkdir()
    for number in range(2):
        Path(f"tree/{number}").write_bytes(series(number))
    Path("tree/small").write_bytes(b"small")
    Path("tree/noise").write_bytes(noise())
    assert store("add", "tree", "--root", "tree") == 0
    objects = answer(capsys, "demote", "tree")["objects"]
    assert sorted(each["why"] for each in objects) == ["asked", "asked", "no-way"]
    assert store("gc", "--grace", "0") == 0
    assert store("checkout", "tree", "copy") == 0
    for path in Path("tree").iterdir():
        assert Path("copy", path.name).read_bytes() == path.read_bytes()
    assert answer(capsys, "promote", "tree")["changed"] == 2
    assert answer(capsys, "stat")["tiers"]["penumbra"]["objects"] == 0


def test_what_nothing_makes_smaller_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cid = put(home, noise(), "noise")
    assert store("demote", "noise") == 1
    said = capsys.readouterr()
    assert "nothing makes it smaller" in said.out
    assert said.err == "redoxa: 0 of 1 objects demoted\n"
    assert tier(home, cid) is Tier.ILLUMINATED
    assert store("demote", "noise", "--to", "umbra") == 1
    assert "no frame in this store makes it again" in capsys.readouterr().out
    # A single small object would not even pay for its kernels.
    assert store("demote", put(home, series(1))) == 1
    assert not (home / "ledger").exists()


@pytest.mark.usefixtures("kernels")
def test_what_is_named_by_its_cid_may_go_with_the_garbage(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, series(1), "bound")
    loose = put(home, series(2))
    caution = "and drops what no root leads to"
    assert store("demote", "bound") == 0
    assert caution not in capsys.readouterr().err
    assert store("demote", loose) == 0
    assert caution in capsys.readouterr().err


@pytest.mark.usefixtures("kernels")
def test_what_is_there_already_is_no_failure(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cid = put(home, series(1))
    assert store("promote", cid) == 0
    assert store("demote", cid) == 0
    capsys.readouterr()
    assert store("demote", cid) == 0
    assert "is there already" in capsys.readouterr().out


# The policy


@pytest.mark.usefixtures("kernels")
def test_auto_explains_every_choice_and_a_dry_run_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with VM(home) as vm:
        good = put(home, series(1, 40_000), "good")
        frame = vm.run(vm.gene("input x: u16\nemit x |> delta(order=1)\n"), good)
    bad, loose = put(home, noise(), "bad"), put(home, noise(5000) + b"loose")
    before = {path: path.read_bytes() for path in (home / "store" / "packs").iterdir()}
    plan = auto(capsys, "--dry-run")
    assert {path: path.read_bytes() for path in (home / "store" / "packs").iterdir()} == before
    assert plan[str(good)]["why"] == "gain"
    assert plan[str(good)]["to"] == "penumbra"
    assert plan[str(good)]["saved_bytes"] > 20_000
    assert plan[str(frame.outputs[0])]["to"] == "umbra"
    assert plan[str(bad)]["why"] == "no-way"
    assert plan[str(loose)]["why"] == "garbage"
    assert not any(each["changed"] for each in plan.values())
    assert any(each["changed"] for each in auto(capsys).values())
    assert tier(home, frame.outputs[0]) is Tier.UMBRA
    with VM(home) as vm:
        assert vm.get(good) == series(1, 40_000)
        assert vm.invert(frame) == good


def never(*_: object, **__: object) -> None:
    pytest.fail("it was tried before")


@pytest.mark.usefixtures("kernels")
def test_what_did_not_gain_is_not_packed_again(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = put(home, noise(), "bad")
    assert auto(capsys)[str(bad)]["why"] == "no-way"
    with monkeypatch.context() as patch:
        patch.setattr(trial, "propose", never)
        patch.setattr(trial, "pack", never)
        assert auto(capsys)[str(bad)]["why"] == "no-way"
    (home / "tried.db").write_bytes(b"no database")
    assert auto(capsys)[str(bad)]["why"] == "no-way"


@pytest.mark.usefixtures("kernels")
def test_it_stops_when_enough_is_saved_or_too_little_gained(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cids = [put(home, series(seed, 8000), f"data/{seed}") for seed in range(3)]
    values = auto(capsys, "--free", 100, "--dry-run")
    assert sorted(values[str(cid)]["why"] for cid in cids) == ["enough", "enough", "gain"]
    values = auto(capsys, "--min-gain", 10**14)
    assert {values[str(cid)]["why"] for cid in cids} == {"low-gain"}
    values = auto(capsys, "--older", "1d")
    assert {values[str(cid)]["why"] for cid in cids} == {"young"}
    pack = next((home / "store" / "packs").iterdir())
    os.utime(pack, ns=(0, 0))
    values = auto(capsys, "--older", "1d", "--free", 100)
    assert sorted(values[str(cid)]["why"] for cid in cids) == ["enough", "enough", "gain"]
    assert sum(each["changed"] for each in values.values()) == 1


# Refusals


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name what is to be demoted, or give --auto"),
        (["a", "--auto"], "name what is to be demoted, or give --auto, and not both"),
        (["--auto", "--to", "umbra"], "--auto chooses the tier by itself"),
        (["a", "--free", "1"], "--free goes with --auto"),
        (["a", "--dry-run"], "--dry-run goes with --auto"),
        (["--auto", "--free", "many"], "'many' is not a number of bytes"),
        (["--auto", "--min-gain", "-1"], "'-1' is not a number of bytes a second"),
        (["--auto", "--min-gain", "1e3"], "'1e3' is not a number of bytes a second"),
        (["--auto", "--older", "1y"], "'1y' is no time"),
        (["a", "--to", "illuminated"], "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert store("demote", *words) == 2
    assert says in refusal(capsys)


@pytest.mark.parametrize("verb", ["demote", "promote"])
def test_what_is_not_there_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    assert store(verb, "nothing") == 3
    assert "'nothing' is neither a CID nor a root of the store" in refusal(capsys)
    assert store(verb, Cid.of(b"never put")) == 3
    assert "is not in the store at" in refusal(capsys)


# The ledger


@pytest.mark.usefixtures("kernels")
def test_what_leaves_one_account_enters_another(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = series(1, 40_000)
    cid = put(home, data, "data")
    first = answer(capsys, "stat")["tiers"]
    assert store("demote", "data") == 0
    second = answer(capsys, "stat")["tiers"]
    assert store("promote", "data") == 0
    assert store("unbind", "data") == 0
    assert store("gc", "--grace", "0") == 0
    third = answer(capsys, "stat")["tiers"]
    demoted, promoted, forgotten = booked(home)
    assert [entry["act"] for entry in (demoted, promoted, forgotten)] == ["demote", "promote", "gc"]
    for entry, origin, target in (
        (demoted, "illuminated", "penumbra"),
        (promoted, "penumbra", "illuminated"),
    ):
        (move,) = entry["moves"]
        assert (move["cid"], move["objects"], move["bytes"]) == (str(cid), 1, len(data))
        assert (move["from"], move["to"]) == (origin, target)
    (move,) = demoted["moves"]
    taken = sum(second[name]["stored_bytes"] - first[name]["stored_bytes"] for name in first)
    batch = 64 + 704  # at most: the ledger's own batch is in the store, too
    assert 0 <= taken - (move["stored_after"] - move["stored_before"]) <= batch
    assert demoted["books"]["penumbra"]["bytes"] == len(data)
    assert second["penumbra"]["objects"] == 1
    # The object and its recipe and container are gone: the ledger's own words keep nothing alive.
    assert {move["to"] for move in forgotten["moves"]} == {"forgotten"}
    assert sum(move["bytes"] for move in forgotten["moves"]) > len(data)
    assert third["penumbra"]["objects"] == 0
    with LocalStore(home / "store") as opened:
        assert not opened.has(cid)


def test_garbage_is_not_booked_where_there_is_no_ledger_or_nothing_goes(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(home, b"lost" * 100)
    assert store("gc", "--grace", "0") == 0
    assert not (home / "ledger").exists()
    with Home(home) as opened:
        opened.ledger.append([1], kind="test", subject="test")
    assert store("gc", "--grace", "0") == 0
    assert booked(home) == []


def test_what_others_put_meanwhile_lessens_nothing_that_is_booked(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home, b"lost" * 100)
    with Home(home) as opened:
        opened.ledger.append([1], kind="test", subject="test")
    real = LocalStore.gc

    def gc(self: LocalStore, **options: Any) -> GcReport:
        report = real(self, **options)
        with LocalStore(home / "store") as other:
            other.put_many([b"%d" % at * 100 for at in range(9)])
        return report

    monkeypatch.setattr(LocalStore, "gc", gc)
    capsys.readouterr()
    assert store("gc", "--grace", "0", "--json") == 0
    said = json.loads(capsys.readouterr().out)["forgotten"]["illuminated"]
    ((move,),) = [entry["moves"] for entry in booked(home)]
    assert (move["objects"], move["bytes"]) == (1, 400)
    assert (move["stored_before"], move["stored_after"]) == (64 + 448, 0)
    assert (said["objects"], said["object_bytes"], said["stored_bytes"]) == (1, 400, 512)


# Interruptions


class BrokenError(Exception):
    """The end of a command that nobody expected."""


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenError])
def test_what_was_done_before_an_interruption_is_booked(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    cids = [put(home, series(seed)) for seed in range(3)]
    real = LocalStore.demote
    calls: Iterator[int] = iter(range(9))

    def demote(self: LocalStore, cid: Cid, recipe: Cid, to: Tier) -> Any:
        if next(calls) == 1:
            raise error
        return real(self, cid, recipe, to)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "demote", demote)
        assert store("demote", *cids) in (70, 130)
    tiers = [tier(home, cid) for cid in cids]
    assert tiers == [Tier.PENUMBRA, Tier.ILLUMINATED, Tier.ILLUMINATED]
    (entry,) = booked(home)
    assert [move["cid"] for move in entry["moves"]] == [str(cids[0])]
    with Home(home) as opened:
        assert [opened.store.get(cid) for cid in cids] == [series(seed) for seed in range(3)]
    assert store("demote", *cids) == 0
    assert answer(capsys, "verify", "--rebuild")["ok"]
