"""The whole examination of a module: its bytes, its behaviour, its answers in other engines."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ring0.examination import QUICK, Check, Depth, Examination
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.verdicts import Verdicts
from ring2_orchestrator.engines import ENGINES, Comparison, compare

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
    engines: bool = True,
    advance: Advance = lambda: None,
) -> Checked:
    """Examine any bytes at all. The engines are asked about what passes everything else.

    `verdicts` are those of earlier examinations, which need not be made again.
    """
    with Host() as host:
        examination = verdicts.examine(wasm, host, depth=depth, advance=advance)
    if not (engines and examination.passed):
        return Checked(examination, None)
    count = min(depth.cases, ENGINE_CASES)
    return Checked(examination, compare(Kernel.from_wasm(wasm), count, advance=advance))
