"""The examination passes an honest kernel and catches each kind of lie by the check it breaks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ring0 import subject
from ring0.budget import Budget
from ring0.examination import Depth, examine
from ring0.host import Host
from ring0.kernel import Kernel
from ring2_orchestrator.commands import main

Twin = Callable[..., Kernel]
MODULES = Path(__file__).parent / "modules"

# An honest beginning: no parameters, one input, as much output as input.
BOUND = """
    (if (i32.load offset=8 (local.get $call)) (then (return (i32.const 2))))
    (if (i32.ne (i32.load offset=12 (local.get $call)) (i32.const 1))
      (then (return (i32.const 7))))
    (if (i32.eqz (i32.and (i32.load (local.get $call)) (i32.const 1))) (then
      (i32.store offset=32 (local.get $call) (i32.load offset=20 (local.get $call)))
      (return (i32.const 0))))
    (if (i32.lt_u (i32.load offset=32 (local.get $call)) (i32.load offset=20 (local.get $call)))
      (then (return (i32.const 4))))
"""
# out[i] = f(in[i]); f finds the byte on the stack and the direction (0 or 2) in $j.
EACH = """
    (local.set $j (i32.and (i32.load (local.get $call)) (i32.const 2)))
    (block $end (loop $next
      (br_if $end (i32.eq (local.get $i) (i32.load offset=20 (local.get $call))))
      (i32.store8 (i32.add (local.get $out) (local.get $i))
        (i32.load8_u (i32.add (i32.load offset=16 (local.get $call)) (local.get $i)))
        {f})
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))
    (i32.store offset=36 (local.get $call) (i32.load offset=20 (local.get $call)))
"""
COPY = EACH.replace("{f}", "")
STEP_UP = "(i32.sub (i32.const 1) (local.get $j)) (i32.add)"  # +1 forward, -1 inverse


SHALLOW = Depth(cases=30, lengths=20, long=False)


def examined(host: Host, kernel: Kernel) -> dict[str, str]:
    """The failed checks and what they say."""
    examination = examine(kernel.wasm, host, depth=SHALLOW)
    return {check.name: check.sentence for check in examination.checks if not check.passed}


def test_an_honest_kernel_passes(host: Host, twin: Twin) -> None:
    kernel = twin(COPY, bound=BOUND, kind="involution")
    examination = examine(kernel.wasm, host)
    assert examination.passed, examination.checks
    assert (examination.name, examination.cid) == ("twin", kernel.cid)
    assert [check.name for check in examination.checks] == [
        "module", "border", "instructions", "manifest", "compiles",
        "first calls", "round trip", "lengths", "isolation", "refusals", "inverse", "long inputs",
    ]  # fmt: skip


def test_a_mirror_that_names_its_inverse_passes(host: Host, twin: Twin) -> None:
    assert examined(host, twin(EACH.replace("{f}", STEP_UP), bound=BOUND, kind="bijection")) == {}


ENDLESS_WHEN_LONG = """
    (if (i32.ge_u (i32.load offset=20 (local.get $call)) (i32.const 60000))
      (then (loop $ever (br $ever))))
