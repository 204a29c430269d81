"""The same calls in every engine, and the first place where one gives something else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from ring0 import abi, cases
from ring0.budget import Budget
from ring0.cases import Case
from ring0.kernel import Kernel
from ring2_orchestrator.engines.batch import Answer, EngineCall
from ring2_orchestrator.engines.known import ENGINES, Engine, Heard

Verdict = Literal["exact", "differs", "not asked"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first call on which an engine and the reference disagree, and where.

    `output` and `place` say which byte of which output; without them the answers are of different
    kinds or lengths. `expected` is the reference's, `given` the engine's, each in words.
    """

    call: EngineCall
    expected: str
    given: str
    output: int | None = None
    place: int | None = None

    def __str__(self) -> str:
        where = "" if self.output is None else f", output {self.output}, byte {self.place}"
        return f"{self.call.what}{where}: {self.given} where the reference has {self.expected}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of asking one engine."""

    engine: str
    verdict: Verdict
    sentence: str
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What all engines answered to `calls` calls; `left_out` were too much for the limits."""

    calls: int
    left_out: int
    findings: tuple[Finding, ...]

    @property
    def exact(self) -> bool:
        """Whether no engine that was asked gave anything else."""
        return all(finding.verdict != "differs" for finding in self.findings)

    @property
    def sentence(self) -> str:
        """What is to be said of it, with the engines that were not asked."""
        differing = [one for one in self.findings if one.verdict == "differs"]
        if differing:
            return f"{differing[0].engine}: {differing[0].sentence}"
        asked = [one.engine for one in self.findings if one.verdict == "exact"]
        absent = [
            f"{one.engine} ({one.sentence})" for one in self.findings if one.verdict == "not asked"
        ]
        missing = f"; NOT ASKED: {'; '.join(absent)}" if absent else ""
        return f"EXACT on {self.calls:,} calls in {', '.join(asked)}{missing}"


def compare(
    kernel: Kernel,
    count: int,
    *,
    more: Sequence[EngineCall] = (),
    engines: Sequence[Engine] = ENGINES,
    budget: Budget | None = None,
    advance: Callable[[], None] = lambda: None,
) -> Comparison:
    """Ask every engine: patterns, `count` drawn inputs, what is made of them, and `more`.

    `advance` is called once for each engine. Raises UsedUpError where a budget ends before.
    """
    reference, *others = engines
    calls = [*_forward(kernel, count), *more]
    heard = reference.ask(kernel, calls, budget)
    back = [*_backward(calls, heard.answers)]
    answers = [*heard.answers, *reference.ask(kernel, back, budget).answers]
    pairs: list[tuple[EngineCall, Answer]] = [
        (call, answer)
        for call, answer in zip([*calls, *back], answers, strict=True)
        if answer is not None
    ]
    advance()
    findings = [Finding(reference.name, "exact", "the reference")]
    for engine in others:
        findings.append(_ask(engine, kernel, pairs, budget))
        advance()
    return Comparison(len(pairs), len(answers) - len(pairs), tuple(findings))


def _forward(kernel: Kernel, count: int) -> list[EngineCall]:
    every = [*cases.patterned(kernel.manifest), *cases.drawn(kernel, count)]
    return [_engine_call(kernel, abi.Op.FORWARD, case) for case in every]


def _engine_call(kernel: Kernel, op: abi.Op, case: Case) -> EngineCall:
    n_out = kernel.manifest.call_shape(op, case.params)[1]
    return EngineCall(op, case.params, tuple(case.inputs), n_out, case.what)


def _backward(calls: Sequence[EngineCall], answers: Sequence[Answer | None]) -> list[EngineCall]:
    """The inverse of what came of each call, and of bytes that no call makes."""
    back: list[EngineCall] = []
    for number, (call, answer) in enumerate(zip(calls, answers, strict=True)):
        if call.op is not abi.Op.FORWARD or not isinstance(answer, tuple):
            continue
        what = f"the inverse of {call.what}"
        one = EngineCall(abi.Op.INVERSE, call.params, answer, len(call.inputs), what)
        back.append(one)
        if number % 8 == 0:
            noise = tuple(cases.stream(call.what, len(data)) for data in answer)
            what = f"the inverse of noise as long as that of {call.what}"
            back.append(EngineCall(abi.Op.INVERSE, call.params, noise, len(call.inputs), what))
    return back


def _ask(
    engine: Engine,
    kernel: Kernel,
    pairs: Sequence[tuple[EngineCall, Answer]],
    budget: Budget | None,
) -> Finding:
    lacking = engine.lacking()
    if lacking is not None:
        return Finding(engine.name, "not asked", lacking)
    try:
        heard = engine.ask(kernel, [call for call, _ in pairs], budget)
    except OSError as error:  # no room for its files, say: nothing about the module
        return Finding(engine.name, "not asked", f"it could not be started: {error.strerror}")
    for (call, expected), given in zip(pairs, heard.answers, strict=False):
        if given != expected:
            difference = _difference(call, expected, given)
            return Finding(engine.name, "differs", str(difference), difference)
    return _whole(engine, heard, pairs)


def _whole(engine: Engine, heard: Heard, pairs: Sequence[tuple[EngineCall, Answer]]) -> Finding:
    """Whether an engine that answered as expected answered everything."""
    if len(heard.answers) == len(pairs):
        return Finding(engine.name, "exact", f"{len(pairs):,} calls")
    if heard.unable:
        return Finding(engine.name, "not asked", heard.stopped or "it could not be started")
    call, expected = next(islice(pairs, len(heard.answers), None))
    given = f"no answer ({heard.stopped or 'it ended too early'})"
    difference = Difference(call, _in_words(expected), given)
    return Finding(engine.name, "differs", str(difference), difference)


def _difference(call: EngineCall, expected: Answer, given: Answer | None) -> Difference:
    if isinstance(expected, tuple) and isinstance(given, tuple):
        for port, (ours, theirs) in enumerate(zip(expected, given, strict=False)):
            if ours == theirs or len(ours) != len(theirs):
                continue
            place = next(at for at, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
            return Difference(call, f"{ours[place]:#04x}", f"{theirs[place]:#04x}", port, place)
    return Difference(call, _in_words(expected), _in_words(given))


def _in_words(answer: Answer | None) -> str:
    if isinstance(answer, tuple):
        return f"outputs of {', '.join(f'{len(one):,}' for one in answer)} bytes"
    if isinstance(answer, int):
        return f"a refusal with code {answer}"
    return "a trap" if answer == "trapped" else answer or "no answer within its limits"
