"""Python's caches never decide wrongly: stale ones are of no effect, and restored ones are used."""

import importlib.util
import os
import py_compile
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.runs import bytecode
from tests.runs.conftest import Person

TAG = sys.implementation.cache_tag
CACHE = f"__pycache__/shapes.{TAG}.pyc"
MAIN = "import shapes\nprint(shapes.AREA)\n"


@pytest.mark.parametrize(
    ("cache", "source"),
    [
        (b"/p/__pycache__/x.cpython-311.pyc", b"/p/x.py"),
        (b"/p/__pycache__/x.y.cpython-311.opt-1.pyc", b"/p/x.y.py"),
        (b"/p/__pycache__/test_x.cpython-311-pytest-8.0.0.pyc", b"/p/test_x.py"),
        (b"/p/__pycache__/x.pypy310.pyc", b"/p/x.py"),
        (b"/p/x.cpython-311.pyc", None),
        (b"/p/my__pycache__/x.cpython-311.pyc", None),
        (b"/p/__pycache__/.cpython-311.pyc", None),
        (b"/p/__pycache__/x.pyc", None),
        (b"/p/__pycache__/x.cpython-311.pyc.4711", None),
        (b"x.cpython-311.pyc", None),
        (b"", None),
    ],
)
def test_a_cache_is_known_by_its_name(cache: bytes, source: bytes | None) -> None:
    assert bytecode.source_of(cache) == source


def test_the_source_is_the_one_python_means(tmp_path: Path) -> None:
    cache = importlib.util.cache_from_source(str(tmp_path / "x.py"))
    assert bytecode.source_of(os.fsencode(cache)) == os.fsencode(tmp_path / "x.py")


def test_a_header_fits_when_python_would_use_it(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("a = 1\n")
    cache = os.fsencode(py_compile.compile(str(source), str(tmp_path / "x.pyc")) or "")
    header = bytecode.read_header(cache)
    assert header is not None
    assert header.magic == importlib.util.MAGIC_NUMBER
    assert header.fits(source.stat())
    os.utime(source, (1, 1))
    assert not header.fits(source.stat())
    source.write_text("a = 12\n")
    assert not header.fits(source.stat())


def test_a_cache_with_a_hash_for_a_time_is_assumed_to_be_used(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("a = 1\n")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    cache = py_compile.compile(str(source), str(tmp_path / "x.pyc"), invalidation_mode=mode) or ""
    header = bytecode.read_header(os.fsencode(cache))
    source.write_text("a = 12\n")
    assert header is not None
    assert header.fits(source.stat())
    data = Path(cache).read_bytes()
    assert bytecode.dated(data, 5) == data


@given(data=st.binary(max_size=40), seconds=st.integers(-(2**40), 2**40))
def test_a_new_date_changes_the_date_alone(data: bytes, seconds: int) -> None:
    dated = bytecode.dated(data, seconds)
    assert len(dated) == len(data)
    assert dated[:8] + dated[12:] == data[:8] + data[12:]
    header = bytecode.parse_header(dated)
    if header is None:
        assert dated == data
    else:
        assert header.flags or header.matches(seconds, header.size)
        assert bytecode.code_of(dated) != bytecode.code_of(dated + b"more")


def test_what_cannot_be_read_has_neither_header_nor_code(tmp_path: Path) -> None:
    for name in (b"missing", b""):
        path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 - a bytes path
        assert bytecode.read_header(path) is None
        assert bytecode.code_digest(path) is None


# Through whole runs.


def begin(person: Person) -> tuple[str, ...]:
    person.write("main.py", MAIN)
    person.write("shapes.py", "AREA = 4\n")
    return (sys.executable, "main.py")


def test_a_touched_source_is_no_change_and_its_cache_is_dated_anew(person: Person) -> None:
    command = begin(person)
    assert person.command(*command).published
    os.utime(person.project / "shapes.py", (1_600_000_000, 1_600_000_000))
    (person.project / CACHE).unlink()
    assert person.command(*command).reused
    header = bytecode.read_header(os.fsencode(person.project / CACHE))
    assert header is not None
    assert header.fits((person.project / "shapes.py").stat()), "Python would not write it again"


def test_a_cache_that_python_would_ignore_is_of_no_effect(person: Person) -> None:
    command = begin(person)
    person.command(*command)
    data = bytearray((person.project / CACHE).read_bytes())
    data[8] ^= 1
    data[-1] ^= 1
    (person.project / CACHE).write_bytes(data)
    assert person.command(*command).reused


def test_a_cache_that_python_would_use_is_an_input(
    person: Person, capfd: pytest.CaptureFixture[str]
) -> None:
    command = begin(person)
    person.command(*command)
    # Other code under the time and size of the source: what PEP 552 calls a collision.
    other = person.write("../elsewhere/shapes.py", "AREA = 9\n")
    status = (person.project / "shapes.py").stat()
    os.utime(other, ns=(status.st_mtime_ns, status.st_mtime_ns))
    py_compile.compile(str(other), str(person.project / CACHE), "shapes.py")
    capfd.readouterr()
    again = person.command(*command)
    assert not again.reused
    assert [change.path for change in again.changed] == [CACHE]
    assert capfd.readouterr().out == "9\n"


@pytest.mark.parametrize("by", ["deletion of the cache", "a new time of the source"])
def test_a_cache_of_an_earlier_source_is_used_no_longer_than_python_would(
    person: Person, by: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """An edit that leaves time and size alone is not noticed by Python, until something else is."""
    command = begin(person)
    source = person.project / "shapes.py"
    os.utime(source, (1_600_000_000, 1_600_000_000))
    person.command(*command)
    source.write_text("AREA = 9\n")
    os.utime(source, (1_600_000_000, 1_600_000_000))
    assert person.command(*command).published
    assert person.command(*command).reused
    assert capfd.readouterr().out == "4\n4\n4\n"
    if by == "deletion of the cache":
        (person.project / CACHE).unlink()
    else:
        os.utime(source, (1_700_000_000, 1_700_000_000))
    person.command(*command)
    assert capfd.readouterr().out == "9\n"


def test_a_cache_whose_source_is_gone_is_no_module(person: Person) -> None:
    command = begin(person)
    person.command(*command)
    (person.project / "shapes.py").unlink()
    again = person.command(*command)
    assert again.exit_code == 1
    assert "shapes.py" in {change.path for change in again.changed}
