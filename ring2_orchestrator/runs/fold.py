"""From a run's events to two facts per path: what it saw there first, and whether it changed it.

A path that the run has changed is its own from then on: what it reads there later it made itself.
"""

import enum
import stat
from collections.abc import Iterable
from pathlib import Path

from ring2_orchestrator.recorder.event import Event, Flag, Identity, Kind
from ring2_orchestrator.runs import bytecode, pseudo
from ring2_orchestrator.runs.paths import folder_of, name_of, shown


class Depth(enum.IntEnum):
    """How much the run learned of a path before it changed it."""

    EXISTENCE = 1  # that it is there, and its type
    LOOKED = 2  # its metadata: counts as its content, unless the run then makes it anew
    BLANK = 3  # opened to write in whatever was there: nothing there, or its content
    CONTENT = 4  # opened for reading, executed, or about to be changed in place


class Look:
    """The first sight of one path, and the deepest."""

    __slots__ = ("before", "depth", "is_listed", "listed", "program", "target", "timed")

    def __init__(self, before: Identity | None, depth: Depth, program: bytes) -> None:
        self.before = before
        self.depth = depth
        self.program = program
        self.listed: Identity | None = None
        self.is_listed = False
        self.target: bytes | None = None
        self.timed = False


class Edit:
    """The first change of one path by the run."""

    def __init__(self, before: Identity | None, time_ns: int) -> None:
        self.before = before
        self.time_ns = time_ns
        self.wrote = False  # through an open file or by name
        self.blind = True  # every change so far replaced the whole content without looking
        self.made_dir = False
        self.sought = False  # as a folder, before it was made: whoever looks may have tidied it
        self.owner = False
        self.xattr = False
        self.times = False
        self.mode_set = False
        self.link_of: bytes | None = None
        # Device and inode that a rename alone should put here.
        self.expect: tuple[int, int] | None = None
        self.seen_since = False  # a later event found something there


class Folded:
    """All looks and edits of a run, by absolute path."""

    def __init__(self) -> None:
        self.looks: dict[bytes, Look] = {}
        self.edits: dict[bytes, Edit] = {}
        self.preimages: dict[bytes, Path] = {}
        self.moves: dict[bytes, bytes] = {}
        self.linked: set[bytes] = set()
        # Renames that had not taken place when their target was next seen: failed, or late.
        self.unseen: dict[bytes, Edit] = {}
        self.problems: list[tuple[str, str]] = []


def fold(events: Iterable[Event], *, times_matter: frozenset[bytes] = frozenset()) -> Folded:
    """Go through the events once, in order. `times_matter` names programs that use file times."""
    folding = _Folding(times_matter)
    for event in events:
        folding.take(event)
    return folding.folded


