"""Packing and unpacking whole files: plan, write, verify by decoding, and only then accept."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO

from cid_store.errors import InputError
from ring0.execution import StepFailedError, WorkLimitError
from ring0.plan import Plan
from ring2_orchestrator.container import (
    BLOCK_BYTES,
    MAX_BLOCK,
    Advance,
    Container,
    Contents,
    FileSource,
    Original,
    Segment,
    Source,
    limits,
    stored_size,
    write_planned,
    write_stored,
)
from ring2_orchestrator.finalists import finalists_of
from ring2_orchestrator.fronts import Layout, recognise
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.held import gives_back, hand_over, held
from ring2_orchestrator.packing_divided import divide, rivals
from ring2_orchestrator.planner import FALLBACK, Profile, Proposal, in_turn, so_far, take_sample
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.undressing import Undressing
from ring2_orchestrator.winners import Winners

STORE = "store"

_AMPLE_FUEL = 1 << 62


@dataclass(frozen=True, slots=True)
class Trial:
    """What was tried on everything: a plan, or the parts of a format, which have plans each.

    `container_bytes` is None when it was not smaller than another. `verified` is False when
    decoding did not give the bytes back, which is a kernel's bug.
    """

    gene: str
    plan: Plan | None
    expected_bytes: int | None
    container_bytes: int | None
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing came to. `plan` is None where storing the bytes cost least.

    So it is where the file was packed in parts; then `gene` is its format.
    """

    gene: str
    plan: Plan | None
    original_bytes: int
    container_bytes: int
    digest: bytes
    segments: tuple[Segment, ...]
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Segments to be tried, or one under a plan that was proposed."""

    name: str
    segments: tuple[Segment, ...]
    proposal: Proposal | None = None
    room: int = 0

    @property
    def plan(self) -> Plan | None:
        return None if self.proposal is None else self.proposal.plan


@dataclass(frozen=True, slots=True)
class _Finalist:
    candidate: _Candidate
    size: int
    file: IO[bytes]


def pack(
    source: Source,
    out: IO[bytes],
    genes: Sequence[Gene],
    tools: Toolbox,
    *,
    profile: Profile | None = None,
    contents: Contents = Contents.FILE,
    in_parts: bool = True,
    winners: Winners | None = None,
    advance: Advance | None = None,
) -> Packed:
    """Write the smallest container that the genes, or plain storing, make of the source.

    With a profile, plans are searched for beyond the genes, and none decodes more slowly than it
    says; a file of a known format is tried in parts, too, unless that is not wanted, and so is a
    directory, with a profile and without. Before any byte reaches `out`, the container was decoded
    and what it gave was hashed; a file that changed meanwhile is an InputError. A profile's
    container is never larger than that of a quicker one, unless a budget of their own bounds both:
    it is for all searches of the call. With `winners`, what won before is tried
    first, and they learn what wins now; what quicker profiles find is then left out where a search
    is.
    """
    told = advance if advance is not None else _ignore
    told(0, "hashing")
    original = Original.of(source, contents)
    told(0, "planning")
    with ExitStack() as files:
        candidates, finalists = _recalled(original, tools, winners, files, told)
        if not finalists:
            is_told_apart = profile is not None or contents is Contents.TREE
            layout = recognise(source) if is_told_apart and in_parts else None
            own, *others = [None] if profile is None else in_turn(profile)
            bare = Undressing(source, tools)
            candidates = _candidates(layout, genes, own, bare=bare, winners=winners, advance=told)
            if winners is None or not winners.took_over:
                for each in others:
                    candidates += _candidates(
                        layout, genes, each, bare=bare, winners=None, advance=told
                    )
                candidates = _unlike(candidates)
            told(0, f"trying {len(candidates)} on everything")
            finalists = _write_finalists(original, candidates, tools, files, told)
        failed: list[_Candidate] = []
        packed: Packed | None = None
        for finalist in _ordered(finalists, source, tools):
            told(0, f"verifying {finalist.candidate.name}")
            if gives_back(finalist.file, tools):
                packed = _accept(finalist, original, out)
                break
            _check_unchanged(original)
            failed.append(finalist.candidate)
        if packed is None:
            packed = _store(original, out, tools)
    if winners is not None:
        winners.settle(original.digest, packed.segments, packed.gene, packed.container_bytes)
    sizes = [(finalist.candidate, finalist.size) for finalist in finalists]
    return replace(packed, trials=tuple(_trials(candidates, sizes, failed, packed)))


def _trials(
    candidates: Sequence[_Candidate],
    sizes: Sequence[tuple[_Candidate, int]],
    failed: Sequence[_Candidate],
    packed: Packed,
) -> Iterator[Trial]:
    for each in candidates:
        size = next((size for candidate, size in sizes if candidate is each), None)
        expected = None if each.proposal is None else each.proposal.expected_bytes
        verified = True if each.segments == packed.segments else None
        if any(one is each for one in failed):
            verified = False
        yield Trial(each.name, each.plan, expected, size, verified)


def unpack(
    container: Container, out: IO[bytes], tools: Toolbox, wanted: range | None = None
) -> int:
    """Write the original of a container, or a range of its bytes; how many were written.

    Raises DamagedContainerError, perhaps after bytes were written: those are to be discarded.
    """
    written = 0
    executor = tools.finding(container.kernels).executor
    if wanted is None:
        pieces = container.chunks(executor)
    else:
        pieces = container.range(wanted.start, wanted.stop, executor)
    for chunk in pieces:
        out.write(chunk)
        written += len(chunk)
    return written


def _candidates(
    layout: Layout | None,
    genes: Sequence[Gene],
    profile: Profile | None,
    *,
    bare: Undressing,
    winners: Winners | None,
    advance: Advance,
) -> list[_Candidate]:
    """What is tried on everything: the parts of a format, and plans for all of it."""
    source, tools = bare.source, bare.tools
    division = None
    if layout is not None:
        division = divide(
            source,
            layout,
            genes,
            tools,
            profile,
            undressing=bare,
            advance=advance,
            winners=winners,
        )
        proposals = rivals(source, division, genes, tools, profile, winners=winners)
    else:
        proposals = finalists_of(source, genes, tools, profile, advance=advance, winners=winners)
    whole = [_whole(each, source) for each in proposals]
    if division is None:
        return whole
    # First, so that the others are given up as soon as they are longer.
    divided = _Candidate(division.format, division.segments, room=division.room)
    return [divided, *whole]


def _unlike(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The candidates, each way to divide and plan the source once."""
    found: dict[tuple[tuple[Segment, ...], int], _Candidate] = {}
    for each in candidates:
        found.setdefault((each.segments, _block_bytes(each)), each)
    return [*found.values()]


