"""One ABI v1 call on an instance: lay out memory, ask for the bound, make room, run, check.

Used alike in this process and in worker processes, which is why it deals in plain tuples and
imports next to nothing.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, NamedTuple

from ring0 import abi
from ring0.host.engine import (
    INSTANTIATION,
    INTERRUPT,
    INVALID,
    NO_ADDRESSES,
    OUT_OF_FUEL,
    OUT_OF_MEMORY,
    Stopped,
)
from ring0.host.instance import Instance

# The kinds of an answer; `ring0.host.answers` makes outcomes of them.
RESULT, REFUSED, TRAPPED, NO_FUEL, NO_TIME, NO_MEMORY = range(6)
_KINDS = {
    INVALID: REFUSED,
    INSTANTIATION: REFUSED,
    OUT_OF_FUEL: NO_FUEL,
    INTERRUPT: NO_TIME,
    OUT_OF_MEMORY: NO_MEMORY,
    NO_ADDRESSES: NO_MEMORY,
}
# The word of the answer when a worker process died for no reason that is known.
WORKER_DIED = "worker-died"
# The word of the answer to a call that asks for more memory than it may have on any machine.
BEYOND = "beyond-limit"
_DONE = 0


class Answer(NamedTuple):
    """An outcome before it has its type: kind, kernel code, words, output bytes, fuel."""

    kind: int
    code: int | None = None
    word: str = ""
    detail: str = ""
    outputs: Sequence[bytes] = ()
    fuel: int | None = None


class Call(NamedTuple):
    """What to do, and how much of memory and output it may take."""

    op: int
    params: bytes
    inputs: Sequence[Any]
    n_out: int
    memory_bytes: int
    output_bytes: int


class Shape(NamedTuple):
    """What is known of a call from its lengths alone."""

    preamble: bytes  # the call block of the bound operation, then the parameters
    words: Struct
    head: tuple[int, ...]  # the words between the operation and the first output
    inputs: tuple[int, ...]
    end: int


class EndedError(Exception):
    """The call is over, with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.detail)
        self.answer = answer


def perform(instance: Instance, call: Call) -> Answer:
    """Run the bound and then the operation. The instance needs a reset, or its end, afterwards."""
    try:
        return Answer(RESULT, _DONE, outputs=_perform(instance, call))
    except EndedError as ended:
        return ended.answer
    except Stopped as stopped:
        return halted(stopped)


def metered(instance: Instance, answer: Answer) -> Answer:
    """The answer with the fuel it took, or that it took more than it had."""
    used = instance.fuel_used()
    return Answer(NO_FUEL) if used is None else answer._replace(fuel=used)


def halted(stopped: Stopped) -> Answer:
    """The answer of a call that the engine stopped."""
    kind = _KINDS.get(stopped.code, TRAPPED)
    return Answer(kind, word=stopped.code, detail=stopped.detail)


def refused(code: int) -> Answer:
    """The answer of a call whose kernel returned something else than that it is done."""
    unknown = ("unknown-code", "the kernel returned a code that ABI v1 does not have")
    return Answer(REFUSED, code, *abi.REFUSALS.get(code, unknown))


def too_much_output(needed: int, allowed: int) -> Answer:
    """The answer of a call that may not have as much output as it needs."""
    detail = f"it needs room for {needed:,} output bytes; {allowed:,} are allowed"
    return Answer(REFUSED, word="output-limit", detail=detail)


def too_long(port: int, claimed: int, room: int) -> Answer:
    """The answer of a call whose output says that it is longer than its place."""
    detail = f"output {port} claims {claimed:,} bytes and has room for {room:,}"
    return Answer(REFUSED, word="result-length", detail=detail)


def no_room(needed: int, *, within: bool) -> Answer:
    """The answer of a call that got too little memory, `within` its boundary or by it."""
    who = "machine does" if within else "boundary or module do"
    detail = f"the call needs {needed:,} bytes of memory, which its {who} not give"
    return Answer(NO_MEMORY, word="" if within else BEYOND, detail=detail)


def lay_out(instance: Instance, call: Call, lengths: tuple[int, ...]) -> Shape:
    """Make room and write everything but the inputs' bytes. Raises EndedError."""
    shape = _shape(call.op & ~1, instance.base, call.params, lengths, call.n_out)
    _make_room(instance, shape.end, call.memory_bytes)
    instance.write(instance.base, shape.preamble)
    return shape


def work(instance: Instance, call: Call, shape: Shape) -> list[tuple[int, int]]:
    """Do what is laid out: where each output lies, and its length. Raises EndedError, Stopped."""
    op, _, _, n_out, memory_bytes, output_bytes = call
    base = instance.base
    _run(instance)

    # The kernel's numbers are only ever sizes: unsigned, and checked before memory is given.
    words, head = shape.words, shape.head
    block = instance.window(base, words.size)
    said = words.unpack_from(block)
    first = len(head) + 2
    sizes, scratch = said[first:-2:3], said[-1]
    if sum(sizes) > output_bytes:
        raise EndedError(too_much_output(sum(sizes), output_bytes))
    places = _places(shape.end, (*sizes, scratch))
    if places[-1] > min(instance.size, memory_bytes):
        _make_room(instance, places[-1], memory_bytes)
        block = instance.window(base, words.size)  # memory may lie elsewhere now
    instance.used = places[-1]
    room = [word for at in range(n_out) for word in (places[at], sizes[at], 0)]
    words.pack_into(block, 0, op, *head, *room, places[n_out], scratch)
    _run(instance)

    written = words.unpack_from(block)[first + 1 : -2 : 3]
    for at in range(n_out):
        if written[at] > sizes[at]:
            raise EndedError(too_long(at, written[at], sizes[at]))
    return [(places[at], written[at]) for at in range(n_out)]


def _perform(instance: Instance, call: Call) -> list[bytes]:
    shape = lay_out(instance, call, tuple(map(len, call.inputs)))
    for address, data in zip(shape.inputs, call.inputs, strict=True):
        instance.write(address, data)
    return [instance.read(at, length) for at, length in work(instance, call, shape)]


@lru_cache(maxsize=256)
def _shape(op: int, base: int, params: bytes, lengths: tuple[int, ...], n_out: int) -> Shape:
    layout = abi.Layout.after(base, len(params), lengths, n_out)
    words = Struct(f"<{abi.block_words(len(lengths), n_out)}I")
    ports = [word for pair in zip(layout.inputs, lengths, strict=True) for word in pair]
    head = (layout.param, len(params), len(lengths), *ports, n_out)
    if layout.end > abi.MEMORY_BYTES:
        preamble = b""  # addresses that do not fit; the boundary refuses the call
    else:
        block = words.pack(op, *head, *(0,) * (3 * n_out + 2))
        preamble = block.ljust(layout.param - base, b"\0") + params
    return Shape(preamble, words, head, layout.inputs, layout.end)


def _make_room(instance: Instance, needed: int, allowed: int) -> None:
    if needed > allowed or not instance.grow_to(needed):
        raise EndedError(no_room(needed, within=needed <= allowed))
    instance.used = needed


def _run(instance: Instance) -> None:
    code = instance.run(instance.base)
    if code != _DONE:
        raise EndedError(refused(code))


def _places(start: int, sizes: Sequence[int]) -> list[int]:
    """Where regions of those sizes lie from `start` on; the last number is the end of all."""
    places = [start]
    for size in sizes:
        places.append(abi.align(places[-1] + size))
    return places