"""


@pytest.mark.slow
def test_a_kernel_too_slow_for_long_inputs_is_no_kernel_yet(host: Host, twin: Twin) -> None:
    kernel = twin(ENDLESS_WHEN_LONG + COPY, bound=BOUND, kind="involution")
    examination = examine(kernel.wasm, host, depth=Depth(cases=0, lengths=0), budget=Budget(1.5))
    assert not examination.passed
    # On a busy machine the time is over even earlier; nothing speaks against the kernel either way.
    assert not examination.tried
    assert all(check.passed == check.tried for check in examination.checks)


@pytest.mark.parametrize(
    ("least", "what", "said"),
    [
        (60_000, "unreachable", "60,000 lanes of few values: trapped"),
        (60_000, "(return (i32.const 99))", "60,000 lanes of few values: refused, unknown-code"),
        (60_000,
         "(i32.store8 (i32.load offset=28 (local.get $call)) (i32.const 1)) (return (i32.const 0))",
         "60,000 lanes of a walk: the inverse"),
        (60_000, "(return (i32.const 1))", "17 inputs of up to 59,999 bytes went through"),
        (1, "(return (i32.const 1))", "none went through: it refuses all of"),
    ],
)  # fmt: skip
def test_what_becomes_of_long_inputs_is_said(
    host: Host, twin: Twin, least: int, what: str, said: str
) -> None:
    body = f"""
      (if (i32.ge_u (i32.load offset=20 (local.get $call)) (i32.const {least})) (then {what}))"""
    kernel = twin(body + COPY, bound=BOUND, kind="involution")
    examination = examine(kernel.wasm, host, depth=Depth(cases=0, lengths=0))
    last = examination.checks[-1]
    assert last.sentence.startswith(said)
    # A kernel may have a domain that ends somewhere.
    assert last.passed == ("went through" in said)


FORGETFUL = EACH.replace("{f}", "(i32.const 127) (i32.and)")
REMEMBERING = (
    COPY
    + """
    (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
    (if (i32.and (i32.gt_u (i32.load (i32.const 64)) (i32.const 1)) (local.get $i)) (then
      (i32.store8 (local.get $out) (i32.const 9))))
"""
)
LIES = {
    "claims to be reversible": (FORGETFUL, "round trip", "other bytes than went in"),
    "too long": (COPY + "(i32.store offset=36 (local.get $call) (i32.const 70000))",
                 "round trip", "result-length"),
    "too short": (COPY + "(i32.store offset=36 (local.get $call) (i32.const 0))",
                  "round trip", "other bytes than went in"),
    "keeps state": (REMEMBERING, "isolation", "a second call on the same instance differs"),
    "writes past its output": (
        COPY + "(i32.store8 offset=64 (i32.add (local.get $out) (local.get $i)) (i32.const 1))",
        "isolation", "stray-write"),
    "writes outside memory": ("(i32.store (i32.const -4) (i32.const 1))",
                              "round trip", "memory-out-of-bounds"),
    "depends on memory.grow": (COPY + "(drop (memory.grow (i32.const 1)))",
                               "instructions", "memory.grow"),
    "depends on memory.size": (COPY + "(drop (memory.size))", "instructions", "memory.size"),
    "claims to compute without floats": (
        COPY + "(drop (f64.sqrt (f64.const 2)))", "manifest", "floating-point"),
    "accepts nothing": ("(return (i32.const 1))", "round trip", "accepts none"),
    "an unknown code": ("(return (i32.const 77))", "round trip", "unknown-code"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_caught(host: Host, twin: Twin, lie: str) -> None:
    body, check, told = LIES[lie]
    failed = examined(host, twin(body, bound=BOUND))
    assert told in failed[check]


SPIN = "(loop $ever (br $ever))"
WHEN_LONG = f"(if (i32.eq (i32.load offset=20 (local.get $call)) (i32.const 7)) (then {SPIN}))"
BACK = f"(if (i32.and (i32.load (local.get $call)) (i32.const 2)) (then {SPIN}))"
# Each costs a unit of fuel or four, and the time of a hundred.
FILL_NOTHING = """(loop $ever (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))
    (br $ever))"""
BURNING = {
    "forward": (SPIN, BOUND, "first calls", "0 lanes of noise, default parameters: out of fuel"),
    "bound": (COPY, SPIN + BOUND, "first calls", "0 lanes of noise, default parameters: out of"),
    "inverse": (BACK + COPY, BOUND, "first calls", "parameters: the inverse out of fuel"),
    "slow": (FILL_NOTHING, BOUND, "first calls", "0 lanes of noise, default parameters: timed out"),
    "at times": (WHEN_LONG + COPY, BOUND, "first calls", "7 lanes of noise"),
    "later": (WHEN_LONG.replace("7", "65") + COPY, BOUND, "round trip", "65 lanes of zeros"),
}


@pytest.mark.parametrize("where", BURNING)
def test_a_kernel_that_only_burns_time_has_its_verdict_at_the_first_such_call(
    host: Host, twin: Twin, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is looked at afterwards, and it is refused, whatever time is left."""
    monkeypatch.setattr(subject, "LIMITS", replace(subject.LIMITS, fuel=5_000_000))
    first = replace(subject.FIRST_LIMITS, fuel=5_000_000, wall_ms=20_000)
    if where == "slow":
        first = replace(subject.FIRST_LIMITS, fuel=1 << 50, wall_ms=100)
    monkeypatch.setattr(subject, "FIRST_LIMITS", first)
    body, bound, name, told = BURNING[where]
    examination = examine(twin(body, bound=bound).wasm, host)
    assert [check.name for check in examination.checks if not check.passed] == [name]
    last = examination.checks[-1]
    assert (last.name, last.tried) == (name, True)
    assert told in last.sentence
    assert last.sentence.endswith("; no more was tried")


