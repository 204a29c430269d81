"""The whole examination of a module: its bytes, its behaviour, its answers in other engines."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ring0.budget import Budget, UsedUpError
from ring0.examination import QUICK, Check, Depth, Examination
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.verdicts import Verdicts
from ring2_orchestrator.engines import ENGINES, Comparison, Finding, compare

# More drawn inputs than these go to the host's engine alone: the others are asked in files.
ENGINE_CASES = 2_000

Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and the engines' answers where they were asked."""

    examination: Examination
    comparison: Comparison | None

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the module."""
        return self.examination.passed and (self.comparison is None or self.comparison.exact)

    @property
    def refused(self) -> bool:
        """Whether something does; a module may be neither, where the time did not suffice."""
        return any(not check.passed and check.tried for check in self.checks)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check, the engines' last."""
        if self.comparison is None:
            return self.examination.checks
        engines = Check("engines", passed=self.comparison.exact, sentence=self.comparison.sentence)
        return (*self.examination.checks, engines)

    @property
    def whole(self) -> Examination:
        """The examination with every check."""
        return replace(self.examination, checks=self.checks)


def steps(depth: Depth) -> int:
    """How often `check` says that it has gone on, at most."""
    return depth.steps + len(ENGINES)


def check(
    wasm: bytes,
    verdicts: Verdicts,
    *,
    depth: Depth = QUICK,
    budget: Budget | None = None,
    engines: bool = True,
    advance: Advance = lambda: None,
) -> Checked:
    """Examine any bytes at all within a budget. The engines are asked about what passes all else.

    `verdicts` are those of earlier examinations, which need not be made again.
    """
    with Host() as host:
        examination = verdicts.examine(wasm, host, depth=depth, budget=budget, advance=advance)
    if not (engines and examination.passed):
        return Checked(examination, None)
    count = min(depth.cases, ENGINE_CASES)
    kernel = Kernel.from_wasm(wasm)
    try:
        return Checked(examination, compare(kernel, count, budget=budget, advance=advance))
    except UsedUpError as over:
        untried = Check("engines", passed=False, sentence=str(over), tried=False)
        return Checked(replace(examination, checks=(*examination.checks, untried)), None)


def facts(checked: Checked) -> dict[str, object]:
    """All that was found, for programs."""
    found: dict[str, object] = {
        "cid": str(checked.examination.cid),
        "name": checked.examination.name,
        "passed": checked.passed,
        "checks": [
            {
                "name": check.name,
                "passed": check.passed,
                "tried": check.tried,
                "sentence": check.sentence,
            }
            for check in checked.checks
        ],
        "engines": None,
    }
    if checked.comparison is not None:
        found["engines"] = {
            "calls": checked.comparison.calls,
            "left_out": checked.comparison.left_out,
            "findings": [_finding_facts(finding) for finding in checked.comparison.findings],
        }
    return found


def _finding_facts(finding: Finding) -> dict[str, object]:
    facts: dict[str, object] = {
        "engine": finding.engine,
        "verdict": finding.verdict,
        "sentence": finding.sentence,
        "difference": None,
    }
    found = finding.difference
    if found is not None:
        facts["difference"] = {
            "operation": found.call.op.name.lower(),
            "parameters": found.call.params.hex(),
            "inputs": [data.hex() for data in found.call.inputs],
            "input": found.call.what,
            "output": found.output,
            "byte": found.place,
            "expected": found.expected,
            "given": found.given,
        }
    return facts
