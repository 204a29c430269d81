"""Test files with habits: they write, connect, draw, use temporary folders, need each other."""

import re

import pytest

from ring2_orchestrator.pytest_plugin.places import Places
from tests.pytest_plugin.conftest import Author

pytestmark = pytest.mark.slow


def test_temporary_folders_stand_in_no_way(author: Author) -> None:
    author.write(
        "test_a.py",
        "def test_one(tmp_path, cache):\n"
        "    assert list(tmp_path.iterdir()) == [] and cache.get('mine/seen', None) is None\n"
        "    (tmp_path / 'file').write_text('x')\n"
        "    cache.set('mine/seen', True)\n",
    )
    assert author.test().code == 0
    told = author.test()
    assert (told.code, told.files) == (0, (1, 0))
    left = {path.name for path in (author.project.parent / "temp").rglob("*") if path.is_file()}
    assert all(name.endswith(".lock") for name in left)


def test_what_tests_write_in_the_project_is_put_back(author: Author) -> None:
    author.write("test_a.py", "def test_a():\n    open('made.txt', 'w').write('made')\n")
    author.write("test_b.py", "def test_b():\n    assert open('made.txt').read() == 'made'\n")
    assert author.test().files == (0, 2)
    author.test()
    (author.project / "made.txt").unlink()
    told = author.test()
    assert (told.code, told.files) == (0, (2, 0)), told.text
    assert (author.project / "made.txt").read_text() == "made"
    # Another file's leavings are an input like any other.
    author.write("test_a.py", "def test_a():\n    open('made.txt', 'w').write('other')\n")
    told = author.test()
    assert (told.code, told.files) == (1, (0, 2))


def test_who_uses_the_network_runs_every_time_and_is_named(author: Author) -> None:
    author.write(
        "test_a.py",
        "import socket, pytest\n"
        "def test_connects():\n"
        "    with pytest.raises(OSError), socket.create_connection(('127.0.0.1', 9), 1):\n"
        "        pass\n",
    )
    author.write("test_b.py", "def test_b():\n    pass\n")
    author.test()
    told = author.test()
    assert (told.code, told.files) == (0, (1, 1))
    assert re.search(r"test_a.py will run again: .* speaks to inet:127.0.0.1:9\n", told.text)


def test_files_do_not_see_each_other_s_modules(author: Author) -> None:
    author.write("shared.py", "seen = []\n")
    for name in "ab":
        author.write(
            f"test_{name}.py",
            "import shared\n"
            "def test_seen():\n"
            f"    shared.seen.append({name!r})\n"
            f"    assert shared.seen == [{name!r}]\n",
        )
    assert author.plain().code == 1, "in one process they do"
    assert author.test().code == 0
    assert author.test().files == (2, 0)


def test_failures_leave_their_temporary_files(author: Author) -> None:
    author.write(
        "test_a.py",
        "def test_a(tmp_path):\n    (tmp_path / 'left').write_text('x')\n    assert 0\n",
    )
    assert author.test().code == 1
    temp = author.project.parent / "temp"
    assert [path.read_text() for path in temp.rglob("left") if not path.parent.is_symlink()] == [
        "x"
    ]
    assert author.test().code == 1, "and the next run begins with none"


def test_two_sessions_at_a_time_have_folders_of_their_own(author: Author) -> None:
    author.write(
        "test_a.py",
        "import subprocess, sys, os\n"
        "def test_a(tmp_path):\n    (tmp_path / 'file').write_text('x')\n",
    )
    assert author.test().files == (0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", author.env["TMPDIR"])
        first = Places(author.project)
        assert author.test().files == (0, 1), "its words name another folder"
        assert author.test().files == (1, 0)
        first.close()
    assert author.test().files == (1, 0)


def test_variables_that_a_conftest_sets_were_not_given(author: Author) -> None:
    author.write("conftest.py", "import os\nos.environ['MINE'] = str(os.getpid())\n")
    author.write("test_a.py", "import os\ndef test_a():\n    assert os.environ['MINE']\n")
    assert author.test().code == 0
    assert author.test().files == (1, 0)