def test_a_false_involution_is_caught(host: Host, twin: Twin) -> None:
    kernel = twin(EACH.replace("{f}", STEP_UP), bound=BOUND, kind="involution")
    assert "twice" in examined(host, kernel)["round trip"]


def test_an_inverse_that_accepts_what_is_never_made_is_caught(host: Host, twin: Twin) -> None:
    # Forward, each byte is followed by a zero; the inverse never looks whether it is one.
    padding = """
        (block $end (loop $next
          (br_if $end (i32.ge_u (i32.mul (local.get $i) (local.get $in))
            (i32.load offset=20 (local.get $call))))
          (i32.store8 (i32.add (local.get $out) (i32.mul (local.get $i) (local.get $j)))
            (i32.load8_u (i32.add (i32.load offset=16 (local.get $call))
              (i32.mul (local.get $i) (local.get $in)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (i32.store offset=36 (local.get $call) (i32.mul (local.get $i) (local.get $j)))"""
    inverse = "(i32.and (i32.load (local.get $call)) (i32.const 2))"
    strides = f"""
        (local.set $in (select (i32.const 2) (i32.const 1) {inverse}))
        (local.set $j (select (i32.const 1) (i32.const 2) {inverse}))"""
    roomy = BOUND.replace(
        "(i32.load offset=20 (local.get $call)))\n      (return (i32.const 0))",
        "(i32.shl (i32.load offset=20 (local.get $call)) (i32.const 1)))\n"
        "      (return (i32.const 0))",
    ).replace(
        "(i32.load offset=20 (local.get $call)))\n      (then (return (i32.const 4",
        "(i32.shl (i32.load offset=20 (local.get $call)) (i32.const 1)))\n"
        "      (then (return (i32.const 4",
    )
    failed = examined(host, twin(strides + padding, bound=roomy, kind="bijection"))
    assert list(failed) == ["inverse"]
    assert "accepts bytes that it never makes" in failed["inverse"]


def test_parameters_that_are_ignored_are_caught(host: Host, twin: Twin) -> None:
    careless = BOUND.replace("(then (return (i32.const 2)))", "(then)")
    assert "code 2" in examined(host, twin(COPY, bound=careless))["refusals"]


def test_port_counts_that_are_ignored_are_caught(host: Host, twin: Twin) -> None:
    careless = BOUND.replace("(then (return (i32.const 7)))", "(then)")
    assert "code 7" in examined(host, twin(COPY, bound=careless))["refusals"]


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.wasm")), ids=lambda path: path.stem)
def test_no_hostile_module_passes(host: Host, path: Path) -> None:
    examination = examine(path.read_bytes(), host)
    assert not examination.passed
    assert all(check.sentence for check in examination.checks)


def test_the_command_answers_0_for_a_kernel(
    twin: Twin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "good.wasm"
    path.write_bytes(twin(COPY, bound=BOUND).wasm)
    assert main(["kernel", "check", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.count("ok ") == 13
    assert "is the kernel 'twin'" in said


def test_the_command_answers_1_for_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(MODULES / "name-escape.wasm")
    assert main(["kernel", "check", path]) == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert r"\x1b[2J" in said
    assert main(["kernel", "check", path, "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["passed"] is False
    assert {"name", "passed", "sentence", "tried"} == set(facts["checks"][0])


def test_a_file_that_cannot_be_read_is_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path, tmp_path / "missing.wasm"):
        assert main(["kernel", "check", str(path)]) == 3
        error = capsys.readouterr().err
        assert error.startswith("redoxa: ")
        assert str(path) in error
        assert error.count("\n") == 1


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernel", "list"]) == 0
    assert "delta" in capsys.readouterr().out
    assert main(["kernel", "show", "delta"]) == 0
    assert "parameter  order: 1 to 8" in capsys.readouterr().out
    assert main(["kernel", "show", "delta", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["name"] == "delta"
    assert main(["kernel", "show", "detla"]) == 3
    assert "did you mean 'delta'" in capsys.readouterr().err
