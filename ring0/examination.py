"""The examination every kernel can be put to: its bytes first, then how it behaves.

Nothing the module does here can harm: what its bytes do not settle is settled by running it in a
worker process. Inputs are made from the kernel's CID, so an examination repeats exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cid_store.cid import Cid
from ring0 import instructions
from ring0.boundary import MIB, Boundary
from ring0.budget import Budget, UsedUpError
from ring0.errors import ManifestError, RefusedModuleError
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.manifest import SECTION, Manifest, parse_manifest
from ring0.module import breaches, inspect
from ring0.outcome import Result, sentence
from ring0.sections import ModuleInfo, parse
from ring0.subject import Advance, Depth, FailedError, Subject

QUICK = Depth()
# Shipped kernels take a few seconds on a quiet machine.
BUDGET_S = 120.0

# A module may be made to compile slowly within all caps. Honest ones take milliseconds.
COMPILING = Boundary(memory_bytes=64 * MIB, output_bytes=16 * MIB, wall_ms=1_500)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    sentence: str
    # False where the time did not suffice: then it is not passed, and nothing speaks against it.
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything that was looked at. It ends early when the rest cannot be looked at."""

    cid: Cid
    name: str | None
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether the module is a kernel as far as an examination can tell."""
        return all(check.passed for check in self.checks)

    @property
    def tried(self) -> bool:
        """Whether everything was looked at that was to be, as far as it could be."""
        return all(check.tried for check in self.checks)


def examine(
    wasm: bytes,
    host: Host,
    *,
    depth: Depth = QUICK,
    budget: Budget | None = None,
    advance: Advance = lambda: None,
) -> Examination:
    """Look at any bytes at all, for as long as the budget lasts. Never raises for what they are.

    `advance` is called `depth.steps` times at most, for a bar that shows how far it is.
    """
    checks: list[Check] = []
    name: str | None = None
    manifest = _examine_bytes(wasm, checks)
    if manifest is not None:
        name = manifest.name
    if manifest is not None and all(check.passed for check in checks):
        kernel = Kernel(Cid.of(wasm), wasm, manifest, inspect(wasm))
        subject = Subject(kernel, host, depth, budget or Budget(BUDGET_S), advance)
        _examine_behaviour(kernel, host, subject, checks)
    return Examination(Cid.of(wasm), name, tuple(checks))


def _examine_bytes(wasm: bytes, checks: list[Check]) -> Manifest | None:
    try:
        info = parse(wasm)
    except RefusedModuleError as refused:
        checks.append(Check("module", passed=False, sentence=f"{refused} ({refused.reason})"))
        return None
    checks.append(Check("module", passed=True, sentence=_module_sentence(info)))
    broken = [f"{breach} ({breach.reason})" for breach in breaches(info)]
    checks.append(
        Check(
            "border",
            passed=not broken,
            sentence="; ".join(broken) or "no imports, no start, `memory` and `run` of ABI v1",
        )
    )
    checks.append(_instructions(wasm, info))
    try:
        manifest = parse_manifest(info.custom(SECTION))
    except (ManifestError, RefusedModuleError) as error:
        checks.append(Check("manifest", passed=False, sentence=str(error)))
        return None
    checks.append(_claims(wasm, info, manifest))
    return manifest


def _claims(wasm: bytes, info: ModuleInfo, manifest: Manifest) -> Check:
    """What the manifest says that the bytes can confirm."""
    try:
        floats = instructions.FLOAT in instructions.scan(wasm, info)
    except RefusedModuleError:
        floats = False  # another check says what is wrong with the instructions
    if floats and not manifest.float:
        told = f"'{manifest.name}' says float = false, and it contains floating-point instructions"
        return Check("manifest", passed=False, sentence=told)
    return Check("manifest", passed=True, sentence=_manifest_sentence(manifest))


def _module_sentence(info: ModuleInfo) -> str:
    customs = ", ".join(f"{one.name!a} {len(one.payload):,} B" for one in info.customs) or "none"
    return (
        f"{info.size_bytes:,} bytes, {len(info.functions)} functions; "
        f"custom sections, which count towards the CID: {customs}"
    )


def _manifest_sentence(manifest: Manifest) -> str:
    types = f" on {', '.join(manifest.types)}" if manifest.types else ""
    return f"{manifest.kind} '{manifest.name}' version {manifest.version}{types}"


def _instructions(wasm: bytes, info: ModuleInfo) -> Check:
    name = "instructions"
    try:
        kinds = instructions.scan(wasm, info)
    except RefusedModuleError as refused:
        return Check(name, passed=False, sentence=f"{refused} ({refused.reason})")
    for kind in (instructions.MEMORY_GROW, instructions.MEMORY_SIZE):
        if kind in kinds:
            told = f"it contains {kind}, and what that answers depends on the host"
            return Check(name, passed=False, sentence=told)
    return Check(name, passed=True, sentence=", ".join(sorted(kinds)) or "whole numbers only")


def _examine_behaviour(kernel: Kernel, host: Host, subject: Subject, checks: list[Check]) -> None:
    compiled = host.check(kernel, COMPILING)
    if not isinstance(compiled, Result):
        checks.append(Check("compiles", passed=False, sentence=sentence(compiled)))
        return
    checks.append(Check("compiles", passed=True, sentence="within its limits"))
    for name, look in (
        ("first calls", subject.first_calls),
        ("round trip", subject.round_trip),
        ("lengths", subject.lengths),
        ("isolation", subject.isolation),
        ("refusals", subject.refusals),
        ("inverse", subject.inverse_of_anything),
    ):
        checks.append(_look(name, look))
        if subject.exhausted:
            return
    # A module that is refused anyway could take all the time there is.
    if subject.depth.long and all(check.passed for check in checks):
        checks.append(_look("long inputs", subject.long_inputs))


def _look(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, passed=True, sentence=look())
    except FailedError as failed:
        return Check(name, passed=False, sentence=str(failed))
    except UsedUpError as over:
        return Check(name, passed=False, sentence=str(over), tried=False)
