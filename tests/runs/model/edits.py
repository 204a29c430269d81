"""What happens to a world's files between two runs, and some of it while one goes on.

An edit is a value that says what it does, so that a failure shows what led to it. It changes one
world's `project` or leaves it alone where it cannot be done there; it never raises.
"""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.runs.model.lines import OUTPUTS

SOURCES = ("a.txt", "b.txt", "c.txt", "d/x.txt", "d/y.txt", "e/x.txt")
TEXTS = ("", "one\n", "two\n", "three lines\nof\ntext\n")
# What stands before something else in the order in which it is looked for, and what it holds.
SHADOWS = {
    "bin/rev": "#!/bin/sh\necho shadow\n",
    "bin/cat": '#!/bin/sh\necho shadow\nexec /bin/cat "$@"\n',
    ".toolrc": "nearest\n",
    "etc/toolrc": "last\n",
    "../person/.toolrc": "of the person\n",
    "json.py": "dumps = str\n",
    "conf.py": "x = 1\n",
    "conf/__init__.py": "x = 'package'\n",
    "GNUmakefile": "all: ; @echo other rules\n",
    "makefile": "all: ; @echo lower case\n",
}
PROGRAMS = {
    "sub.sh": (
        "cat b.txt 2>/dev/null > from-sub.txt; echo sub\n",
        "cat a.txt > from-sub.txt\n",
        "echo other > from-sub.txt; exit 3\n",
        "#!/bin/sh\ncat d/y.txt\n",
    ),
    "conf.py": ("x = 1\n", "x = 2\n", "from json import dumps as x\n"),
    "Makefile": (
        "second: first d/x.txt ; cat first d/x.txt > second\nfirst: a.txt ; cat a.txt > first\n",
        "second: a.txt ; cat a.txt > second\n",
    ),
}  # fmt: skip
LINKS = ("chain", "hop", "way", "b.txt", "c.txt")
TARGETS = ("hop", "a.txt", "b.txt", "d/x.txt", "d", "e", "nowhere")
MOMENTS_S = (0, 1_000_000_000, 1_600_000_000.5, 4_000_000_000)
_OTHERS = bytes.maketrans(b"12oe", b"21eo")


@dataclass(frozen=True)
class Edit:
    """One change, by name, with what it needs to know."""

    name: str
    args: tuple[object, ...]

    def __call__(self, project: Path) -> None:
        """Do it, as far as the world allows."""
        with suppress(OSError):
            EDITS[self.name](project, *self.args)

    def halves(self) -> "tuple[Edit, ...]":
        """What can be seen of a change at two paths by whoever looks at one of them too early."""
        if self.name != "move":
            return ()
        return Edit("copy", self.args), Edit("delete", self.args[:1])


def _cleared(path: Path) -> Path:
    """The path with nothing there, and a folder to be in."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _beside(project: Path) -> Generator[Path]:
    """A name outside the project for what is to take another, gone whatever comes of it."""
    path = project.parent / "new"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def write(project: Path, name: str, text: str) -> None:
    """In place where a file is; a link in the way is replaced."""
    path = project / name
    if path.is_symlink() or path.is_dir():
        _cleared(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_through(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)


def replace(project: Path, name: str, text: str) -> None:
    """By a file of its own that takes the name, all at once."""
    with _beside(project) as beside:
        beside.write_text(text)
        beside.replace(project / name)


def same_size_and_time(project: Path, name: str) -> None:
    """Other bytes, as many, and the time put back."""
    path = project / name
    before = path.stat()
    with path.open("r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data.translate(_OTHERS))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_same_size_and_time(project: Path, name: str) -> None:
    """The same by another file under its name: the inode differs, too."""
    path = project / name
    with _beside(project) as beside:
        shutil.copy2(path, beside)
        same_size_and_time(project.parent, beside.name)
        beside.replace(path)


def cut(project: Path, name: str, size: int) -> None:
    """Truncation in place, or zeros behind the end."""
    os.truncate(project / name, size)


def delete(project: Path, name: str) -> None:
    """A file, a link, or a folder with all that is in it."""
    path = project / name
    if path.exists() or path.is_symlink():
        _cleared(path)


def delete_and_restore(project: Path, name: str, seconds: float) -> None:
    """The same bytes under the same name, in another file of another time."""
    path = project / name
    data, mode = path.read_bytes(), path.stat().st_mode
    _cleared(path).write_bytes(data)
    path.chmod(mode & 0o7777)
    os.utime(path, (seconds, seconds))


def touch(project: Path, name: str, seconds: float) -> None:
    """Its time set into the past or the future."""
    os.utime(project / name, (seconds, seconds))


def touch_now(project: Path, name: str) -> None:
    os.utime(project / name)


def chmod(project: Path, name: str, mode: int) -> None:
    (project / name).chmod(mode)


def link(project: Path, name: str, target: str) -> None:
    """A symbolic link in the place of whatever was there."""
    path = project / name
    if target != name:
        _cleared(path).symlink_to(target)


def relink(project: Path, name: str, target: str) -> None:
    """A link exchanged for another all at once."""
    if target != name and not (project / name).is_dir():
        with _beside(project) as beside:
            beside.symlink_to(target)
            beside.replace(project / name)


def hard_link(project: Path, name: str, source: str) -> None:
    """One more name of a file."""
    if name != source and (project / source).is_file():
        (project / name).parent.mkdir(exist_ok=True)
        with _beside(project) as beside:
            beside.hardlink_to(project / source)
            beside.replace(project / name)  # does nothing where both are names of one file


def move(project: Path, name: str, to: str) -> None:
    (project / name).rename(project / to)


def copy(project: Path, name: str, to: str) -> None:
    """What is seen of a move where its source was looked at before, and its target after."""
    with _beside(project) as beside:
        shutil.copy2(project / name, beside, follow_symlinks=False)
        beside.replace(project / to)


def exchange_folders(project: Path) -> None:
    """Two folders with the same names in them take each other's place."""
    aside = project.parent / "aside"
    (project / "d").rename(aside)
    try:
        (project / "e").rename(project / "d")
    finally:
        aside.rename(project / ("e" if (project / "d").exists() else "d"))


