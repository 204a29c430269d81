"""What a run left behind, taken from the disk when it has ended and put in the store."""

import os
import stat
from collections.abc import Callable, Mapping
from io import FileIO

from cid_store.cid import Cid
from cid_store.store import Store
from ring2_orchestrator.runs.fold import Edit
from ring2_orchestrator.runs.paths import shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.secrets import Secrets
from ring2_orchestrator.runs.statcache import FINE_TIMES, TICK_NS, stamp_of
from ring2_orchestrator.runs.state import What
from ring2_orchestrator.runs.trace import Output

DoubtSink = Callable[[str, str], None]


class Outputs:
    """The paths a run changed, as they stand after it."""

    def __init__(
        self,
        edits: Mapping[bytes, Edit],
        *,
        store: Store,
        roots: Roots,
        started_ns: int,
        secrets: Secrets,
        doubt: DoubtSink,
    ) -> None:
        self._edits = edits
        self._store = store
        self._roots = roots
        self._started_ns = started_ns
        self._secrets = secrets
        self._doubt = doubt
        self._names: dict[tuple[int, int], list[bytes]] = {}

    def collect(self) -> list[Output]:
        """Every output in path order; file contents are in the store when this returns."""
        status = {path: _status(path) for path in self._edits}
        self._names = _names_per_inode(status)
        found: list[tuple[int, Output]] = []
        for path in sorted(self._edits):
            now = status[path]
            output = self._gone(path) if now is None else self._output(path, now)
            if output is None:
                continue
            if not self._roots.may_write(path):
                self._doubt(
                    "outside", f"wrote outside the project, home and temp folders ({shown(path)})"
                )
                continue
            found.append((0 if now is None else now.st_mtime_ns, output))
        return _ranked(found)

    def _gone(self, path: bytes) -> Output | None:
        """A deletion, where something had been there before the run."""
        if self._edits[path].before is None:
            return None
        return Output(self._roots.short(path), What.MISSING)

    def _output(self, path: bytes, now: os.stat_result) -> Output | None:
        edit = self._edits[path]
        if _same(edit, now):
            return None
        if edit.xattr and _may_have_attributes(path, edit, now):
            self._doubt("attributes", f"set extended attributes of {shown(path)}")
        if edit.owner and (now.st_uid, now.st_gid) != (os.geteuid(), os.getegid()):
            self._doubt("owner", f"gave {shown(path)} to another user")
        if stat.S_ISREG(now.st_mode):
            return self._file(path, now)
        short = self._roots.short(path)
        if stat.S_ISLNK(now.st_mode):
            target = os.readlink(path)  # noqa: PTH115 - a bytes path
            return Output(short, What.LINK, target=target)
        if stat.S_ISDIR(now.st_mode):
            # A folder that was there is no output because something in it changed.
            old = edit.before is not None and edit.before.mode == now.st_mode
            return (
                None
                if old and not edit.made_dir
                else Output(short, What.DIR, stat.S_IMODE(now.st_mode))
            )
        self._doubt("special-file", f"left {shown(path)}, which is no file, folder or link")
        return None

    def _file(self, path: bytes, now: os.stat_result) -> Output | None:
        link_to = self._link_to(path, now) if now.st_nlink > 1 else None
        if (secret := self._secret(path)) is not None:
            self._doubt("secret", secret)
            return None
        cid = self._kept(path, now)
        if cid is None:
            self._doubt("changed", f"{shown(path)} was changed by something else at the end")
            return None
        # A time before the run began was set by the run, or came with a file it moved.
        own_time = now.st_mtime_ns < self._started_ns - TICK_NS
        return Output(
            self._roots.short(path),
            What.FILE,
            stat.S_IMODE(now.st_mode),
            cid,
            now.st_size,
            link_to=None if link_to is None else self._roots.short(link_to),
            mtime_ns=now.st_mtime_ns if own_time else None,
            touched=self._edits[path].times and not own_time,
        )

    def _secret(self, path: bytes) -> str | None:
        """Why the file must not be kept, if so."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - a bytes path
                if not self._secrets.is_kept_file(path, file):
                    return f"left {shown(path)}, a secret file, and no secret is kept"
                file.seek(0)
                found = self._secrets.found_in_stream(file)
        except OSError:
            return None  # it is not kept either
        return found and f"left what {found} holds in {shown(path)}, and no secret is kept"

    def _kept(self, path: bytes, now: os.stat_result) -> Cid | None:
        """The name of the whole file in the store; None where it did not stand still meanwhile."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            source = _Steady(file, now.st_size)
            cid = self._store.put_stream(source)
            return cid if source.size_bytes == now.st_size and _is_still(path, now) else None

    def _link_to(self, path: bytes, now: os.stat_result) -> bytes | None:
        """The other name that a restore links to, for a file that has several."""
        own = self._names[(now.st_dev, now.st_ino)]
        if len(own) == now.st_nlink:
            return None if own[0] == path else own[0]
        source = self._edits[path].link_of
        if source is not None and source not in self._edits and len(own) + 1 == now.st_nlink:
            return source
        self._doubt("hard-link", f"changed {shown(path)}, which has further names elsewhere")
        return None


def _may_have_attributes(path: bytes, edit: Edit, now: os.stat_result) -> bool:
    """Whether extended attributes the run set may be left, or ones it removed be missed.

    cp, install and sed set the access list that the mode says anyway, which leaves none.
    """
    if edit.before is not None and (edit.before.dev, edit.before.ino) == (now.st_dev, now.st_ino):
        return True
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except (OSError, AttributeError):
        return True
    return any(name != "security.selinux" for name in names)  # the label every new file gets


def _names_per_inode(
    status: Mapping[bytes, os.stat_result | None],
) -> dict[tuple[int, int], list[bytes]]:
    """The names of each file that has several, in order."""
    names: dict[tuple[int, int], list[bytes]] = {}
    for path in sorted(status):
        now = status[path]
        if now is not None and stat.S_ISREG(now.st_mode) and now.st_nlink > 1:
            names.setdefault((now.st_dev, now.st_ino), []).append(path)
    return names


def _ranked(found: list[tuple[int, Output]]) -> list[Output]:
    """The outputs with their places in the order of writing; equal times share one place."""
    times = sorted({mtime_ns for mtime_ns, output in found if output.what == What.FILE})
    rank = {mtime_ns: place for place, mtime_ns in enumerate(times)}
    return [output._replace(rank=rank.get(mtime_ns, 0)) for mtime_ns, output in found]


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _same(edit: Edit, now: os.stat_result) -> bool:
    """Whether nothing came of the edit."""
    if edit.before is None or edit.before != (now.st_mode, *stamp_of(now)):
        return False
    # Where changes within one tick keep their time, a file that was open for writing may differ.
    return FINE_TIMES or not edit.wrote


def _is_still(path: bytes, now: os.stat_result) -> bool:
    again = _status(path)
    return again is not None and stamp_of(again) == stamp_of(now)


class _Steady:
    """A file that is read up to one byte past its size: one that grows does not fill the store."""

    def __init__(self, file: FileIO, size: int) -> None:
        self.size_bytes = 0
        self._file = file
        self._end = size + 1

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end, or where it cannot be read any more."""
        try:
            data = self._file.read(min(size, self._end - self.size_bytes)) or b""
        except OSError:
            return b""
        self.size_bytes += len(data)
        return data
