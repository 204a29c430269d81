"""The Python API, as a program uses it: on a real home, with the shipped kernels."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import redoxa
from cid_store.errors import InputError, MissingObjectError, UsageError
from redoxa import VM, Cid, Realm, Tier

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[VM]:
    with VM(tmp_path / "home") as machine:
        yield machine


def series(length: int = 4000) -> npt.NDArray[np.uint16]:
    steps = np.random.default_rng(1).integers(-3, 4, length)
    return (np.cumsum(steps) + 30_000).astype("<u2")


def test_every_name_of_the_face_is_there() -> None:
    assert all(getattr(redoxa, name) is not None for name in redoxa.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Teleport'"):
        _ = redoxa.Teleport


def test_importing_the_face_loads_nothing_heavy() -> None:
    code = (
        "import sys, redoxa; print([m for m in ('numpy', 'wasmtime', 'lark') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_bytes_come_back(vm: VM) -> None:
    cid = vm.put(b"some bytes")
    assert cid == Cid.of(b"some bytes")
    assert vm.get(cid) == b"some bytes"


def test_what_was_put_is_there_after_reopening(tmp_path: Path) -> None:
    with VM(tmp_path) as first:
        cid = first.put(b"kept")
    with VM(tmp_path) as second:
        assert second.get(cid) == b"kept"


def test_what_was_never_put_is_missing(vm: VM) -> None:
    with pytest.raises(MissingObjectError):
        vm.get(Cid.of(b"never put"))


def test_the_text_of_a_name_is_as_good_as_the_name(vm: VM) -> None:
    cid = vm.put(b"some bytes")
    text = str(cid)
    assert vm.get(text) == b"some bytes"
    assert vm.view(text).tobytes() == b"some bytes"
    assert vm.plan(text) == vm.plan(cid)
    assert vm.run(vm.plan(text), text) == vm.run(vm.plan(cid), cid)
    assert vm.unpack(str(vm.pack(text))) == cid
    assert vm.frontier(text).best == vm.frontier(cid).best


WRONG: dict[str, Callable[[Any], object]] = {
    "demote to nowhere": lambda vm: vm.demote(vm.put(b"x"), "illuminated"),
    "get nothing": lambda vm: vm.get(None),
    "get no name": lambda vm: vm.get("x"),
    "get bytes": lambda vm: vm.get(b"x"),
    "view": lambda vm: vm.view(0),
    "plan no name": lambda vm: vm.plan("x"),
    "plan with no gene": lambda vm: vm.plan(vm.put(b"x"), "audio_mono"),
    "run no plan": lambda vm: vm.run("audio_mono", vm.put(b"x")),
    "run no name": lambda vm: vm.run(vm.gene("bytes"), "x"),
    "invert": lambda vm: vm.invert(None),
    "frontier": lambda vm: vm.frontier(None),
    "pack": lambda vm: vm.pack(7),
    "unpack": lambda vm: vm.unpack(7),
    "put a number": lambda vm: vm.put(5),
    "put text": lambda vm: vm.put("text"),
    "gene": lambda vm: vm.gene(None),
    "demote": lambda vm: vm.demote("x"),
    "promote": lambda vm: vm.promote(None),
    "tier": lambda vm: vm.tier(7),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_one_sentence(vm: VM, wrong: Callable[[Any], object]) -> None:
    with pytest.raises((UsageError, InputError)) as caught:
        wrong(vm)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


def test_a_closed_machine_refuses(tmp_path: Path) -> None:
    vm = VM(tmp_path / "home")
    cid = vm.put(b"kept")
    vm.close()
    vm.close()
    for use in (
        lambda: vm.get(cid),
        lambda: vm.put(b"more"),
        lambda: vm.view(cid),
        lambda: vm.plan(cid),
        lambda: vm.pack(cid),
        lambda: vm.probe_local(__file__),
        lambda: vm.demote(cid),
    ):
        with pytest.raises(UsageError, match="has been closed"):
            use()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.array(3.5),
        np.arange(12, dtype=">i4").reshape(3, 4).T,
        np.array([["2020-01-01"]], "M8[D]"),
        np.array([True, False]),
    ],
    ids=["empty", "scalar", "big-endian transposed", "dates", "booleans"],
)
def test_an_array_is_kept_as_little_endian_bytes_in_c_order(
    vm: VM, array: npt.NDArray[np.generic]
) -> None:
    expected = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
    assert vm.get(vm.put(array)) == expected


def test_an_array_of_objects_is_refused(vm: VM) -> None:
    with pytest.raises(InputError, match="has no bytes of its own"):
        vm.put(np.array([object()]))


def test_a_view_is_read_only_and_equal(vm: VM) -> None:
    array = series()
    view = vm.view(vm.put(array), "u2", shape=(40, 100))
    assert np.array_equal(view, array.reshape(40, 100))
    assert not view.flags.writeable


def test_a_view_that_does_not_fit_is_one_sentence(vm: VM) -> None:
    cid = vm.put(b"12345")
    with pytest.raises(InputError, match="has 5 bytes, which are not an array of uint16"):
        vm.view(cid, "u2")
    with pytest.raises(InputError, match=r"of shape \(2, 2\)"):
        vm.view(cid, "u1", shape=(2, 2))


@pytest.mark.slow
def test_a_plan_makes_streams_and_is_undone(vm: VM) -> None:
    cid = vm.put(series())
    plan = vm.plan(cid)
    frame = vm.run(plan, cid)
    assert sum(len(vm.get(output)) for output in frame.outputs) < len(vm.get(cid)) / 3
    assert vm.invert(frame) == cid
    # The text of a plan is a gene of that very plan, and the same run is the same frame.
    assert vm.gene(vm.describe(plan)).plan() == plan
    assert vm.run(plan, cid) == frame


@pytest.mark.slow
def test_bytes_that_no_gene_shortens_have_a_plan_without_steps(vm: VM) -> None:
    cid = vm.put(np.random.default_rng(2).bytes(999))
    plan = vm.plan(cid)
    assert plan.steps == ()
    assert vm.invert(vm.run(plan, cid)) == cid


@pytest.mark.slow
def test_a_search_goes_step_by_step_and_never_gets_worse(vm: VM) -> None:
    cid = vm.put(series())
    frontier = vm.frontier(cid, dtype="u16")
    sizes = [frontier.best.size]
    for _ in range(4):
        frontier = vm.tick(frontier, beam=4)
        sizes.append(frontier.best.size)
    assert sizes == sorted(sizes, reverse=True)
    assert vm.invert(vm.run(vm.select_best(frontier), cid)) == cid


def test_a_step_of_the_search_can_be_asked_for_again(vm: VM) -> None:
    first = vm.frontier(vm.put(series(2_000)), dtype="u16")
    second = vm.tick(first, beam=1)
    for _ in range(3):
        second = vm.tick(second, beam=2)
    assert vm.tick(first, beam=1) == vm.tick(first, beam=1)


@pytest.mark.parametrize("beam", [0, -3, "x", None])
def test_a_beam_is_a_number_of_streams(vm: VM, beam: Any) -> None:
    frontier = vm.frontier(vm.put(bytes(100)))
    with pytest.raises(UsageError, match="beam"):
        vm.tick(frontier, beam=beam)


@pytest.mark.parametrize("frontier", [None, [], 7])
def test_a_frontier_is_one(vm: VM, frontier: Any) -> None:
    for step in (vm.tick, vm.select_best):
        with pytest.raises(UsageError, match=r"as vm\.frontier and vm\.tick make it"):
            step(frontier)


@pytest.mark.slow
def test_a_container_is_kept_and_unpacks(vm: VM) -> None:
    cid = vm.put(series())
    container = vm.pack(cid)
    assert len(vm.get(container)) < len(vm.get(cid)) / 3
    assert vm.unpack(container) == cid


def test_what_is_demoted_is_read_as_before(vm: VM) -> None:
    cid = vm.put(series(40_000))
    frame = vm.run(vm.gene("input x: u16\nemit x |> delta(order=1)\n"), cid)
    (stream,) = frame.outputs
    data = vm.get(stream)
    assert vm.tier(stream) is Tier.ILLUMINATED
    assert vm.demote(stream, "umbra") is Tier.UMBRA
    assert vm.tier(str(stream)) == "umbra"
    assert vm.get(stream) == data
    assert vm.view(stream).tobytes() == data
    assert vm.invert(frame) == cid
    assert vm.promote(stream)
    assert not vm.promote(stream)
    assert vm.tier(stream) is Tier.ILLUMINATED


@pytest.mark.slow
def test_what_no_frame_makes_is_packed_when_it_is_demoted(vm: VM) -> None:
    cid = vm.put(series(100_000))
    assert vm.demote(cid, "umbra") is Tier.ILLUMINATED
    assert vm.demote(cid) is Tier.PENUMBRA
    assert vm.plan(cid, vm.gene("series_u16")).steps
    assert vm.get(cid) == series(100_000).tobytes()


def test_what_cannot_be_demoted_says_why(vm: VM) -> None:
    cid = vm.put(series(40_000))
    (made,) = vm.run(vm.gene("input x: u16\nemit x |> delta(order=1)\n"), cid).outputs
    vm.invert(vm.run(vm.gene("input x: u16\nemit x |> delta(order=1)\n"), cid))
    assert vm.demote(made, Tier.UMBRA) is Tier.UMBRA
    with pytest.raises(InputError, match="to rebuild itself"):
        vm.demote(cid, Tier.UMBRA)
    with pytest.raises(MissingObjectError):
        vm.demote(Cid.of(b"never put"))


def test_a_gene_with_choices_is_planned_first(vm: VM) -> None:
    cid = vm.put(series())
    with pytest.raises(UsageError, match="leaves choices open"):
        vm.run(vm.gene("audio_mono"), cid)


@pytest.mark.slow
def test_a_script_is_recorded_and_then_reused(
    vm: VM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("42")
    (tmp_path / "job.py").write_text("open('out.txt', 'w').write(open('in.txt').read() * 2)\n")
    first = vm.probe_local("job.py")
    (tmp_path / "out.txt").unlink()
    second = vm.probe_local("job.py")
    assert (first.reused, first.exit_code, first.realm) == (False, 0, Realm.ILLUMINATED)
    assert second.reused
    assert (tmp_path / "out.txt").read_text() == "4242"
    assert second.cid == first.cid