class _Folding:
    def __init__(self, times_matter: frozenset[bytes]) -> None:
        self.folded = Folded()
        self._looks = self.folded.looks
        self._edits = self.folded.edits
        self._times_matter = times_matter
        # Files that the run changed under some name: under another they may differ from before.
        self._own_files: set[tuple[int, int]] = set()
        self._handlers = {
            Kind.READ: self._read,
            Kind.EXEC: self._read,
            Kind.STAT: self._stat,
            Kind.CHDIR: self._stat,
            Kind.READLINK: self._readlink,
            Kind.LIST: self._list,
            Kind.WRITE: self._write,
            Kind.TRUNCATE: self._truncate,
            Kind.RENAME: self._rename,
            Kind.UNLINK: self._unlink,
            Kind.RMDIR: self._rmdir,
            Kind.MKDIR: self._mkdir,
            Kind.LINK: self._link,
            Kind.SYMLINK: self._create,
            Kind.MKNOD: self._create,
            Kind.BIND: self._create,
            Kind.METADATA: self._metadata,
            Kind.PRESERVE: self._preserve,
        }

    def take(self, event: Event) -> None:
        handler = self._handlers.get(event.kind)
        if handler is None or not event.path.startswith(b"/"):
            return  # connections: the recorder has already said what there is to doubt
        self._check_edit(event.path, event.before)
        if event.path2 is not None:
            self._check_edit(event.path2, event.before2)
        if event.preimage is not None:
            self.folded.preimages.setdefault(event.path, event.preimage)
        if event.preimage2 is not None and event.path2 is not None:
            self.folded.preimages.setdefault(event.path2, event.preimage2)
        handler(event)

    def _check_edit(self, path: bytes, now: Identity | None) -> None:
        """Learn from what now stands at an edited path whether the edit took place."""
        if now is None:
            return
        late = self.folded.unseen.get(path)
        if late is not None and late.expect == now[1:3]:
            # Another process looked between the call and its effect.
            self._edits.setdefault(path, self.folded.unseen.pop(path))
        edit = self._edits.get(path)
        if edit is None:
            return
        edit.seen_since = True
        if edit.expect is not None and edit.expect != now[1:3]:
            # The rename failed: what stands here is what stood here before.
            self.folded.unseen[path] = self._edits.pop(path)
        else:
            edit.expect = None
            self._own_files.add(now[1:3])

    # What the run sees.

    def _look(self, event: Event, depth: Depth, *, path: bytes | None = None) -> Look | None:
        """Note a sight; None where the run sees only what it made itself."""
        at = event.path if path is None else path
        if at in self._edits:
            return None
        before = event.before if path is None else event.before2
        look = self._looks.get(at)
        if look is None:
            look = self._looks[at] = Look(before, depth, event.program)
        else:
            look.depth = max(look.depth, depth)
            if look.before != before:
                self._check_sight(at, look.before, before)
        if name_of(event.program) in self._times_matter:
            look.timed = True
        return look

    def _check_sight(self, path: bytes, first: Identity | None, now: Identity | None) -> None:
        """A path that the run left alone must look the same each time, whoever came and went."""
        if not _differs(first, now) or pseudo.classify(path) is not pseudo.Class.FILE:
            return
        if bytecode.source_of(path) is not None:
            return  # every Python makes it alike, and its code is compared in the end
        if first is None or now is None:
            if self._opened_or_closed_above(path):
                return
        elif first[1:3] == now[1:3] and first[1:3] in self._own_files:
            return
        problem = ("changed", f"{shown(path)} changed while the run was going on")
        if problem not in self.folded.problems:
            self.folded.problems.append(problem)

    def _opened_or_closed_above(self, path: bytes) -> bool:
        """Whether the run changed a folder on the way: then what lies below may come and go."""
        while (path := folder_of(path)) != b"/":
            edit = self._edits.get(path)
            if edit is not None and edit.before is not None:
                return True
        return False

    def _read(self, event: Event) -> None:
        self._look(event, Depth.CONTENT)

    def _stat(self, event: Event) -> None:
        self._look(event, Depth.LOOKED)

    def _readlink(self, event: Event) -> None:
        look = self._look(event, Depth.LOOKED)
        if look is not None and look.target is None:
            look.target = event.path2

    def _list(self, event: Event) -> None:
        look = self._looks.get(event.path)
        if look is None:
            # A listing also shows what others may have put beside the run's own files, so even a
            # folder that the run made is an input: nothing but its own work may lie there.
            edit = self._edits.get(event.path)
            before = event.before if edit is None else edit.before
            look = self._looks[event.path] = Look(before, Depth.LOOKED, event.program)
        elif event.path not in self._edits:
            self._check_sight(event.path, look.before, event.before)
        if not look.is_listed:
            look.is_listed = True
            look.listed = event.before

    # What the run changes.

    def _edit(self, path: bytes, before: Identity | None, event: Event) -> Edit:
        edit = self._edits.get(path)
        if edit is None:
            edit = self._edits[path] = Edit(before, event.time_ns)
            if before is not None:
                self._own_files.add(before[1:3])
        return edit

    def _write(self, event: Event) -> None:
        flags = event.flags
        if flags & Flag.NAMELESS:
            return  # it has no name yet; a later LINK gives it one
        if not flags & Flag.TRUNCATE and event.path not in self._edits:
            self._open_in_place(event)
        if event.before is None and not flags & Flag.CREATE:
            return
        if event.before is not None and flags & Flag.EXCLUSIVE:
            return
        edit = self._edit(event.path, event.before, event)
        edit.wrote = True
        if not flags & Flag.TRUNCATE:
            edit.blind = False

    def _open_in_place(self, event: Event) -> None:
        """The run goes on from what is there, so what is there is an input."""
        flags = event.flags
        if event.before is None:
            exclusive = flags & Flag.EXCLUSIVE or not flags & Flag.CREATE
            # Having looked before, the run knew that nothing was there, not even an empty file.
            blank = Depth.CONTENT if event.path in self._looks else Depth.BLANK
            self._look(event, Depth.LOOKED if exclusive else blank)
        elif flags & Flag.EXCLUSIVE:
            self._look(event, Depth.EXISTENCE)
        else:
            self._look(event, Depth.CONTENT)

    def _truncate(self, event: Event) -> None:
        self._look(event, Depth.CONTENT)
        if event.before is not None:
            self._edit(event.path, event.before, event).wrote = True

    def _create(self, event: Event) -> None:
        self._look(event, Depth.LOOKED)
        if event.before is None:
            self._edit(event.path, None, event)

    def _mkdir(self, event: Event) -> None:
        sought = event.path in self._looks
        self._look(event, Depth.LOOKED)
        if event.before is None:
            edit = self._edit(event.path, None, event)
            edit.made_dir = True
            edit.sought = edit.sought or sought

    def _unlink(self, event: Event) -> None:
        self._look(event, Depth.EXISTENCE)
        if event.before is not None:
            self._edit(event.path, event.before, event)

    def _rmdir(self, event: Event) -> None:
        # Success says that it was empty, failure that it was not: either way its names were seen.
        if event.before is not None and event.before.is_dir:
            self._list(event)
            self._edit(event.path, event.before, event)
        else:
            self._look(event, Depth.LOOKED)

    def _metadata(self, event: Event) -> None:
        self._look(event, Depth.LOOKED)
        if event.before is None:
            return
        edit = self._edit(event.path, event.before, event)
        edit.blind = False
        edit.owner = edit.owner or bool(event.flags & Flag.OWNER)
        edit.xattr = edit.xattr or bool(event.flags & Flag.XATTR)
        edit.times = edit.times or bool(event.flags & Flag.TIMES)
        edit.mode_set = edit.mode_set or bool(event.flags & Flag.MODE)

    def _preserve(self, event: Event) -> None:
        self._look(event, Depth.CONTENT)
        if event.before is not None:
            self._edit(event.path, event.before, event)

    def _link(self, event: Event) -> None:
        if event.path2 is None:
            return
        self._look(event, Depth.CONTENT)
        self._look(event, Depth.LOOKED, path=event.path2)
        if event.before2 is None and event.before is not None:
            self._edit(event.path2, None, event).link_of = event.path
            self.folded.linked.add(event.path)
            self._own_files.add(event.before[1:3])

    def _rename(self, event: Event) -> None:
        if event.path2 is None:
            return
        if event.before is None:
            self._look(event, Depth.LOOKED)
            return
        was_own = event.path in self._edits
        self._look(event, Depth.CONTENT)
        if event.flags & Flag.EXCHANGE:
            self._look(event, Depth.CONTENT, path=event.path2)
        self.folded.moves[event.path] = event.path2
        source = self._edit(event.path, event.before, event)
        was_edited = event.path2 in self._edits
        target = self._edit(event.path2, event.before2, event)
        # Should the rename fail, an earlier change of the target remains one.
        target.expect = None if was_edited else event.before[1:3]
        target.wrote = True
        target.link_of = source.link_of
        target.owner, target.xattr = source.owner, source.xattr
        target.times = target.times or source.times
        if event.before.is_dir:
            self._move_folder(event, was_own=was_own and source.made_dir)

    def _move_folder(self, event: Event, *, was_own: bool) -> None:
        assert event.path2 is not None, "the caller has looked"
        if not was_own:
            self.folded.problems.append(("moved-folder", f"moved the folder {shown(event.path)}"))
            return
        prefix = event.path + b"/"
        for path, edit in list(self._edits.items()):
            if path.startswith(prefix):
                moved = self._edit(event.path2 + path[len(event.path) :], None, event)
                moved.wrote, moved.made_dir = edit.wrote, edit.made_dir
                moved.link_of, moved.times = edit.link_of, edit.times
                moved.owner, moved.xattr = edit.owner, edit.xattr
        folder = self._edits[event.path2]
        folder.made_dir = True
        folder.sought = folder.sought or event.path2 in self._looks


def _differs(first: Identity | None, now: Identity | None) -> bool:
    """Whether two sights of one path are of different things, or of a file that was changed."""
    if first is None or now is None:
        return first is not now
    if stat.S_IFMT(first.mode) != stat.S_IFMT(now.mode):
        return True
    # A folder's times tell only that its entries come and go; they are looked at one by one.
    return (first.is_file or first.is_link) and first[1:5] != now[1:5]