def folder_to_link(project: Path) -> None:
    """A folder moved away, with a link to another in its place."""
    if not (project / "d").is_symlink():
        _cleared(project / "was")
        (project / "d").rename(project / "was")
        (project / "d").symlink_to("e")


def link_to_folder(project: Path) -> None:
    if (project / "d").is_symlink():
        (project / "d").unlink()
        (project / "was").rename(project / "d")


def copy_folder(project: Path) -> None:
    """A folder replaced by its equal: other inodes, the same everything else."""
    _cleared(project / "was")
    (project / "d").rename(project / "was")
    shutil.copytree(project / "was", project / "d", symlinks=True)


def shadow(project: Path, name: str, mode: int) -> None:
    path = project / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(SHADOWS[name])
    path.chmod(mode)


EDITS: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (
        write, write_through, replace, same_size_and_time, replace_same_size_and_time, cut, delete,
        delete_and_restore, touch, touch_now, chmod, link, relink, hard_link, move,
        copy, exchange_folders, folder_to_link, link_to_folder, copy_folder, shadow,
    )
}  # fmt: skip

_sources = st.sampled_from(SOURCES)
_programs = st.sampled_from([(name, text) for name, texts in PROGRAMS.items() for text in texts])
_files = st.sampled_from([*SOURCES, *SOURCES, *PROGRAMS, *OUTPUTS])
_texts = st.sampled_from(TEXTS)
_moments = st.sampled_from(MOMENTS_S)
_modes = st.sampled_from([0o600, 0o644, 0o755])


def _edit(name: str, *args: st.SearchStrategy[object]) -> st.SearchStrategy[Edit]:
    return st.builds(Edit, st.just(name), st.tuples(*args))


# Each is done at once by the system, so that nobody sees it half done.
SUDDEN = st.one_of(
    _edit("replace", _files, _texts),
    st.builds(Edit, st.just("replace"), _programs),
    _edit("same_size_and_time", st.sampled_from([*SOURCES, *PROGRAMS])),
    _edit("replace_same_size_and_time", _files),
    _edit("cut", _files, st.sampled_from([0, 1])),
    _edit("relink", st.sampled_from(["chain", "hop", "c.txt"]), st.sampled_from(TARGETS)),
    _edit("hard_link", _sources, _sources),
    _edit("move", _sources, _sources),
)
ANY = st.one_of(
    SUDDEN,
    _edit("write", _files, _texts),
    _edit("write", _sources, _texts),
    st.builds(Edit, st.just("write"), _programs),
    _edit("write_through", st.sampled_from(LINKS), _texts),
    _edit("cut", _files, st.sampled_from([0, 1, 5])),
    _edit("delete", st.sampled_from([*SOURCES, *OUTPUTS, *SHADOWS, *LINKS, "d", "e"])),
    _edit("delete_and_restore", _files, _moments),
    _edit("touch", st.sampled_from([*SOURCES, *OUTPUTS, *PROGRAMS, "d", "e", "made"]), _moments),
    _edit("touch_now", _files),
    _edit("chmod", _files, _modes),
    _edit("chmod", st.sampled_from(["d", "e", "made"]), st.sampled_from([0o700, 0o755])),
    _edit("link", st.sampled_from([*LINKS, "out.txt"]), st.sampled_from(TARGETS)),
    _edit("hard_link", _files, _sources),
    _edit("hard_link", _sources, st.sampled_from(OUTPUTS)),
    _edit("move", _files, _files),
    _edit("exchange_folders"),
    _edit("folder_to_link"),
    _edit("link_to_folder"),
    _edit("copy_folder"),
    _edit("shadow", st.sampled_from(list(SHADOWS)), st.sampled_from([0o644, 0o755])),
)
