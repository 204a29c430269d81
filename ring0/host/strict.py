"""One call made in several ways, to catch what an honest kernel never does.

Only worker processes do this. The instance may have served other calls before, and its own pages
are left as those made them: what a kernel remembers then shows as an answer that differs from that
of a fresh instance.
"""

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from ring0 import abi
from ring0.host.call import REFUSED, RESULT, TRAPPED, Answer, Call, halted, no_room, perform
from ring0.host.engine import Stopped
from ring0.host.instance import Instance

# What lies between the regions, watched: at least the shorter number of bytes, at most both.
_FILL = 0xA5
_GAP_BYTES = 48

# A region by its kind and port: ("in", 0), ("out", 1), ("param", 0), ("scratch", 0), ("block", 0).
_Region = tuple[str, int]


class _LieError(Exception):
    """The kernel did what it must not; the answer says what."""

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(detail)
        self.answer = Answer(REFUSED, word=word, detail=detail)


class _Given(NamedTuple):
    """What an arranged call came to: its answer, and what its bound had asked for."""

    answer: Answer
    caps: Sequence[int] = ()
    scratch: int = 0


def perform_strictly(instance: Instance, call: Call, fuel: int | None) -> Answer:
    """The answer of the last of several calls that must all be alike, or what the kernel did.

    Its regions are laid out one after another, then elsewhere among other bytes, then each in turn
    at the very end of memory, then with less room than it asked for.
    """
    first, second = _again(instance, call, fuel), _again(instance, call, fuel)
    if first != second:
        return second  # it remembers, and would only seem to mind where its regions lie
    if first.kind == RESULT or (first.kind == REFUSED and first.code is not None):
        try:
            _elsewhere(instance, call, first, fuel)
        except _LieError as lie:
            if _again(instance, call, fuel) != first:
                return Answer(REFUSED, word="remembers", detail="a later call answers otherwise")
            return lie.answer
        except Stopped as stopped:
            return halted(stopped)
    return _again(instance, call, fuel)


def _again(instance: Instance, call: Call, fuel: int | None) -> Answer:
    instance.reset(instance.read(0, instance.base))
    instance.set_fuel(fuel)
    return perform(instance, call)


def _elsewhere(instance: Instance, call: Call, first: Answer, fuel: int | None) -> None:
    sizes = {("in", port): len(data) for port, data in enumerate(call.inputs)}
    given = _arranged(instance, call, fuel)
    _compare(first, given.answer, "when its regions lie elsewhere, among other bytes")
    if first.kind != RESULT:
        return
    sizes |= {("out", port): cap for port, cap in enumerate(given.caps)}
    sizes["scratch", 0] = given.scratch
    for region, size in sizes.items():
        # Regions start at multiples of 16, so only such a length lets one end where memory ends.
        if size and size % abi.ALIGNMENT == 0:
            where = f"when its {_name(region)} ends where memory ends"
            _compare(first, _arranged(instance, call, fuel, last=region).answer, where)
    for region, code in (
        *((("out", port), abi.Code.CAPACITY) for port in range(call.n_out)),
        (("scratch", 0), abi.Code.SCRATCH),
    ):
        if sizes[region]:
            _with_less(instance, call, fuel, region, code)


def _with_less(
    instance: Instance, call: Call, fuel: int | None, region: _Region, code: abi.Code
) -> None:
    try:
        answer = _arranged(instance, call, fuel, less=region).answer
        kept = answer.kind == REFUSED and answer.code == code
    except _LieError:
        kept = False
    if not kept:
        detail = f"with a byte less {_name(region)} than its bound says, it does not refuse"
        raise _LieError("bound-ignored", f"{detail} with code {code}")


def _compare(first: Answer, answer: Answer, where: str) -> None:
    if answer.kind == TRAPPED:
        raise _LieError("reads-beyond", f"it stops ({answer.word}) {where}")
    same = (answer.kind, answer.code, [*answer.outputs])
    if same != (first.kind, first.code, [*first.outputs]):
        raise _LieError("place-dependent", f"it answers something else {where}")


def _arranged(
    instance: Instance,
    call: Call,
    fuel: int | None,
    *,
    last: _Region | None = None,
    less: _Region | None = None,
) -> _Given:
    """The call with every byte around its regions watched. Raises _LieError and Stopped."""
    instance.reset(instance.read(0, instance.base))
    instance.set_fuel(fuel)
    try:
        return _Arrangement(instance, call).perform(last, less)
    except Stopped as stopped:
        return _Given(halted(stopped))


class _NoRoomError(Exception):
    """The machine, the module or the boundary gives no memory for this arrangement."""


