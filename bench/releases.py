"""Make a git repository out of a package's source distributions, one commit for each release.

    python bench/releases.py PACKAGE FOLDER VERSION...

Each version is downloaded by the pip of this Python, as its source distribution, and becomes one
commit: all files of the archive, dated by the newest of them. So the same versions give the same
commits everywhere. FOLDER must be missing or empty. A version that has no source distribution, or
cannot be read here, is passed over and named.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

_GIT = (
    "git",
    "-c",
    "user.name=releases",
    "-c",
    "user.email=releases@invalid",
    "-c",
    "commit.gpgsign=false",
)


def main(words: list[str]) -> int:
    """Download and commit; the exit code."""
    if len(words) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    package, folder, *versions = words
    tree = Path(folder)
    tree.mkdir(parents=True, exist_ok=True)
    if any(tree.iterdir()):
        print(f"{tree} is not empty; name another folder", file=sys.stderr)
        return 3
    _git(tree, "init", "-q", "-b", "main")
    for version in versions:
        with tempfile.TemporaryDirectory() as scratch:
            archive = _download(package, version, Path(scratch))
            if archive is None:
                print(f"passed over: {package} {version}", file=sys.stderr)
                continue
            newest = _lay_out(archive, tree)
        _commit(tree, f"{package} {version}", newest)
        print(f"{package} {version}", file=sys.stderr)
    return 0


def _download(package: str, version: str, to: Path) -> Path | None:
    words = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    words += ["--no-build-isolation", "-d", str(to), f"{package}=={version}"]
    if subprocess.run(words, check=False, stderr=subprocess.DEVNULL).returncode:
        return None
    return next((path for path in to.iterdir() if path.name.endswith(".tar.gz")), None)


def _lay_out(archive: Path, tree: Path) -> int:
    """Put the archive's files in the tree, in place of all that is there; the newest one's time."""
    _git(tree, "rm", "-rq", "--ignore-unmatch", ".")
    newest = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            inner = member.name.partition("/")[2]
            if member.isfile() and inner:
                newest = max(newest, int(member.mtime))
                tar.extract(member.replace(name=inner), tree, filter="data")
    return newest


def _commit(tree: Path, message: str, time: int) -> None:
    _git(tree, "add", "-Af", ".")
    dated = {"GIT_AUTHOR_DATE": f"{time} +0000", "GIT_COMMITTER_DATE": f"{time} +0000"}
    _git(tree, "commit", "-q", "--allow-empty", "-m", message, env={**os.environ, **dated})


def _git(tree: Path, *words: str, env: dict[str, str] | None = None) -> None:
    subprocess.run([*_GIT, "-C", str(tree), *words], check=True, env=env)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
