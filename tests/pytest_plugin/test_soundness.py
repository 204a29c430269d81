"""A test file runs again whenever anything changed that its tests depend on, and not otherwise."""

import os
import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.pytest_plugin.conftest import Author, author_in

WORDS = ("-p", "spare_plugin")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Author:
    """Two files: one depends on all sorts of things, the other on what all share."""
    author = author_in(tmp_path_factory.mktemp("recorded"))
    author.write("pytest.ini", "[pytest]\ntestpaths = tests\n")
    author.write("conftest.py", "SHARED = 1\n")
    author.write("helper.py", "VALUE = 1\n")
    author.write("data.txt", "one\n")
    author.write("files/spare.txt", "")
    author.write("spare_plugin.py", "VERSION = 1\n")
    author.write("folder/first", "")
    author.write(
        "tests/test_many.py",
        "import os\n"
        "from pathlib import Path\n"
        "import colorsys, helper\n"
        "try:\n"
        "    import optional\n"
        "except ImportError:\n"
        "    optional = None\n"
        "def test_helper():\n"
        "    assert helper.VALUE == 1\n"
        "def test_data():\n"
        "    assert Path('data.txt').read_text() == 'one\\n'\n"
        "def test_rest():\n"
        "    assert optional is None and Path('files/spare.txt').exists()\n"
        "    assert os.listdir('folder') == ['first'] and 'MINE' not in os.environ\n",
    )
    author.write("tests/test_one.py", "def test_one():\n    assert True\n")
    first = author.test(*WORDS)
    assert first.code == 0, first.text + first.errors
    assert first.files == (0, 2)
    assert author.test(*WORDS).files == (2, 0)
    return author


@contextmanager
def changed(path: Path, text: str) -> Generator[None]:
    """Other bytes of the same length under the same times, and everything back afterwards."""
    times, old = path.stat(), path.read_text()
    assert len(text) == len(old), "an adversary keeps the size"
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    yield
    path.write_text(old)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def appended(path: Path, text: str) -> Generator[None]:
    old = path.read_text() if path.exists() else None
    with path.open("a") as file:
        file.write(text)
    yield
    if old is None:
        path.unlink()
    else:
        path.write_text(old)


@contextmanager
def gone(path: Path, _: str) -> Generator[None]:
    path.rename(path.with_name("elsewhere"))
    yield
    path.with_name("elsewhere").rename(path)


Change = tuple[Callable[[Path, str], AbstractContextManager[None]], str, str, str | None]
CHANGES: dict[str, Change] = {
    # How, where, what text, and which file is skipped all the same.
    "conftest": (appended, "conftest.py", "SHARED = 2\n", None),
    "helper": (appended, "helper.py", "VALUE = 2\n", "tests/test_one.py"),
    "a file that an import would now find": (appended, "optional.py", "", None),
    "a file before the standard library's": (appended, "colorsys.py", "", None),
    "deleted": (gone, "files/spare.txt", "", "tests/test_one.py"),
    "a name in a listed folder": (appended, "folder/second", "", "tests/test_one.py"),
    "an option of pytest.ini": (appended, "pytest.ini", "xfail_strict = 1\n", None),
    "a plugin": (appended, "spare_plugin.py", "VERSION = 2\n", None),
    "the test file": (appended, "tests/test_one.py", "# more\n", "tests/test_many.py"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_runs_what_depends_on_it_again(recorded: Author, name: str) -> None:
    change, where, text, skipped = CHANGES[name]
    with change(recorded.project / where, text):
        told = recorded.plain("--redoxa-why", *WORDS)
    assert told.code == 0
    would = dict(re.findall(r"^(\S+) would (be skipped|run): ", told.text, re.MULTILINE))
    assert would == {
        name: "be skipped" if name == skipped else "run"
        for name in ("tests/test_many.py", "tests/test_one.py")
    }, told.text


@pytest.mark.slow
def test_bytes_count_under_the_same_size_and_time(recorded: Author) -> None:
    with changed(recorded.project / "data.txt", "two\n"):
        told = recorded.test(*WORDS)
    assert (told.code, told.files, told.counts["failed"]) == (1, (1, 1), 1), told.text
    told = recorded.test(*WORDS)
    assert (told.code, told.files) == (0, (2, 0)), "what is put back is known again"


@pytest.mark.slow
def test_a_variable_counts(recorded: Author) -> None:
    told = recorded.test(*WORDS, env={"MINE": "1"})
    assert (told.code, told.files) == (1, (0, 2)), told.text


@pytest.mark.slow
def test_why_names_what_changed_and_runs_nothing(recorded: Author) -> None:
    with appended(recorded.project / "helper.py", "1/0\n"):
        told = recorded.plain("--redoxa-why", *WORDS)
    assert told.code == 0
    assert "tests/test_many.py would run: helper.py changed\n  helper.py: content " in told.text
    assert "tests/test_one.py would be skipped: nothing it depends on changed" in told.text
