"""An exported run does the same elsewhere, with nothing of Redoxa, and holds no secret."""

import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.conftest import Person

ROOT = Path(__file__).resolve().parents[2]
Done = subprocess.CompletedProcess[str]
Typed = Callable[..., Done]
pytestmark = pytest.mark.slow
CANARY = "correct-horse-battery"


def unpack(archive: Path, where: Path) -> Path:
    """What `tar xf` makes of it."""
    with tarfile.open(archive) as tar:
        tar.extractall(where, filter="data")
    (folder,) = where.iterdir()
    return folder


def again(folder: Path, *words: str) -> Done:
    """The archive's own program, with a bare environment."""
    # Any Python will do, so the test's own is found by name alone.
    env = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}
    return subprocess.run(
        [folder / "replay", *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_does_the_same_where_nothing_of_it_is(
    person: Person, typed_text: Typed, tmp_path: Path
) -> None:
    for name in ("in", "gone", "d/listed"):
        person.write(name, f"{name}\n")
    line = "cat in; ls d; cat in > out; chmod 750 out; mkdir new; ln -s ../out new/link; echo e >&2"
    typed_text("run", "--", "sh", "-c", line)
    (person.project / "out").unlink()
    (person.project / "new/link").unlink()
    (person.project / "new").rmdir()
    archives = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for archive in archives:
        done = typed_text("export", "@", "-o", str(archive))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"wrote {archive}: ")
    assert archives[0].read_bytes() == archives[1].read_bytes()
    folder = unpack(archives[0], tmp_path / "there")
    person.project.rename(tmp_path / "away")
    (person.home_path).rename(tmp_path / "home away")
    done = again(folder)
    assert done.stdout.startswith("EXACT: "), done.stdout + done.stderr
    assert done.returncode == 0
    assert not person.project.exists()
    run = json.loads((folder / "run.json").read_text())
    run["exit_code"] = 7
    (folder / "run.json").write_text(json.dumps(run))
    done = again(folder)
    assert (done.returncode, done.stdout) == (1, "DIFFERS: the exit code is 0 and was 7\n")
    assert again(folder, "--other").returncode == 2


def test_names_in_an_archive_lie_below_one_folder(typed_text: Typed, tmp_path: Path) -> None:
    typed_text("run", "--", "sh", "-c", "echo a > out")
    archive = tmp_path / "run.tar"
    answer = json.loads(typed_text("export", "--json", "@", "-o", str(archive)).stdout)
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert all(name.startswith(answer["name"] + "/") and ".." not in name for name in names)
    for member in members:
        assert member.isfile()
        assert (member.uid, member.gid, member.mtime, member.uname) == (0, 0, 0, "")
    assert answer["size_bytes"] == archive.stat().st_size
    readme = unpack(archive, tmp_path / "there") / "README.txt"
    for path, digest in answer["system"].items():
        assert f"{digest}  {path}\n" in readme.read_text()
    assert any("libc" in path or "musl" in path for path in answer["system"])


def test_what_is_other_there_is_named(typed_text: Typed, tmp_path: Path) -> None:
    typed_text("run", "--", "sh", "-c", "echo a")
    typed_text("export", "@", "-o", str(tmp_path / "run.tar"))
    folder = unpack(tmp_path / "run.tar", tmp_path / "there")
    run = json.loads((folder / "run.json").read_text())
    item = next(item for item in run["expected"] if item["what"] == "file")
    item["sha256"] = "0" * 64
    run["expected"].append({"path": "/nowhere/at/all", "what": "folder", "mode": 0o755})
    (folder / "run.json").write_text(json.dumps(run))
    done = again(folder)
    assert done.returncode == 3
    assert f"cannot be re-created: {item['path']} is another file here" in done.stdout
    assert "/nowhere/at/all is missing here" in done.stdout
    assert again(folder, "--anyway").stdout.startswith("EXACT")


def test_no_secret_is_exported(person: Person, typed_text: Typed, tmp_path: Path) -> None:
    person.env |= {"DEPLOY_TOKEN": CANARY, "COLOUR": "blue"}
    person.write("in", "21\n")
    person.write(".env", f"DB_PASSWORD={CANARY}2\n")
    person.write("config", f"token: {CANARY}\n")
    archive = tmp_path / "run.tar"
    typed_text("run", "--", "sh", "-c", "cat in")
    assert typed_text("export", "@", "-o", str(archive)).returncode == 0
    assert CANARY.encode() not in archive.read_bytes()
    assert b"blue" in archive.read_bytes()
    for name, why in (
        (".env", "is secret, and no secret leaves"),
        ("config", "holds the value of"),
    ):
        typed_text("run", "--", "wc", "-c", name)
        archive.unlink()
        done = typed_text("export", "@", "-o", str(archive))
        assert (done.returncode, archive.exists()) == (3, False)
        assert f"project/{name} {why}" in done.stderr
        assert typed_text("export", "--anyway", "@", "-o", str(archive)).returncode == 0
        assert CANARY.encode() not in archive.read_bytes()
        folder = unpack(archive, tmp_path / f"without {name}")
        done = again(folder)
        assert done.returncode == 3
        assert f"project/{name} {why}" in done.stdout
        assert typed_text("replay", "@").returncode == 0, "here it is read where it lies"


def test_with_the_system_it_runs_in_that_alone(
    person: Person, typed_text: Typed, tmp_path: Path
) -> None:
    person.write("in", "2\n1\n")
    typed_text("run", "--", "sh", "-c", "sort in > out; cat out")
    done = typed_text("export", "--with-system", "--json", "@", "-o", str(tmp_path / "run.tar"))
    assert json.loads(done.stdout)["system"] == {}
    folder = unpack(tmp_path / "run.tar", tmp_path / "there")
    done = again(folder)
    if "no file system view" in done.stdout:
        pytest.skip("no namespaces here")
    assert done.stdout.startswith("EXACT"), done.stdout + done.stderr
    run = json.loads((folder / "run.json").read_text())
    run["command"] = ["sh", "-c", "ls -d /home /etc/hostname"]  # nothing that the run saw
    (folder / "run.json").write_text(json.dumps(run))
    assert again(folder).returncode in (1, 3)


def test_the_archive_is_there_whole_or_not_at_all(typed_text: Typed, tmp_path: Path) -> None:
    typed_text("run", "--", "sh", "-c", "echo a")
    done = typed_text("export", "@", "-o", str(tmp_path))
    assert (done.returncode, "is a directory; name the file" in done.stderr) == (3, True)
    done = typed_text("export", "@", "-o", str(tmp_path / "none" / "run.tar"))
    assert done.returncode == 5
    assert not (tmp_path / "none").exists()
    done = typed_text("export", "abcdef", "-o", str(tmp_path / "run.tar"))
    assert done.returncode == 3
    assert not (tmp_path / "run.tar").exists()
    old = os.umask(0o027)
    try:
        typed_text("export", "@", "-o", str(tmp_path / "run.tar"))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "run.tar").stat().st_mode) == 0o640
