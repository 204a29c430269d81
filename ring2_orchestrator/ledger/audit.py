"""The thorough look: every entry hashed, compared, and the first wrong one named."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ring2_orchestrator.ledger.checkpoint import Checkpoint
from ring2_orchestrator.ledger.errors import LedgerDamagedError
from ring2_orchestrator.ledger.merkle import HASH_BYTES, leaf_hash, root_of
from ring2_orchestrator.ledger.tiles import TILE_WIDTH, TileFiles, may_be_left, split_bundle

_ABSENT = b""


class Audit(NamedTuple):
    """The leaf hashes of a log whose entries were all found to be the ones its checkpoint fixes."""

    hashes: list[bytes]

    def tile_levels(self) -> Iterator[tuple[int, list[bytes]]]:
        """Each tile level with every hash that belongs there, lowest first."""
        level, row = 0, self.hashes
        while row:
            yield level, row
            whole = range(0, len(row) - len(row) % TILE_WIDTH, TILE_WIDTH)
            level, row = level + 1, [root_of(row[at : at + TILE_WIDTH]) for at in whole]


def audit_entries(
    files: TileFiles, checkpoint: Checkpoint, advance: Callable[[int], None] | None = None
) -> Audit:
    """Hash every entry the checkpoint covers. Raises LedgerDamagedError naming the first wrong."""
    hashes: list[bytes] = []
    for index in range(-(-checkpoint.size // TILE_WIDTH)):
        wanted = min(TILE_WIDTH, checkpoint.size - index * TILE_WIDTH)
        bundle = split_bundle(files.bundle_bytes(index))
        found = [leaf_hash(entry) for entry in bundle.entries[:wanted]]
        hashes += found + [_ABSENT] * (wanted - len(found))
        if bundle.rest and wanted == TILE_WIDTH:
            raise LedgerDamagedError(
                f"ledger {files.folder}: foreign bytes stand after entry {len(hashes) - 1}; "
                "restore the folder from a copy",
                entry=len(hashes) - 1,
            )
        if advance is not None:
            advance(wanted)
    if _ABSENT in hashes or root_of(hashes) != checkpoint.root_hash:
        raise _explain(files, checkpoint, hashes)
    return Audit(hashes)


def audit_tiles(files: TileFiles, audit: Audit) -> None:
    """Compare the hash tiles with the entries. Raises LedgerDamagedError for the first wrong."""
    for level, row in audit.tile_levels():
        for first in range(0, len(row), TILE_WIDTH):
            true = row[first : first + TILE_WIDTH]
            data = files.tile_bytes(level, first // TILE_WIDTH)
            if not _is_sound(data, b"".join(true), level):
                recorded = files.hashes(level, first // TILE_WIDTH)
                wrong = next(
                    (at for at, value in enumerate(true) if recorded[at : at + 1] != [value]), 0
                )
                entry = (first + wrong) * TILE_WIDTH**level
                raise _damaged_tile(files, level, first // TILE_WIDTH, entry)


def _is_sound(data: bytes, true: bytes, level: int) -> bool:
    if len(true) == TILE_WIDTH * HASH_BYTES:
        return data == true
    # Somebody may be appending: what stands beyond the checkpoint is judged with the newest one.
    # Only leaf hashes are not waited for, so only they may be behind.
    return data.startswith(true) or (level == 0 and may_be_left(data, true))


def _damaged_tile(files: TileFiles, level: int, index: int, entry: int) -> LedgerDamagedError:
    tile = files.tile_path(level, index).relative_to(files.folder)
    return LedgerDamagedError(
        f"ledger {files.folder}: the hash file {tile} is damaged at entry {entry}, but every "
        "entry is intact; `redoxa ledger rebuild` makes it again",
        entry=entry,
    )


def _recorded(files: TileFiles, level: int, count: int) -> list[bytes]:
    """The hashes the tiles of a level hold; absent ones are empty."""
    found: list[bytes] = []
    for index in range(-(-count // TILE_WIDTH)):
        tile = files.hashes(level, index)
        found += tile + [_ABSENT] * (TILE_WIDTH - len(tile))
    return found[:count]


def _explain(files: TileFiles, checkpoint: Checkpoint, hashes: list[bytes]) -> LedgerDamagedError:
    recorded = _recorded(files, 0, checkpoint.size)
    wrong = next((at for at, value in enumerate(hashes) if value != recorded[at]), None)
    if wrong is None or recorded[wrong] == _ABSENT:
        # No recorded hash tells more; that an entry is missing needs none.
        if _ABSENT in hashes:
            wrong = hashes.index(_ABSENT)
        elif wrong is None:
            return _explain_rewrite(files, checkpoint, hashes)
        else:
            return _unnamed(files, checkpoint, wrong)
    return LedgerDamagedError(
        f"ledger {files.folder}: {_deed(hashes, recorded, wrong)}; "
        "nothing was changed by this check: restore the folder from a copy",
        entry=wrong,
    )


def _deed(hashes: list[bytes], recorded: list[bytes], at: int) -> str:
    """What happened at the first position where the entries leave what was recorded."""
    if all(value == _ABSENT for value in hashes[at:]):
        return f"entry {at} and all after it are missing; the checkpoint covers {len(hashes)}"
    if hashes[at] == _ABSENT:
        return f"entry {at} is missing"
    if hashes[at] in recorded[at:]:
        return _moved(hashes, recorded, at, recorded.index(hashes[at], at))
    if hashes[at + 1 : at + 2] == [recorded[at]]:
        return f"a foreign entry was inserted before entry {at}"
    return f"entry {at} was altered"


def _moved(hashes: list[bytes], recorded: list[bytes], at: int, later: int) -> str:
    """How an entry recorded at `later` came to stand at `at`."""
    if hashes[later] == recorded[at]:
        return f"entries {at} and {later} changed places"
    if later == at + 1:
        return f"entry {at} was removed"
    return f"entry {at} was replaced by entry {later}"


def _explain_rewrite(
    files: TileFiles, checkpoint: Checkpoint, hashes: list[bytes]
) -> LedgerDamagedError:
    """Entries and their hashes agree with each other, but not with what stands above them."""
    for level, row in Audit(hashes).tile_levels():
        recorded = _recorded(files, level, len(row))
        wrong = next((at for at, value in enumerate(row) if value != recorded[at]), None)
        if wrong is not None:
            first = wrong * TILE_WIDTH**level
            return LedgerDamagedError(
                f"ledger {files.folder}: one of the entries {first} to "
                f"{first + TILE_WIDTH**level - 1} was altered together with its hash; "
                "restore the folder from a copy",
                entry=first,
            )
    return _unnamed(files, checkpoint, 0)


def _unnamed(files: TileFiles, checkpoint: Checkpoint, first: int) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"ledger {files.folder}: the entries {first} to {checkpoint.size - 1} do not give the "
        "root hash in the file `checkpoint`: an entry and its hashes, or that file, were "
        "replaced; restore the folder from a copy",
        entry=first,
    )