def _whole(proposal: Proposal, source: Source) -> _Candidate:
    return _Candidate(proposal.gene, (Segment(source.size, proposal.plan),), proposal)


def _recalled(
    original: Original,
    tools: Toolbox,
    winners: Winners | None,
    files: ExitStack,
    advance: Advance,
) -> tuple[list[_Candidate], list[_Finalist]]:
    """The container that these very bytes once came to; none unless it is as long as it was."""
    proposal = None if winners is None else winners.recall(original.source, original.digest)
    if winners is None or proposal is None:
        return [], []
    candidates = [_whole(proposal, original.source)]
    finalists = _write_finalists(original, candidates, tools, files, advance)
    if [each.size for each in finalists] != [proposal.expected_bytes]:
        return [], []
    winners.recalled += 1
    return candidates, finalists


def _write_finalists(
    original: Original,
    candidates: Sequence[_Candidate],
    tools: Toolbox,
    files: ExitStack,
    advance: Advance,
) -> list[_Finalist]:
    finalists: list[_Finalist] = []
    below = stored_size(original, tools.kernels)
    for candidate in candidates:
        used = {
            cid for each in candidate.segments if each.plan is not None for cid in each.plan.kernels
        }
        header = original.divided(
            candidate.segments,
            block_bytes=_block_bytes(candidate),
            carried=tools.kernels.others(sorted(used)),
            room=candidate.room,
        )
        if not header.has_blocks:
            continue
        file = files.enter_context(held())
        size = write_planned(
            file, original, header, tools.packer, tools.kernels, below=below, advance=advance
        )
        if size is None:
            file.close()
            continue
        finalists.append(_Finalist(candidate, size, file))
        advance(0, so_far(size, original.source.size, candidate.name))
        # A later one that is as small stays: decode fuel tells them apart.
        below = min(below, size + 1)
    return finalists


def _block_bytes(candidate: _Candidate) -> int:
    # What finds strings that repeat is cut as seldom as the format allows: every cut forgets them.
    whole = len(candidate.segments) == 1
    # And what is in a coat cannot be cut.
    is_cut = not candidate.room and not (whole and candidate.name == FALLBACK)
    return BLOCK_BYTES if is_cut else MAX_BLOCK


def _ordered(finalists: Sequence[_Finalist], source: Source, tools: Toolbox) -> Iterator[_Finalist]:
    """The finalists, smallest first; equally small ones by the fuel that decoding takes."""
    sizes = [finalist.size for finalist in finalists]

    def order(finalist: _Finalist) -> tuple[int, int, bytes]:
        plan = finalist.candidate.plan
        if plan is None:
            return (finalist.size, _AMPLE_FUEL, b"")
        tied = sizes.count(finalist.size) > 1
        return (finalist.size, decode_fuel(plan, source, tools) if tied else 0, plan.cid.digest)

    yield from sorted(finalists, key=order)


def decode_fuel(plan: Plan, source: Source, tools: Toolbox) -> int:
    """What decoding the sample costs, counted by the engine: the same on every machine."""
    data = take_sample(source).data
    data = data[: len(data) // plan.input.width * plan.input.width]
    metered = tools.executor.with_limits(replace(limits(len(data)), fuel=_AMPLE_FUEL))
    try:
        streams = tools.packer.forward(plan, data).outputs
        return metered.inverse(plan, streams).fuel or 0
    except (StepFailedError, WorkLimitError):
        return _AMPLE_FUEL


def _check_untouched(original: Original) -> None:
    """Pass when the source still is what was packed; looked at closely only where its times say so.

    A container of what a file was a moment ago would be sound, but is not what was asked for.
    """
    if isinstance(original.source, FileSource) and original.source.was_touched:
        _check_unchanged(original)


def _check_unchanged(original: Original) -> None:
    source = original.source
    has_grown = isinstance(source, FileSource) and source.has_another_size
    if has_grown or Original.of(source).digest != original.digest:
        raise InputError(f"{original.source.name} changed while it was packed; try again")


def _accept(finalist: _Finalist, original: Original, out: IO[bytes]) -> Packed:
    _check_untouched(original)
    hand_over(finalist.file, out)
    chosen = finalist.candidate
    return Packed(
        chosen.name,
        chosen.plan,
        original.source.size,
        finalist.size,
        original.digest,
        chosen.segments,
    )


def _store(original: Original, out: IO[bytes], tools: Toolbox) -> Packed:
    _check_unchanged(original)
    written = write_stored(out, original, tools.kernels)
    _check_unchanged(original)
    return Packed(STORE, None, original.source.size, written, original.digest, ())


def _ignore(amount: float = 1, note: str | None = None) -> None:
    del amount, note
