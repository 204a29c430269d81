"""A kernel under examination: what it does, beside what it may do.

Nothing here can be harmed by it: every call is made by a host, in a worker process unless the
kernel is one of the host's own.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ring0 import abi, cases
from ring0.boundary import MIB, Boundary
from ring0.budget import Budget, UsedUpError
from ring0.cases import Case
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Outcome, OutOfFuel, Refused, Result, TimedOut, sentence

# Inputs are a few dozen kB at most; the slowest kernel that ships mixes models, and takes up to 70
# million units of fuel for one of them.
LIMITS = Boundary(fuel=500_000_000, memory_bytes=64 * MIB, output_bytes=16 * MIB, wall_ms=10_000)

# For so few bytes, those take a million at most. The clock is for what takes longer than its fuel
# says, such as fills of no bytes.
FIRST_LIMITS = replace(LIMITS, fuel=100_000_000, wall_ms=500)
_FIRST_BYTES = 40

# A strict call is some ten plain ones, of which each has its own fuel.
_STRICT_TIMES = 10

# Beyond that, a call takes as long as there is time for the examination.
LONG_LIMITS = Boundary(
    fuel=1 << 50, memory_bytes=512 * MIB, output_bytes=256 * MIB, wall_ms=1 << 31
)

Advance = Callable[[], None]


_OTHERS = "other inputs"


class FailedError(Exception):
    """A check failed; the text says how."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How far to look: so many drawn inputs, every length up to so many bytes, and long inputs."""

    cases: int = 300
    lengths: int = 130
    long: bool = True

    # So many of the drawn inputs are also watched call by call, which takes ten times as long.
    @property
    def watched(self) -> int:
        """How many drawn inputs the kernel is given with every byte around them watched."""
        return min(self.cases, 60 + self.cases // 20)

    @property
    def steps(self) -> int:
        """How often `Subject` says that it has gone on."""
        return self.cases + self.watched


class Subject:
    """Each look raises FailedError, or gives a sentence about what was seen.

    A look that the time does not suffice for raises UsedUpError.
    """

    def __init__(
        self, kernel: Kernel, host: Host, depth: Depth, budget: Budget, advance: Advance
    ) -> None:
        self._kernel = kernel
        self._host = host
        self._manifest = kernel.manifest
        self.depth = depth
        self._budget = budget
        self._advance = advance
        # Whether a call used all of its fuel or time, as every further one could.
        self.exhausted = False
        # What is about to be tried.
        self._next = _OTHERS
        self._limits = Boundary() if host.is_base(kernel) else LIMITS

    def first_calls(self) -> str:
        """Small inputs are answered, whatever the answers are: it does not just burn time."""
        count = 0
        with self._within(FIRST_LIMITS):
            for case in self._in_time(cases.patterned(self._manifest)):
                if case.default and sum(map(len, case.inputs)) <= _FIRST_BYTES:
                    outcome = self._call(abi.Op.FORWARD, case.params, case.inputs)
                    if isinstance(outcome, Result):
                        self._call(abi.Op.INVERSE, case.params, outcome.outputs)
                    count += 1
        return f"{count:,} small inputs are answered, each way"

    def round_trip(self) -> str:
        """The inverse of what the forward operation gives is what it was given."""
        accepted: dict[str | None, int] = dict.fromkeys(cases.dtypes(self._manifest), 0)
        for case in self._cases(self.depth.cases):
            accepted[case.dtype] += self._there_and_back(case)
        for dtype, count in accepted.items():
            if count == 0:
                raise FailedError(f"it accepts none of the inputs tried for {dtype or 'it'}")
        return f"{sum(accepted.values()):,} inputs went through and came back"

    def lengths(self) -> str:
        """Whole lanes of every length come back; what ends inside a lane is refused, both ways."""
        whole = refused = 0
        for case in self._in_time(cases.of_every_length(self._manifest, self.depth.lengths)):
            widths = cases.streams(self._manifest.inputs, case.dtype)
            if not any(len(case.inputs[0]) % width for width in widths):
                whole += self._there_and_back(case)
                continue
            outcome = self._call(abi.Op.FORWARD, case.params, case.inputs)
            _expect(outcome, abi.Code.OUTSIDE_DOMAIN, f"{case.what}, not whole lanes,")
            refused += 1
        return f"of 0 to {self.depth.lengths:,} bytes, {whole:,} came back and {refused:,} refused"

    def long_inputs(self) -> str:
        """What is longer than most data in tests comes back as well."""
        accepted = refused = longest = 0
        with self._within(LONG_LIMITS):
            for case in self._in_time(cases.long(self._kernel)):
                if self._there_and_back(case):
                    accepted += 1
                    longest = max(longest, sum(map(len, case.inputs)))
                else:
                    refused += 1
        if not accepted:
            return f"none went through: it refuses all of {refused:,}"
        back = f"{accepted:,} inputs of up to {longest:,} bytes went through and came back"
        return f"{back}, {refused:,} refused" if refused else back

    def isolation(self) -> str:
        """Only the outputs are written, only the inputs read, and nothing is remembered."""
        count = 0
        for case in self._cases(self.depth.watched):
            forward = self._watched(abi.Op.FORWARD, case.params, case.inputs, case.what)
            if isinstance(forward, Result):
                what = f"{case.what}, the inverse"
                self._watched(abi.Op.INVERSE, case.params, forward.outputs, what)
            count += 1
        return f"{count:,} inputs alike on a used instance, elsewhere, at memory's end, among noise"

    def refusals(self) -> str:
        """What is outside the domain is refused with the code that says so."""
        case = next(cases.patterned(self._manifest))
        params, inputs = case.params, case.inputs
        for wrong, given, code, what in (
            (params + b"\0", inputs, abi.Code.BAD_PARAMETER, "a byte after the parameters"),
            (params, [*inputs, b""], abi.Code.CALL_SHAPE, "one input too many"),
            (params, inputs[:-1], abi.Code.CALL_SHAPE, "one input too few"),
            *(
                [(params[:-1], inputs, abi.Code.BAD_PARAMETER, "parameters cut short")]
                * bool(params)
            ),
        ):
            for op, ports in ((abi.Op.FORWARD, given), (abi.Op.INVERSE, self._back(wrong, given))):
                self._next = f"{what} ({op.name.lower()})"
                _expect(self._call(op, wrong, ports), code, self._next)
        self._parameters(inputs)
        return "wrong parameters and port counts are refused, each with its code"

    def inverse_of_anything(self) -> str:
        """The inverse refuses what the forward operation never makes, or is undone by it."""
        made = refused = 0
        for params, given, what in self._anything():
            self._next = what
            back = self._call(abi.Op.INVERSE, params, given)
            if isinstance(back, Result):
                made += 1
                self._made_again(params, given, back, what)
            elif isinstance(back, Refused) and back.code in (1, 3):
                refused += 1
            else:
                raise FailedError(f"{what}: {sentence(back)}")
        return f"of arbitrary bytes, {made:,} were undone exactly and {refused:,} refused"

    @contextmanager
    def _within(self, limits: Boundary) -> Generator[None]:
        """Other limits for a while, but for the host's own kernels."""
        usual = self._limits
        if not self._host.is_base(self._kernel):
            self._limits = limits
        try:
            yield
        finally:
            self._limits = usual

    def _cases(self, count: int) -> Iterator[Case]:
        yield from self._in_time(cases.patterned(self._manifest))
        for case in self._in_time(cases.drawn(self._kernel, count)):
            self._advance()
            yield case

    def _in_time(self, given: Iterable[Case]) -> Iterator[Case]:
        """The same cases, for as long as there is time."""
        for case in given:
            self._next = case.what
            self._require_time()
            yield case
        self._next = _OTHERS

    def _require_time(self) -> None:
        if self._budget.used_up:
            raise UsedUpError(f"{self._next} and what follows were not tried: the time was used up")

    def _there_and_back(self, case: Case) -> bool:
        """Whether the kernel accepts the case, which then must come back."""
        outcome = self._call(abi.Op.FORWARD, case.params, case.inputs)
        if not isinstance(outcome, Result):
            _allow(outcome, case)
            return False
        back = self._call(abi.Op.INVERSE, case.params, outcome.outputs)
        if not isinstance(back, Result):
            raise FailedError(f"{case.what}: the inverse {sentence(back)}")
        if back.outputs != case.inputs:
            raise FailedError(f"{case.what}: the inverse gives other bytes than went in")
        if self._manifest.kind == "involution" and self._again(case, outcome) != case.inputs:
            raise FailedError(f"{case.what}: applying it twice gives other bytes")
        return True

    def _watched(self, op: abi.Op, params: bytes, inputs: Sequence[bytes], what: str) -> Outcome:
        prepared = self._host.prepare(self._kernel, op, params)
        plain = self._timed(op, LIMITS, lambda limits: prepared(inputs, limits))
        longer = replace(LIMITS, wall_ms=_STRICT_TIMES * LIMITS.wall_ms)
        strict = self._timed(op, longer, lambda limits: prepared.strictly(inputs, limits))
        if isinstance(strict, Refused) and strict.code is None:
            raise FailedError(f"{what}: {sentence(strict)}")
        if strict != plain:
            raise FailedError(f"{what}: a second call on the same instance differs")
        return plain

    def _anything(self) -> Iterator[tuple[bytes, list[bytes], str]]:
        """Bytes that nobody vouches for: noise, and outputs with a bit changed or the end cut."""
        for dtype in cases.dtypes(self._manifest):
            params = self._manifest.encode_parameters({}, dtype=dtype)
            ports = self._manifest.call_shape(abi.Op.FORWARD, params)[1]
            for length in (0, 1, 2, 3, 8, 24, 96, 240):
                label = f"inverse {dtype} {length}"
                given = [cases.stream(f"{label} {port}", length) for port in range(ports)]
                yield params, given, f"inverse of {length} arbitrary bytes{cases.of_type(dtype)}"
        for number, case in enumerate(cases.drawn(self._kernel, self.depth.cases // 3)):
            outcome = self._call(abi.Op.FORWARD, case.params, case.inputs)
            if isinstance(outcome, Result):
                yield case.params, _damaged(outcome.outputs, number), f"{case.what}, damaged"

    def _made_again(self, params: bytes, given: list[bytes], back: Result, what: str) -> None:
        """A codec's inverse may accept what its forward operation writes otherwise."""
        again = self._call(abi.Op.FORWARD, params, back.outputs)
        if not isinstance(again, Result):
            raise FailedError(
                f"{what}: the inverse gives what is then not accepted: {sentence(again)}"
            )
        if again.outputs == given:
            return
        if self._manifest.kind != "codec":
            raise FailedError(f"{what}: it accepts bytes that it never makes")
        twice = self._call(abi.Op.INVERSE, params, again.outputs)
        if not isinstance(twice, Result) or twice.outputs != back.outputs:
            raise FailedError(f"{what}: what the inverse gives does not come back")

    def _parameters(self, inputs: Sequence[bytes]) -> None:
        """One past either end of each range is refused, and so is a number in a longer form."""
        for dtype in cases.dtypes(self._manifest):
            for params, what in cases.wrong_parameters(self._manifest, dtype):
                count = self._manifest.call_shape(abi.Op.FORWARD, params)[0]
                given = [bytes(48)] * count if count != len(inputs) else [*inputs]
                self._next = what
                outcome = self._call(abi.Op.FORWARD, params, given)
                _expect(outcome, abi.Code.BAD_PARAMETER, what)

    def _back(self, params: bytes, given: Sequence[bytes]) -> list[bytes]:
        """As many streams more or fewer than the inverse takes as `given` has of the forward."""
        taken, made = self._manifest.port_counts(params)
        return [bytes(48)] * (made + len(given) - taken)

    def _call(self, op: abi.Op, params: bytes, inputs: Sequence[bytes]) -> Outcome:
        call = self._host.prepare(self._kernel, op, params)
        return self._timed(op, self._limits, lambda limits: call(inputs, limits))

    def _timed(self, op: abi.Op, limits: Boundary, call: Callable[[Boundary], Outcome]) -> Outcome:
        """What the call comes to in the time there is, if it comes to an end in its limits."""
        self._require_time()
        wall_ms = self._budget.wall_ms(limits.wall_ms)
        outcome = call(limits if wall_ms == limits.wall_ms else replace(limits, wall_ms=wall_ms))
        if isinstance(outcome, TimedOut) and wall_ms < limits.wall_ms:
            raise UsedUpError(
                f"{self._next} did not come to an end, and what follows was not tried: "
                "the time was used up"
            )
        if isinstance(outcome, OutOfFuel | TimedOut):
            self.exhausted = True
            inverse = "the inverse " if op == abi.Op.INVERSE else ""
            raise FailedError(f"{self._next}: {inverse}{sentence(outcome)}; no more was tried")
        return outcome

    def _again(self, case: Case, outcome: Result) -> list[bytes]:
        twice = self._call(abi.Op.FORWARD, case.params, outcome.outputs)
        return twice.outputs if isinstance(twice, Result) else []


def _damaged(outputs: list[bytes], number: int) -> list[bytes]:
    """One of them with a bit flipped, or shorter; by turns."""
    port = number % len(outputs)
    data = bytearray(outputs[port])
    if number % 3 == 0 or not data:
        data = data[:-1]
    else:
        data[number * 7919 % len(data)] ^= 1 << number % 8
    return [*outputs[:port], bytes(data), *outputs[port + 1 :]]


def _allow(outcome: Outcome, case: Case) -> None:
    """A refusal may be right; every other end is a failure."""
    allowed = {abi.Code.OUTSIDE_DOMAIN}
    if not case.default:
        allowed.add(abi.Code.BAD_PARAMETER)
    if not isinstance(outcome, Refused) or outcome.code not in allowed:
        raise FailedError(f"{case.what}: {sentence(outcome)}")


def _expect(outcome: Outcome, code: abi.Code, what: str) -> None:
    if not isinstance(outcome, Refused) or outcome.code != code:
        raise FailedError(f"{what} must be refused with code {code}: {sentence(outcome)}")