class _Arrangement:
    """Memory laid out anew, with the module's own pages as they are."""

    def __init__(self, instance: Instance, call: Call) -> None:
        self._instance = instance
        self._call = call
        self._words = Struct(f"<{abi.block_words(len(call.inputs), call.n_out)}I")
        # Inputs the other way round, and the call block last of what is there from the start.
        self._data = {("in", port): bytes(data) for port, data in enumerate(call.inputs)}
        self._data = {**dict(reversed(self._data.items())), ("param", 0): call.params}

    def perform(self, last: _Region | None, less: _Region | None) -> _Given:
        """The bound, then the operation; what it writes elsewhere is a lie."""
        try:
            return self._perform(last, less)
        except _NoRoomError:
            return _Given(no_room(self._call.memory_bytes, within=False))

    def _perform(self, last: _Region | None, less: _Region | None) -> _Given:
        call = self._call
        sizes = {region: len(data) for region, data in self._data.items()}
        sizes["block", 0] = self._words.size
        places = self._lay_out(sizes, None)
        self._write_block(places, abi.Op(call.op).bound, (), 0)
        code = self._run(places, sizes, "asking for its bound")
        if code != abi.Code.DONE:
            return _Given(Answer(REFUSED, code))
        first = 6 + 2 * len(call.inputs)
        said = self._block(places)
        caps, scratch = [*said[first:-2:3]], said[-1]
        if sum(caps) > call.output_bytes:
            raise _NoRoomError
        asked = [*caps], scratch
        if less is not None and less[0] == "scratch":
            scratch -= 1
        elif less is not None:
            caps[less[1]] -= 1
        sizes["scratch", 0] = scratch
        sizes |= {("out", port): cap for port, cap in enumerate(caps)}
        places = self._lay_out(sizes, last)
        self._write_block(places, abi.Op(call.op), caps, scratch)
        code = self._run(places, sizes, "working")
        if code != abi.Code.DONE:
            return _Given(Answer(REFUSED, code), *asked)
        lengths = self._block(places)[first + 1 : -2 : 3]
        if any(length > cap for length, cap in zip(lengths, caps, strict=True)):
            raise _LieError("result-length", "an output claims more bytes than it has room for")
        outputs = [
            self._instance.read(places["out", port], length) for port, length in enumerate(lengths)
        ]
        return _Given(Answer(RESULT, 0, outputs=outputs), *asked)

    def _lay_out(self, sizes: dict[_Region, int], last: _Region | None) -> dict[_Region, int]:
        """Where each region begins, with fresh bytes in it and around it."""
        instance, places = self._instance, dict[_Region, int]()
        at = instance.base + _GAP_BYTES
        for region, size in sizes.items():
            if region != last:
                places[region] = at
                at = abi.align(at + size) + _GAP_BYTES
        end = at if last is None else at + sizes[last]
        if end > self._call.memory_bytes or not instance.grow_to(end):
            raise _NoRoomError
        if last is not None:
            places[last] = instance.size - sizes[last]
        instance.used = instance.size
        instance.fill(instance.base, instance.size - instance.base, _FILL)
        for region, size in sizes.items():
            if region in self._data:
                instance.write(places[region], self._data[region])
            else:
                instance.fill(places[region], size, 0)
        return places

    def _write_block(
        self, places: dict[_Region, int], op: abi.Op, caps: Sequence[int], scratch: int
    ) -> None:
        call = self._call
        words = [int(op), places["param", 0], len(call.params), len(call.inputs)]
        for port, data in enumerate(call.inputs):
            words += [places["in", port], len(data)]
        words.append(call.n_out)
        for port in range(call.n_out):
            words += [places["out", port], caps[port], 0] if caps else [0, 0, 0]
        words += [places.get(("scratch", 0), 0), scratch]
        self._instance.write(places["block", 0], self._words.pack(*words))
        # What the kernel may answer in it is zero there.
        self._blank = words

    def _block(self, places: dict[_Region, int]) -> tuple[int, ...]:
        return self._words.unpack(self._instance.read(places["block", 0], self._words.size))

    def _run(self, places: dict[_Region, int], sizes: dict[_Region, int], doing: str) -> int:
        """Call `run`; its code. What is not its to write must be what it was."""
        code = self._instance.run(places["block", 0])
        if not self._untouched(places, sizes):
            detail = f"it wrote outside its outputs and scratch while {doing}"
            raise _LieError("stray-write", detail)
        return code

    def _untouched(self, places: dict[_Region, int], sizes: dict[_Region, int]) -> bool:
        """Whether the host's part of memory is as it was laid out, but for what a kernel writes."""
        instance, at = self._instance, self._instance.base
        for region in sorted(places, key=places.__getitem__):
            place = places[region]
            data = self._data.get(region)
            if not instance.is_filled(at, place - at, _FILL):
                return False
            if data is not None and not instance.holds(place, data):
                return False
            at = place + sizes[region]
        return instance.is_filled(at, instance.size - at, _FILL) and self._is_block(places, sizes)

    def _is_block(self, places: dict[_Region, int], sizes: dict[_Region, int]) -> bool:
        """Whether the call block is as it was written, but for the answers in it."""
        working = ("scratch", 0) in sizes
        first = 5 + 2 * len(self._call.inputs)
        # The bound may write capacities and the scratch's length, an operation outputs' lengths.
        mine = [first + 3 * port + (2 if working else 1) for port in range(self._call.n_out)]
        words = [*self._block(places)]
        for word in mine if working else [*mine, len(words) - 1]:
            words[word] = 0
        return words == self._blank


def _name(region: _Region) -> str:
    kind, port = region
    return {"in": f"input {port}", "out": f"output {port}", "scratch": "scratch"}[kind]
