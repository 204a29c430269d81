"""Whatever the host refuses to run for a user stands in the ledger, with its reason."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from cid_store.cid import Cid
from cid_store.errors import RedoxaError
from redoxa import VM
from ring0.execution import StepFailedError
from ring0.host import Host
from ring0.outcome import (
    Outcome,
    OutOfFuel,
    OutOfMemory,
    Refused,
    Result,
    TimedOut,
    Trapped,
    name_of,
    reason_of,
)  # fmt: skip
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.refusals import LEDGER_KIND

MODULES = Path(__file__).parent / "hostile" / "modules"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def entered(home: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Subject and entry of every refusal in the ledger, oldest first."""
    with Home(home) as one:
        batches = [*one.ledger.batches(LEDGER_KIND)]
    return [
        (batch.subject, cast("Mapping[str, Any]", entry))
        for batch in batches
        for entry in batch.entries
    ]


@pytest.fixture
def vm(home: Path) -> Iterator[VM]:
    with VM(home) as machine:
        yield machine


def refusing(outcome: Outcome) -> Callable[..., Outcome]:
    def call(self: Host, *args: object) -> Outcome:
        return outcome

    return call


ENDS: list[tuple[Outcome, str, str, int | None]] = [
    (Refused("outside-domain", 1, "no"), "refused", "outside-domain", 1),
    (Refused("output-limit", None, "no"), "refused", "output-limit", None),
    (Trapped("unreachable", "no"), "trapped", "unreachable", None),
    (OutOfFuel(7), "out of fuel", "", None),
    (TimedOut(7), "timed out", "", None),
    (OutOfMemory(7, "no"), "out of memory", "", None),
]


@pytest.mark.parametrize("end", ENDS, ids=[one[1] for one in ENDS])
def test_a_call_that_comes_to_no_result_is_entered(
    vm: VM, home: Path, monkeypatch: pytest.MonkeyPatch, end: tuple[Outcome, str, str, int | None]
) -> None:
    outcome, name, reason, code = end
    plan, cid = vm.gene("input x: u8\nemit x |> delta\n"), vm.put(b"abc")
    monkeypatch.setattr(Host, "call", refusing(outcome))
    with pytest.raises(StepFailedError, match="kernel 'delta'") as caught:
        vm.run(plan, cid)
    assert (name_of(outcome), reason_of(outcome)) == (name, reason)
    ((subject, entry),) = entered(home)
    assert subject == str(KernelSet.shipped().by_name("delta").cid)
    assert str(entry["detail"]) in str(caught.value)
    said = ("doing", "what", "outcome", "reason", "code", "kernel", "step")
    assert [entry[key] for key in said] == ["vm.run", "call", name, reason, code, "delta", 0]


def test_a_result_is_no_refusal(vm: VM, home: Path) -> None:
    frame = vm.run(vm.gene("input x: u8\nemit x |> delta\n"), vm.put(b"abc"))
    assert vm.get(vm.invert(frame)) == b"abc"
    assert name_of(Result([])) == "result"
    assert entered(home) == []


def test_a_search_keeps_its_refusals_to_itself(vm: VM, home: Path) -> None:
    noise = vm.put(bytes(range(251)) * 40)
    vm.pack(noise)
    vm.select_best(vm.tick(vm.frontier(noise)))
    assert entered(home) == []


def test_an_error_that_came_of_a_refusal_counts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, packed = tmp_path / "plain", tmp_path / "plain.rdx"
    plain.write_bytes(b"".join(at.to_bytes(4, "little") for at in range(5_000)))
    assert main(["--home", str(home), "pack", str(plain)]) == 0
    assert entered(home) == []

    def not_at_once(self: Host, *args: object) -> None:
        return None

    monkeypatch.setattr(Host, "run", not_at_once)
    monkeypatch.setattr(Host, "call", refusing(Trapped("unreachable", "no")))
    assert main(["--home", str(home), "unpack", str(packed), "-o", str(tmp_path / "back")]) == 4
    assert "does not decode" in capsys.readouterr().err
    ((_, entry),) = entered(home)
    assert (entry["doing"], entry["outcome"], entry["reason"]) == (
        "redoxa unpack", "trapped", "unreachable",
    )  # fmt: skip


def test_a_module_that_was_to_be_added_is_entered_as_such(home: Path) -> None:
    assert main(["--home", str(home), "kernel", "add", str(MODULES / "import-fs.wasm")]) == 1
    assert {entry["doing"] for _, entry in entered(home)} == {"redoxa kernel add"}


@pytest.mark.parametrize("name", ["import-fs.wasm", "start-loop.wasm", "elf.wasm"])
def test_a_refused_module_is_entered_under_its_name(home: Path, name: str) -> None:
    path = MODULES / name
    assert main(["--home", str(home), "kernel", "show", str(path)]) == 3
    assert main(["--home", str(home), "kernel", "check", str(path)]) == 1
    found = entered(home)
    assert {subject for subject, _ in found} == {str(Cid.of(path.read_bytes()))}
    assert {entry["what"] for _, entry in found} == {"module"}
    assert [entry["doing"] for _, entry in found][:2] == [
        "redoxa kernel show", "redoxa kernel check",
    ]  # fmt: skip
    assert all(entry["reason"] and entry["detail"] for _, entry in found)


def test_the_ledger_shows_and_verifies_them(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--home", str(home), "kernel", "check", str(MODULES / "import-fs.wasm")])
    capsys.readouterr()
    assert main(["--home", str(home), "--json", "ledger", "log"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert entry["kind"] == LEDGER_KIND
    assert main(["--home", str(home), "ledger", "verify"]) == 0
    assert main(["--home", str(home), "store", "gc"]) == 0
    assert main(["--home", str(home), "store", "verify"]) == 0


def test_a_refusal_is_told_also_where_it_cannot_be_entered(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir(mode=0o700)
    (home / "ledger").write_bytes(b"in the way")
    assert main(["--home", str(home), "kernel", "show", str(MODULES / "elf.wasm")]) == 3
    said = capsys.readouterr().err
    assert "native code" in said
    assert "not in the ledger: " in said
    assert main(["--home", str(home), "kernel", "check", str(MODULES / "elf.wasm")]) == 1
    assert "not in the ledger: " in capsys.readouterr().err


def test_a_closed_machine_says_only_that(vm: VM, home: Path) -> None:
    vm.close()
    with pytest.raises(RedoxaError, match="closed"):
        vm.get(Cid.of(b""))
    assert entered(home) == []
