"""The same bytes in every engine: the host's, Node's V8, wasm2c."""

import itertools
import json
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ring0.abi import Op
from ring0.budget import Budget, UsedUpError
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.manifest import SECTION
from ring0.outcome import Refused, Result
from ring2_orchestrator.engines import ENGINES, Comparison, EngineCall, compare, known
from ring2_orchestrator.engines.batch import read_answers, write_calls
from ring2_orchestrator.engines.known import Heard
from ring2_orchestrator.kernel_build import custom_section, kernel_folders
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.recorder.compile import zig_compiler
from tests.kernels.conftest import draws

HARNESS = Path(__file__).with_name("vectors.mjs")
NAMES = KernelSet.shipped().names
DEADLINE_S = 300  # V8 counts no fuel
drawn = pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.long)])


def node(pairs: list[tuple[Path, Path]]) -> list[dict[str, Any]]:
    """What Node makes of the vectors in each folder with the module beside it."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed, so nothing is compared with V8")
    words = [str(path) for pair in pairs for path in pair]
    done = subprocess.run(
        [program, HARNESS, *words], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_v8_agrees_on_every_vector() -> None:
    folders = kernel_folders()
    answers = node([(folder / f"{folder.name}.wasm", folder / "vectors") for folder in folders])
    assert [Path(answer["folder"]).parent.name for answer in answers] == [f.name for f in folders]
    for answer in answers:
        assert answer["calls"] > 10
        assert not answer["wrong"]


def compared(kernel: Kernel, count: int) -> Comparison:
    """Every engine's answers, or a skip that names one that is not installed."""
    comparison = compare(kernel, count)
    for finding in comparison.findings:
        if finding.verdict == "not asked":
            pytest.skip(f"{finding.engine} is not asked: {finding.sentence}")
    assert len(comparison.findings) == len(ENGINES)
    assert comparison.left_out == 0
    return comparison


@pytest.mark.slow
@pytest.mark.parametrize("name", ["delta", "rans0", "mantissa_quant", "stft"])
def test_every_engine_gives_the_same_bytes(name: str, kernels: KernelSet) -> None:
    """One kernel of each sort: integers, a codec, floats that move, floats that are computed."""
    comparison = compared(kernels.by_name(name), 20)
    assert comparison.exact, comparison.sentence


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_is_exact_on_a_thousand_inputs(name: str, kernels: KernelSet) -> None:
    count = 100 if os.environ.get("REDOXA_LONG") == "bounded" else 1_000
    comparison = compared(kernels.by_name(name), count)
    assert comparison.exact, comparison.sentence
    assert comparison.calls > count


@drawn
@pytest.mark.parametrize("name", NAMES)
def test_optimisation_changes_nothing(
    name: str, count: int, kernels: KernelSet, host: Host, bare: Callable[..., Any]
) -> None:
    kernel = kernels.by_name(name)
    for params, inputs in draws(kernel, count):
        made = host.call(kernel, Op.FORWARD, params, inputs)
        n_out = kernel.manifest.call_shape(Op.FORWARD, params)[1]
        plain = bare(name, "none").call(Op.FORWARD, params, inputs, n_out)
        assert plain == (made.outputs if isinstance(made, Result) else made.code)  # type: ignore[union-attr]  # refused


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_worker_with_fuel_gives_the_same(name: str, kernels: KernelSet, host: Host) -> None:
    """A host that does not know the kernels meters them and makes NaNs canonical."""
    kernel = kernels.by_name(name)
    with Host() as stranger:
        assert not stranger.is_base(kernel)
        for params, inputs in draws(kernel, 12):
            made = host.call(kernel, Op.FORWARD, params, inputs)
            again = stranger.call(kernel, Op.FORWARD, params, inputs)
            if isinstance(made, Result):
                assert isinstance(again, Result)
                assert again.outputs == made.outputs
            else:
                assert isinstance(again, Refused)


class Told:
    """An engine that answers what a test has it answer."""

    def __init__(self, answers: Callable[[EngineCall], Any], lacks: str | None = None) -> None:
        self.name, self._answers, self._lacks = "told", answers, lacks

    def lacking(self) -> str | None:
        return self._lacks

    def ask(
        self, kernel: Kernel, calls: Sequence[EngineCall], budget: Budget | None = None
    ) -> Heard:
        del kernel, budget
        answers = [self._answers(call) for call in calls]
        return (
            Heard(answers[: answers.index("stop")], "it was stopped")
            if "stop" in answers
            else Heard(answers)
        )


def told(kernel: Kernel, other: Any, lacks: str | None = None) -> Comparison:
    same = Told(lambda call: call.inputs)
    return compare(kernel, 0, engines=[same, Told(other, lacks)])


def test_the_first_difference_is_named_with_its_place(kernels: KernelSet) -> None:
    def other(call: EngineCall) -> Any:
        data = call.inputs[0]
        return (data[:6] + b"\x77" + data[7:],) if len(data) > 6 else call.inputs

    comparison = told(kernels.by_name("gray"), other)
    assert not comparison.exact
    finding = comparison.findings[1]
    assert finding.difference is not None
    assert (finding.difference.output, finding.difference.place) == (0, 6)
    assert finding.difference.given == "0x77"
    assert "7 lanes of noise of u8" in comparison.sentence


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (3, "a refusal with code 3 where"),
        ("trapped", "a trap where"),
        ((b"", b""), "outputs of 0, 0 bytes where"),
        (None, "no answer within its limits where"),
        ("stop", "no answer \\(it was stopped\\) where"),
    ],
)
def test_answers_of_another_kind_are_differences(
    answer: Any, said: str, kernels: KernelSet
) -> None:
    def other(call: EngineCall) -> Any:
        del call
        return answer

    comparison = told(kernels.by_name("gray"), other)
    assert not comparison.exact
    assert re.search(said, comparison.sentence)


