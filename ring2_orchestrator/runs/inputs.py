"""What a run depended on, as it was at first sight, told from what is still there to be read."""

import errno
import os
import stat
from collections.abc import Callable, Collection, Mapping

from cid_store.store import Store
from ring2_orchestrator.recorder.event import Identity
from ring2_orchestrator.runs import bytecode, pseudo
from ring2_orchestrator.runs.fold import Depth, Folded, Look
from ring2_orchestrator.runs.made_anew import made_anew
from ring2_orchestrator.runs.paths import folder_of, join, name_of, shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.secrets import Secrets
from ring2_orchestrator.runs.statcache import (
    FINE_TIMES,
    TICK_NS,
    Aspect,
    Stamp,
    StatCache,
    UnstableFileError,
    hash_file,
)
from ring2_orchestrator.runs.state import (
    MISSING,
    NO_DIGEST,
    State,
    What,
    block_of,
    digest_of,
    letter_of,
    names_blob,
    read_entries,
    timed,
    used_code,
)
from ring2_orchestrator.runs.trace import Input, Output

DoubtSink = Callable[[str, str], None]

_CACHE_TAG = b"CACHEDIR.TAG"
_CACHE_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
_EMPTY_DIGEST = digest_of(b"")


class Inputs:
    """The first sights of a run, and the means to say what was seen."""

    def __init__(
        self,
        folded: Folded,
        *,
        store: Store,
        cache: StatCache,
        roots: Roots,
        started_ns: int,
        umask: int,
        secrets: Secrets,
        doubt: DoubtSink,
        unlisted: frozenset[bytes] = frozenset(),
    ) -> None:
        self._folded = folded
        self._unlisted = unlisted  # folders whose names do not count, though they were listed
        self._umask = umask
        self._secrets = secrets
        self._store = store
        self._cache = cache
        self._roots = roots
        self._started_ns = started_ns
        self._doubt = doubt
        self.targets: dict[bytes, bytes] = {}
        self._mistrusted = self._mistrusted_bytecode()
        self._changed_names: dict[bytes, set[bytes]] = {}
        for path in folded.edits:
            self._changed_names.setdefault(folder_of(path), set()).add(name_of(path))

    def collect(self, outputs: Mapping[bytes, Output]) -> list[Input]:
        """Every input; listings are put in the store. `targets` then holds what links said."""
        found: list[Input] = []
        caches = self._own_caches(outputs)
        anew = {
            path: outputs[short]
            for path in made_anew(self._folded.edits)
            if (short := self._roots.short(path)) in outputs
            and outputs[short].what == What.DIR
            and not _within(path + b"/", caches)
        }
        self._recall()
        for path, look in self._folded.looks.items():
            short = self._roots.short(path)
            made = outputs.get(short)
            if path in anew and not look.is_listed:
                continue  # it follows below
            state = self._initial(path, look)
            if state is None:
                continue
            unread = look.depth <= Depth.LOOKED or (look.before is None and _within(path, caches))
            product = made is not None and made.what != What.MISSING and unread
            found.append(Input(short, state, product))
        for path in self._folded.edits.keys() - self._folded.looks.keys():
            found += self._kept_mode(path, outputs.get(self._roots.short(path)))
        for path, folder in anew.items():
            seen = self._folded.looks.get(path)
            if seen is None or not seen.is_listed:
                state = self._initial_names(path, Look(None, Depth.LOOKED, b"")) or MISSING
                found.append(Input(folder.path, state, product=True))
        return found

    def _recall(self) -> None:
        """Ask the cache once for all that may have to be hashed."""
        wanted: list[bytes] = []
        for path, look in self._folded.looks.items():
            if look.before is not None and look.before.is_file and look.depth > Depth.EXISTENCE:
                is_code = bytecode.source_of(path) is not None
                wanted.append((Aspect.BYTECODE if is_code else Aspect.CONTENT) + path)
        self._cache.load(wanted)

    def _kept_mode(self, path: bytes, made: Output | None) -> list[Input]:
        """That a file with these permissions is there, where the run emptied one and left them.

        A file that nobody has given others would have had those of every new file.
        """
        edit = self._folded.edits[path]
        if made is None or made.what != What.FILE or edit.mode_set or edit.before is None:
            return []
        now = identity_of(path)
        in_place = now is not None and now[1:3] == edit.before[1:3]
        if not in_place or made.mode in (0o666 & ~self._umask, 0o777 & ~self._umask):
            return []
        return [Input(made.path, State(What.PRESENT, stat.S_IFREG | made.mode), product=False)]

    def _own_caches(self, outputs: Mapping[bytes, Output]) -> frozenset[bytes]:
        """The folders that the run made and tagged as caches (https://bford.info/cachedir/).

        The tag says that what lies there may vanish at any time and is made again, so no result
        may hang on it: what the run looked for there in vain and then made is its own work.
        """
        folders: set[bytes] = set()
        for path, edit in self._folded.edits.items():
            if name_of(path) != _CACHE_TAG or edit.before is not None:
                continue
            made = outputs.get(self._roots.short(path))
            if made is None or made.cid is None:
                continue
            if self._store.read(made.cid, 0, len(_CACHE_SIGNATURE)) == _CACHE_SIGNATURE:
                folders.add(folder_of(path))
        return frozenset(folders)

    def _initial(self, path: bytes, look: Look) -> State | None:
        """What stood at the path at first sight; None where that cannot be said."""
        unlisted = path in self._unlisted and name_of(look.program) == b"rustc"
        if look.is_listed and not (unlisted and look.before is not None):
            return self._initial_names(path, look)
        source = self._bytecode_source(path, look)
        if source is not None and path not in self._mistrusted:
            return self._initial_bytecode(path, look, source)
        if look.before is None:
            what = What.BLANK if look.depth == Depth.BLANK else What.MISSING
            return State(what, self._block(path))
        return self._initial_thing(path, look, look.before)

    def _block(self, path: bytes) -> int:
        """The error, if one other than ENOENT, of whoever looked at what was not there at first."""
        folder = folder_of(path)
        while folder != b"/":
            edit = self._folded.edits.get(folder)
            if edit is not None and edit.before is not None:
                return 0 if edit.before.is_dir else errno.ENOTDIR
            folder = folder_of(folder)
        try:
            os.lstat(path)
        except OSError as error:
            return block_of(error)
        return 0  # the run has made it

    def _initial_thing(self, path: bytes, look: Look, before: Identity) -> State | None:
        if before.is_link:
            return self._initial_link(path, look, before)
        if before.is_dir:
            return State(What.DIR, stat.S_IMODE(before.mode))
        if not before.is_file:
            return State(What.OTHER, stat.S_IFMT(before.mode))
        if look.depth == Depth.EXISTENCE:
            return State(What.PRESENT)
        return self._initial_file(path, look, before)

    def _initial_file(self, path: bytes, look: Look, before: Identity) -> State | None:
        mode = stat.S_IMODE(before.mode)
        try:
            digest = self._initial_digest(path, before)
        except PermissionError:
            return State(What.UNREADABLE, mode)
        except (OSError, UnstableFileError):
            digest = None
        if digest is None:
            edit = self._folded.edits.get(path)
            if edit is not None and look.depth <= Depth.LOOKED:
                return State(What.UNKNOWN, mode)
            self._doubt("changed", f"{shown(path)} changed while the run was going on")
            return None
        if look.timed:
            digest = timed(digest, before.mtime_ns)
        if self._secrets.is_file(path):
            return State(What.SECRET, mode, self._secrets.seal(digest))
        return State(What.TIMED if look.timed else What.FILE, mode, digest)

    def _initial_digest(self, path: bytes, before: Identity) -> bytes | None:
        """The digest of the content at first sight; None where it is lost."""
        if (special := pseudo.content(path)) is not None:
            return digest_of(special)
        edit = self._folded.edits.get(path)
        if edit is not None and edit.before != before:
            return None  # something else changed it before the run did
        preimage = self._folded.preimages.get(path)
        if preimage is not None:
            return hash_file(os.fsencode(preimage))[1]
        if edit is not None and not before.size:
            return _EMPTY_DIGEST  # nothing is kept of an empty file, and nothing needs to be
        if edit is None and self._may_hide_a_change(before):
            return None
        return self._digest_where_it_is(path, before)

    def _digest_where_it_is(self, path: bytes, before: Identity) -> bytes | None:
        """The digest of a file the run did not write, under the name it now has."""
        moves = self._folded.moves
        at, seen = path, {path}
        while at in moves and moves[at] not in seen:
            at = moves[at]
            seen.add(at)
        edit = self._folded.edits.get(path)
        # Links, modes and moves by the run itself change the times of status, not the content.
        touched = edit is not None or at != path or path in self._folded.linked
        if edit is not None and edit.wrote and at == path and identity_of(path) != before:
            return None
        for name in (path, at):
            now = identity_of(name)
            if now is None or not _same_content(now, before, strict=not touched):
                continue
            digest = self._cache.content_of(name, _stamp(now))
            if digest is not None:
                return digest
        return None

    def _may_hide_a_change(self, before: Identity) -> bool:
        """Whether the file changed so late that a further change could have kept its times."""
        return not FINE_TIMES and max(before.ctime_ns, before.mtime_ns) > self._started_ns - TICK_NS

    def _initial_link(self, path: bytes, look: Look, before: Identity) -> State | None:
        target = look.target
        now = identity_of(path)
        if target is None and now == before:
            target = os.readlink(path)  # noqa: PTH115 - a bytes path
        # The recorder tells a link once, and what it led to later is seen only here.
        own = path in self._folded.edits or pseudo.is_pseudo(path)
        if target is None or not (own or (now and _same_content(now, before, strict=False))):
            self._doubt("changed", f"the link {shown(path)} changed while the run was going on")
            return None
        self.targets[self._roots.short(path)] = target
        return State(What.LINK, 0, digest_of(target))

    def _initial_names(self, path: bytes, look: Look) -> State | None:
        """The entries a folder had before the run changed any of them."""
        if look.before is not None and not look.before.is_dir:
            return State(What.OTHER, stat.S_IFMT(look.before.mode))
        if look.before is None and identity_of(path) is None:
            return MISSING  # a scratch folder of the run's own, listed when it was removed
        entries = self._untouched_entries(path, look) or {}
        own = self._changed_names.get(path, set())
        for name in own:
            before = self._folded.edits[join(path, name)].before
            if before is None:
                entries.pop(name, None)
            else:
                entries[name] = letter_of(before.mode)
        blob = names_blob(entries)
        self._store.put(blob)
        # With its type, so that no permissions differ from permissions that do not count.
        mode = 0 if look.before is None else look.before.mode
        return State(What.NAMES, mode, digest_of(blob))

    def _untouched_entries(self, path: bytes, look: Look) -> dict[bytes, bytes] | None:
        now = identity_of(path)
        entries = read_entries(path)
        if entries is None or now is None:
            if path not in self._folded.edits and look.before is not None:
                self._doubt("changed", f"the folder {shown(path)} went away during the run")
            return None
        stood_still = identity_of(path) == look.listed
        own = self._changed_names.get(path)
        made = path in self._folded.edits
        if not stood_still and own is None and not made:
            self._doubt("changed", f"the folder {shown(path)} changed while the run was going on")
        # A folder of the run's own held nothing at first, whenever it was listed.
        if made or (own is not None and not stood_still):
            self._doubt_newcomers(path, set(entries) - (own or set()))
        return entries

    def _doubt_newcomers(self, path: bytes, names: set[bytes]) -> None:
        """In a folder that the run changed itself, whatever else is new came from elsewhere."""
        for name in sorted(names):
            found = identity_of(join(path, name))
            if (
                found is not None
                and found.ctime_ns > self._started_ns - TICK_NS
                and (join(path, name) not in self._folded.looks)
            ):
                self._doubt("changed", f"{shown(join(path, name))} appeared during the run")

    # Python's bytecode caches.

    def _bytecode_source(self, path: bytes, look: Look) -> bytes | None:
        """The source, where Python itself looked at a cache file and its source."""
        source = bytecode.source_of(path)
        if source is None or source not in self._folded.looks:
            return None
        if not name_of(look.program).startswith((b"python", b"pypy")):
            return None
        folder = self._folded.looks.get(folder_of(path))
        return None if folder is not None and folder.is_listed else source

    def _mistrusted_bytecode(self) -> frozenset[bytes]:
        """The caches that were used and may be of an earlier source of the same time and size.

        Without such a cache Python would run other code. So it counts as it is, and so does its
        source with its time.
        """
        found: set[bytes] = set()
        for path, look in self._folded.looks.items():
            source = self._bytecode_source(path, look)
            if source is None or look.before is None or path in self._folded.edits:
                continue
            seen = self._folded.looks[source]
            if seen.before is not None and look.before.mtime_ns <= seen.before.ctime_ns:
                seen.timed = True
                found.add(path)
        return frozenset(found)

    def _initial_bytecode(self, path: bytes, look: Look, source: bytes) -> State | None:
        """What the cache's code must be wherever Python would use it: the code that ran."""
        seen = self._folded.looks[source].before
        if path in self._folded.edits:
            return State(What.BYTECODE, 0, bytecode.code_digest(path) or NO_DIGEST)
        if look.before is None or seen is None:
            return State(What.BYTECODE)
        if identity_of(path) != look.before:
            self._doubt("changed", f"{shown(path)} changed while the run was going on")
            return None
        header = bytecode.read_header(path)
        if header is None:
            return self._initial_file(path, look, look.before)
        if not header.flags and not header.matches(seen.mtime_ns // 1_000_000_000, seen.size):
            return State(What.BYTECODE)
        code = used_code(self._cache, path, _stamp(look.before))
        return State(What.BYTECODE, 0, code or NO_DIGEST)


def identity_of(path: bytes) -> Identity | None:
    """What stands at the path now, in the recorder's terms; None where nothing does."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return Identity.of(status)


def _stamp(identity: Identity) -> Stamp:
    return Stamp._make(identity[1:])


def _within(path: bytes, folders: Collection[bytes]) -> bool:
    """Whether the path lies somewhere below one of the folders."""
    return bool(folders) and any(path.startswith(folder + b"/") for folder in folders)


def _same_content(now: Identity, before: Identity, *, strict: bool) -> bool:
    if strict:
        return now == before
    return now[1:4] == before[1:4]  # device, inode, size
