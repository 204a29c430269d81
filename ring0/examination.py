"""The examination every kernel can be put to: its bytes first, then how it behaves.

Nothing the module does here can harm: what its bytes do not settle is settled by running it in a
worker process. Inputs are made from BLAKE3's output stream, so an examination repeats exactly.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from blake3 import blake3

from cid_store.cid import Cid
from ring0 import abi, instructions
from ring0.boundary import MIB, Boundary
from ring0.errors import ManifestError, RefusedModuleError
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.manifest import SECTION, WIDTHS, Manifest, Port, parse_manifest
from ring0.module import breaches, inspect
from ring0.outcome import Outcome, Refused, Result, sentence
from ring0.sections import ModuleInfo, parse

# Inputs are at most 8 kB; an honest kernel needs a few dozen units of fuel a byte.
LIMITS = Boundary(fuel=20_000_000, memory_bytes=64 * MIB, output_bytes=16 * MIB, wall_ms=10_000)

_LANES = (0, 1, 2, 3, 7, 16, 33, 1_000)
_PATTERN_LANES = 65


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    sentence: str


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


class _FailedError(Exception):
    """A check failed; the text says how."""


def examine(wasm: bytes, host: Host) -> Examination:
    """Look at any bytes at all. Never raises for what they are."""
    checks: list[Check] = []
    name: str | None = None
    manifest = _examine_bytes(wasm, checks)
    if manifest is not None:
        name = manifest.name
    if manifest is not None and all(check.passed for check in checks):
        _examine_behaviour(Kernel(Cid.of(wasm), wasm, manifest, inspect(wasm)), host, checks)
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


def _examine_behaviour(kernel: Kernel, host: Host, checks: list[Check]) -> None:
    compiled = host.check(kernel, LIMITS)
    if not isinstance(compiled, Result):
        checks.append(Check("compiles", passed=False, sentence=sentence(compiled)))
        return
    checks.append(Check("compiles", passed=True, sentence="within its limits"))
    subject = _Subject(kernel, host)
    for name, look in (
        ("round trip", subject.round_trip),
        ("isolation", subject.isolation),
        ("refusals", subject.refusals),
        ("inverse", subject.inverse_of_anything),
    ):
        checks.append(_look(name, look))


def _look(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, passed=True, sentence=look())
    except _FailedError as failed:
        return Check(name, passed=False, sentence=str(failed))


@dataclass(frozen=True, slots=True)
class _Case:
    """One call: a type, parameters, inputs, and how to name it in a sentence."""

    dtype: str | None
    params: bytes
    inputs: list[bytes]
    default: bool
    what: str


class _Subject:
    """A kernel under examination."""

    def __init__(self, kernel: Kernel, host: Host) -> None:
        self._kernel = kernel
        self._host = host
        self._manifest = kernel.manifest

    def round_trip(self) -> str:
        """The inverse of what the forward operation gives is what it was given."""
        accepted: dict[str | None, int] = dict.fromkeys(self._dtypes(), 0)
        for case in self._cases():
            outcome = self._call(abi.Op.FORWARD, case.params, case.inputs)
            if not isinstance(outcome, Result):
                self._allow(outcome, case)
                continue
            accepted[case.dtype] += 1
            back = self._call(abi.Op.INVERSE, case.params, outcome.outputs)
            if not isinstance(back, Result):
                raise _FailedError(f"{case.what}: the inverse {sentence(back)}")
            if back.outputs != case.inputs:
                raise _FailedError(f"{case.what}: the inverse gives other bytes than went in")
            if self._manifest.kind == "involution" and self._again(case, outcome) != case.inputs:
                raise _FailedError(f"{case.what}: applying it twice gives other bytes")
        for dtype, count in accepted.items():
            if count == 0:
                raise _FailedError(f"it accepts none of the inputs tried for {dtype or 'it'}")
        return f"{sum(accepted.values())} inputs went through and came back"

    def isolation(self) -> str:
        """Nothing is written outside the outputs, nothing is remembered."""
        count = 0
        for case in self._cases():
            prepared = self._host.prepare(self._kernel, abi.Op.FORWARD, case.params)
            plain = prepared(case.inputs, LIMITS)
            if not isinstance(plain, Result):
                continue
            strict = prepared.strictly(case.inputs, LIMITS)
            if isinstance(strict, Refused):
                raise _FailedError(f"{case.what}: {sentence(strict)}")
            if strict != plain:
                raise _FailedError(f"{case.what}: a second call on the same instance differs")
            count += 1
        return f"{count} calls repeated without a reset gave the same bytes and used the same fuel"

    def refusals(self) -> str:
        """What is outside the domain is refused with the code that says so."""
        case = next(iter(self._cases()))
        params, inputs = case.params, case.inputs
        self._expect(params + b"\0", inputs, abi.Code.BAD_PARAMETER, "a byte after the parameters")
        self._expect(params, [*inputs, b""], abi.Code.CALL_SHAPE, "one input too many")
        self._expect(params, inputs[:-1], abi.Code.CALL_SHAPE, "one input too few")
        if params:
            self._expect(params[:-1], inputs, abi.Code.BAD_PARAMETER, "parameters cut short")
        for dtype in self._dtypes():
            ragged = [bytes(_width(port, dtype) - 1) for port in self._manifest.inputs]
            if any(ragged):
                params = self._manifest.encode_parameters({}, dtype=dtype)
                self._expect(params, ragged, abi.Code.OUTSIDE_DOMAIN, "a stream that ends mid-lane")
        return "wrong parameters, port counts and lengths are refused, each with its code"

    def inverse_of_anything(self) -> str:
        """The inverse refuses what the forward operation never makes, or is undone by it."""
        made = refused = 0
        for dtype in self._dtypes():
            params = self._manifest.encode_parameters({}, dtype=dtype)
            ports = self._manifest.call_shape(abi.Op.FORWARD, params)[1]
            for length in (0, 1, 2, 3, 8, 24, 96, 240):
                label = f"inverse {dtype} {length}"
                given = [_stream(f"{label} {port}", length) for port in range(ports)]
                back = self._call(abi.Op.INVERSE, params, given)
                what = f"inverse of {length} arbitrary bytes{_of(dtype)}"
                if isinstance(back, Result):
                    made += 1
                    again = self._call(abi.Op.FORWARD, params, back.outputs)
                    if not isinstance(again, Result) or again.outputs != given:
                        raise _FailedError(f"{what}: it accepts bytes that it never makes")
                elif isinstance(back, Refused) and back.code in (1, 3):
                    refused += 1
                else:
                    raise _FailedError(f"{what}: {sentence(back)}")
        return f"of arbitrary bytes, {made} were undone exactly and {refused} refused"

    def _call(self, op: abi.Op, params: bytes, inputs: Sequence[bytes]) -> Outcome:
        return self._host.call(self._kernel, op, params, inputs, LIMITS)

    def _again(self, case: _Case, outcome: Result) -> list[bytes]:
        twice = self._call(abi.Op.FORWARD, case.params, outcome.outputs)
        return twice.outputs if isinstance(twice, Result) else []

    def _allow(self, outcome: Outcome, case: _Case) -> None:
        """A refusal may be right; every other end is a failure."""
        allowed = {abi.Code.OUTSIDE_DOMAIN}
        if not case.default:
            allowed.add(abi.Code.BAD_PARAMETER)
        if not isinstance(outcome, Refused) or outcome.code not in allowed:
            raise _FailedError(f"{case.what}: {sentence(outcome)}")

    def _expect(self, params: bytes, inputs: Sequence[bytes], code: abi.Code, what: str) -> None:
        outcome = self._call(abi.Op.FORWARD, params, inputs)
        if not isinstance(outcome, Refused) or outcome.code != code:
            raise _FailedError(f"{what} must be refused with code {code}: {sentence(outcome)}")

    def _dtypes(self) -> tuple[str | None, ...]:
        return self._manifest.types or (None,)

    def _cases(self) -> Iterator[_Case]:
        manifest = self._manifest
        for dtype, choice in product(self._dtypes(), ("default", "min", "max")):
            values = {one.name: int(getattr(one, choice)) for one in manifest.parameters}
            if not values and choice != "default":
                continue
            params = manifest.encode_parameters(values, dtype=dtype)
            for what, lanes, pattern in _inputs():
                widths = [_width(port, dtype) for port in manifest.inputs]
                yield _Case(
                    dtype,
                    params,
                    [pattern(lanes * width) for width in widths],
                    choice == "default",
                    f"{lanes} lanes of {what}{_of(dtype)}, {choice} parameters",
                )


def _inputs() -> Iterator[tuple[str, int, Callable[[int], bytes]]]:
    for lanes in _LANES:
        yield "noise", lanes, lambda length: _stream("noise", length)
    yield "zeros", _PATTERN_LANES, bytes
    yield "ones", _PATTERN_LANES, lambda length: b"\xff" * length
    yield "a ramp", _PATTERN_LANES, lambda length: bytes(at % 256 for at in range(length))


def _stream(label: str, length: int) -> bytes:
    return blake3(label.encode()).digest(length=length)


def _width(port: Port, dtype: str | None) -> int:
    return WIDTHS.get(port.type) or WIDTHS[dtype or "u8"]


def _of(dtype: str | None) -> str:
    return f" of {dtype}" if dtype else ""
