"""One git repository as commits and trees. Nothing is ever written to it.

Trees that are made, and what is laid out to be run, lie in a scratch repository that borrows the
objects of the first.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cid_store.errors import InputError, UnavailableError

_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0")


class Commit(NamedTuple):
    """A commit: its hash, the hash of its tree, and when it was made (ISO 8601)."""

    hash: str
    tree: str
    date: str


class Change(NamedTuple):
    """A file that differs between two trees, and by how many lines."""

    path: str
    lines: int


def newest_commits(repository: Path, count: int, *, revision: str = "HEAD") -> list[Commit]:
    """The newest commits up to a revision, along first parents, oldest first.

    Raises InputError where it is no repository, or has fewer.
    """
    if not repository.is_dir():
        raise InputError(f"{repository} is no folder; name the folder of a git repository")
    _git(repository, "rev-parse", "--git-dir", refusal=f"{repository} is no git repository")
    # Whatever a revision is called, it is no option: some of git's write files.
    limits = ("--first-parent", f"--max-count={count}", "--format=%H %T %cI", "--end-of-options")
    text = _git(
        repository, "log", *limits, revision, "--",
        refusal=f"{repository} has no commit {revision!r}; commit something, or name another with "
        "--revision",
    )  # fmt: skip
    found = [Commit(*line.split(" ")) for line in text.decode().splitlines()]
    if len(found) < count:
        commits = "1 commit" if len(found) == 1 else f"{len(found)} commits"
        raise InputError(
            f"{repository} has {commits} up to {revision}, and {count} were asked for; "
            f"ask for --commits {len(found)}, or fetch the older ones"
        )
    return found[::-1]


def is_dirty(repository: Path) -> bool:
    """Whether files that git knows differ from the newest commit."""
    return bool(_git(repository, "status", "--porcelain", "--untracked-files=no"))


class Scratch:
    """A repository of our own in `folder`: `git` holds its objects, `tree` what is laid out."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self._git_dir = folder / "git"
        self._index = folder / "index"

    def prepare(self, repository: Path) -> None:
        """Make it, where it is not made yet; it borrows the objects of the other one."""
        if (self._git_dir / "HEAD").exists() and self.tree.is_dir():
            return
        self.tree.mkdir(exist_ok=True)
        # The folder of the objects apart, so that runs see a `.git` that never changes.
        _git(self.tree, "init", "-q", f"--separate-git-dir={self._git_dir}", ".")
        where = _git(repository, "rev-parse", "--path-format=absolute", "--git-path", "objects")
        borrowed = self._git_dir / "objects" / "info" / "alternates"
        borrowed.write_bytes(where)

    def files(self, tree: str) -> list[str]:
        """The names of a tree's regular files, in order."""
        listing = _git(self.tree, "ls-tree", "-r", "-z", tree)
        rows = (row.partition(b"\t") for row in listing.split(b"\0") if row)
        return sorted(os.fsdecode(name) for facts, _, name in rows if facts.startswith(b"100"))

    def read(self, tree: str, path: str) -> bytes:
        """One file of a tree."""
        return _git(self.tree, "cat-file", "blob", f"{tree}:{path}")

    def edited(self, tree: str, texts: Mapping[str, bytes]) -> str:
        """The tree in which these files of it hold these bytes."""
        if not texts:
            return tree
        index = {"GIT_INDEX_FILE": str(self._index)}
        _git(self.tree, "read-tree", tree, env=index)
        for path, data in texts.items():
            blob = _git(self.tree, "hash-object", "-w", "--stdin", given=data).decode().strip()
            mode = _git(self.tree, "ls-tree", "-z", tree, "--", f":(literal){path}")[:6].decode()
            entry = f"{mode} {blob}\t{path}\0".encode("utf-8", "surrogateescape")
            _git(self.tree, "update-index", "-z", "--index-info", given=entry, env=index)
        return _git(self.tree, "write-tree", env=index).decode().strip()

    def changes(self, was: str, now: str) -> list[Change]:
        """Which files differ between two trees; a file of bytes that are no text has no lines."""
        options = ("-r", "--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv")
        listing = _git(self.tree, "diff-tree", *options, was, now)
        found: list[Change] = []
        for row in listing.split(b"\0"):
            added, _, rest = row.partition(b"\t")
            removed, _, name = rest.partition(b"\t")
            if name:
                lines = sum(int(number) for number in (added, removed) if number.isdigit())
                found.append(Change(os.fsdecode(name), lines))
        return found

    def lay_out(self, tree: str) -> None:
        """Let exactly the tree's files lie there; a file that is right already is left alone."""
        _git(self.tree, "read-tree", "--reset", "-u", tree)
        _git(self.tree, "clean", "-ffdxq")


def _git(
    folder: Path,
    *words: str,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    refusal: str = "",
) -> bytes:
    """What git prints. Raises InputError with its first line, or UnavailableError without git."""
    try:
        done = subprocess.run(
            ["git", *_QUIET, *words],
            cwd=folder,
            env={**_environment(), **(env or {})},
            input=given,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise UnavailableError("git is not installed; install it and try again") from error
    if done.returncode:
        raise InputError(f"{refusal or 'git ' + words[0] + ' failed'}: {_complaint(done.stderr)}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours without what would lead git to another repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _complaint(printed: bytes) -> str:
    lines: Sequence[str] = printed.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else "git did not say why"