class Unable(Told):
    """An engine that this machine does not let answer everything."""

    def ask(
        self, kernel: Kernel, calls: Sequence[EngineCall], budget: Budget | None = None
    ) -> Heard:
        given = super().ask(kernel, calls[:1], budget)
        return Heard(given.answers, "no room", unable=True)


def test_an_engine_that_this_machine_stops_refuses_nothing(kernels: KernelSet) -> None:
    same = Told(lambda call: call.inputs)
    comparison = compare(
        kernels.by_name("gray"), 0, engines=[same, Unable(lambda call: call.inputs)]
    )
    assert comparison.exact
    assert comparison.sentence.endswith("NOT ASKED: told (no room)")
    lying = compare(kernels.by_name("gray"), 0, engines=[same, Unable(lambda _: "trapped")])
    assert not lying.exact


@pytest.mark.parametrize("script", ["echo hello", "echo v12.0.0", "exit 1", "exec sleep 100"])
def test_a_program_that_is_no_node_is_named_and_not_asked(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\n{script}\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(known, "_VERSION_S", 0.2)
    lacking = known.Node("V8", "--liftoff-only").lacking()
    assert lacking is not None
    assert str(node) in lacking


def test_a_driver_that_cannot_be_built_refuses_nothing(
    kernels: KernelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    if known.Translated().lacking() is not None:
        pytest.skip("wasm2c is not installed")
    monkeypatch.setattr(known, "compilers", lambda: [["false"]])
    heard = known.Translated().ask(kernels.by_name("gray"), [])
    assert heard.unable
    assert "it could not be built" in str(heard.stopped)


@pytest.mark.parametrize("code", [0, 1])
def test_a_program_that_never_began_refuses_nothing(code: int, tmp_path: Path) -> None:
    words = ["sh", "-c", f"exit {code}"]
    heard = known._run("told", words, [], tmp_path, None)
    assert heard.unable
    assert "it did not start" in str(heard.stopped)


@pytest.mark.parametrize(("code", "unable"), [(3, True), (1, False)])
def test_only_a_want_of_room_excuses_a_program_that_began(
    code: int, unable: bool, tmp_path: Path
) -> None:
    words = ["sh", "-c", f': > "$2"; exit {code}', "sh"]
    heard = known._run("told", words, [], tmp_path, None)
    assert heard.unable is unable


def test_an_engine_that_is_missing_is_named_and_not_asked(kernels: KernelSet) -> None:
    comparison = told(kernels.by_name("gray"), str, lacks="install it")
    assert comparison.exact
    assert comparison.sentence.endswith("NOT ASKED: told (install it)")


@pytest.mark.slow
def test_the_packaged_compiler_builds_the_driver(
    kernels: KernelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no call of a function that was not declared, as other compilers do by now."""
    zig = zig_compiler()
    if zig is None or known.Translated().lacking() is not None:
        pytest.skip("wasm2c or the packaged compiler is not installed")
    monkeypatch.setattr(known, "compilers", lambda: [zig])
    call = EngineCall(Op.FORWARD, b"\x01", (b"abc",), 1, "abc")
    assert len(known.Translated().ask(kernels.by_name("gray"), [call]).answers) == 1


@pytest.mark.slow
def test_a_module_that_never_ends_in_v8_is_stopped(
    twin_that_spins: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    monkeypatch.setattr(known, "_START_S", 3.0)
    call = EngineCall(Op.FORWARD, b"", (b"abc",), 1, "abc")
    heard = known.Node("V8", "--liftoff-only").ask(twin_that_spins, [call])
    assert not heard.answers
    assert heard.stopped == "it was stopped after 3 s"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_has_no_more_time_than_the_budget(
    engine: known.Engine, twin_that_spins: Kernel
) -> None:
    if engine.lacking() is not None:
        pytest.skip(f"{engine.name} is not installed")
    calls = [EngineCall(Op.FORWARD, b"", (b"abc",), 1, "abc")] * 1_000
    asked = itertools.count()  # a clock that goes on by a second each time it is looked at
    with pytest.raises(UsedUpError, match=f"{re.escape(engine.name)} had not answered"):
        engine.ask(twin_that_spins, calls, Budget(1.5, clock=lambda: next(asked)))


@pytest.fixture
def twin_that_spins() -> Kernel:
    text = """(module (memory (export "memory") 1 9)
      (func (export "run") (param i32) (result i32) (loop $l (br $l)) (i32.const 0)))"""
    import wasmtime  # noqa: PLC0415 - for its assembler

    manifest = KernelSet.shipped().by_name("gray").manifest
    return Kernel.from_wasm(
        bytes(wasmtime.wat2wasm(text)) + custom_section(SECTION, manifest.to_bytes())
    )


def test_calls_and_answers_are_files_that_may_end_early() -> None:
    calls = [EngineCall(Op.INVERSE, b"p", (b"ab", b""), 1, "one")]
    assert write_calls(calls) == (struct.pack("<7I", 1, 3, 1, 1, 2, 2, 0) + b"p" + b"ab")
    data = struct.pack("<4I", 0, 2, 1, 0) + b"x" + struct.pack("<Ii", 1, -5) + struct.pack("<I", 2)
    assert [*read_answers(data)] == [(b"x", b""), -5, "trapped"]
    for end in range(len(data)):
        assert len([*read_answers(data[:end])]) < 3
