"""Packing and unpacking whole files: plan, write, verify by decoding, and only then accept."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO

from blake3 import blake3

from cid_store.cid import Cid
from cid_store.errors import DamageError, InputError
from ring0.execution import StepFailedError, WorkLimitError
from ring0.plan import Plan
from ring2_orchestrator.container import (
    Advance,
    Container,
    FileSource,
    Original,
    Source,
    chunks,
    limits,
    stored_size,
    write_planned,
    write_stored,
)
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.planner import Profile, Proposal, propose, take_sample
from ring2_orchestrator.toolbox import Toolbox

FINALISTS = 3
STORE = "store"

# Small containers never touch the disk before they are accepted.
_SPOOL_BYTES = 8 * 1024 * 1024
_AMPLE_FUEL = 1 << 62


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan tried on everything. `container_bytes` is None when it was not smaller than another.

    `verified` is False when decoding did not give the bytes back, which is a kernel's bug.
    """

    gene: str
    plan: Plan
    expected_bytes: int
    container_bytes: int | None
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing came to. `plan` is None where storing the bytes cost least."""

    gene: str
    plan: Plan | None
    original_bytes: int
    container_bytes: int
    digest: bytes
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class _Finalist:
    proposal: Proposal
    size: int
    file: IO[bytes]


def pack(
    source: Source,
    out: IO[bytes],
    genes: Sequence[Gene],
    tools: Toolbox,
    *,
    profile: Profile | None = None,
    advance: Advance | None = None,
) -> Packed:
    """Write the smallest container that the genes, or plain storing, make of the source.

    With a profile, plans are searched for beyond the genes, and none decodes more slowly than it
    says. Before any byte reaches `out`, the container was decoded and what it gave was hashed.
    """
    told = advance if advance is not None else _ignore
    told(0, "hashing")
    original = Original.of(source)
    told(0, "planning")
    proposals = _proposals(source, genes, tools, profile)
    with ExitStack() as files:
        finalists = _write_finalists(original, proposals, tools, files, told)
        failed: set[Plan] = set()
        packed: Packed | None = None
        for finalist in _ordered(finalists, source, tools):
            told(0, f"verifying {finalist.proposal.gene}")
            if _gives_back(finalist.file, original, tools):
                packed = _accept(finalist, original, out)
                break
            failed.add(finalist.proposal.plan)
        if packed is None:
            packed = _store(original, out, tools)
    sizes = {finalist.proposal.plan: finalist.size for finalist in finalists}
    trials = tuple(
        Trial(
            each.gene,
            each.plan,
            each.expected_bytes,
            sizes.get(each.plan),
            False if each.plan in failed else (True if each.plan == packed.plan else None),
        )
        for each in proposals
    )
    return replace(packed, trials=trials)


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


def _proposals(
    source: Source, genes: Sequence[Gene], tools: Toolbox, profile: Profile | None
) -> list[Proposal]:
    """The plans that are tried on everything."""
    if not source.size:
        return []
    found = propose(source, genes, tools.packer, tools.kernels, profile)
    if profile is None:
        return found[:FINALISTS]
    first = _unlike(found, profile.finalists)
    # A sample shows little of what repeats far away: a codec for everything may do better than it
    # promised there.
    bare = [each for each in found if len(each.plan.steps) == 1 and each not in first]
    near = [each for each in bare if each.expected_bytes < 2 * first[0].expected_bytes]
    return [*first, *near[:1]]


def _unlike(found: Sequence[Proposal], count: int) -> list[Proposal]:
    """The best proposals that begin unlike each other, before any that begins alike."""
    ways: dict[tuple[Cid, ...], Proposal] = {}
    for each in found:
        kernels = [step.kernel for step in each.plan.steps if step.kernel is not None]
        ways.setdefault(tuple(kernels[:2]), each)
    chosen = [*ways.values()]
    return (chosen + [each for each in found if each not in chosen])[:count]


def _write_finalists(
    original: Original,
    proposals: Sequence[Proposal],
    tools: Toolbox,
    files: ExitStack,
    advance: Advance,
) -> list[_Finalist]:
    finalists: list[_Finalist] = []
    below = stored_size(original, tools.kernels)
    for proposal in proposals:
        advance(0, proposal.gene)
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - next line
        file = files.enter_context(spool)
        brought = tools.kernels.others(proposal.plan.kernels)
        header = original.header(proposal.plan, carried=brought)
        size = write_planned(
            file, original, header, tools.packer, tools.kernels, below=below, advance=advance
        )
        if size is None:
            file.close()
            continue
        finalists.append(_Finalist(proposal, size, file))
        # A later one that is as small stays: decode fuel tells them apart.
        below = min(below, size + 1)
    return finalists


def _ordered(finalists: Sequence[_Finalist], source: Source, tools: Toolbox) -> Iterator[_Finalist]:
    """The finalists, smallest first; equally small ones by the fuel that decoding takes."""
    sizes = [finalist.size for finalist in finalists]

    def order(finalist: _Finalist) -> tuple[int, int, bytes]:
        plan = finalist.proposal.plan
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


def _gives_back(file: IO[bytes], original: Original, tools: Toolbox) -> bool:
    container = Container(FileSource(file, "the new container"), tools.kernels)
    try:
        for _ in container.chunks(tools.executor):
            pass
    except DamageError:
        _check_unchanged(original)
        return False
    return True


def _check_unchanged(original: Original) -> None:
    hasher = blake3()
    for chunk in chunks(original.source):
        hasher.update(chunk)
    if hasher.digest() != original.digest:
        raise InputError(f"{original.source.name} changed while it was packed; try again")


def _accept(finalist: _Finalist, original: Original, out: IO[bytes]) -> Packed:
    finalist.file.seek(0)
    shutil.copyfileobj(finalist.file, out, 1 << 20)
    proposal = finalist.proposal
    size = original.source.size
    return Packed(proposal.gene, proposal.plan, size, finalist.size, original.digest, ())


def _store(original: Original, out: IO[bytes], tools: Toolbox) -> Packed:
    _check_unchanged(original)
    written = write_stored(out, original, tools.kernels)
    _check_unchanged(original)
    return Packed(STORE, None, original.source.size, written, original.digest, ())


def _ignore(amount: float = 1, note: str | None = None) -> None:
    del amount, note
