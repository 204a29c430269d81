"""A folder that a program tags as its cache is its own work, even where it reads there."""

import sys

import pytest

from tests.runs.conftest import Person

TAG = "Signature: 8a477f597d28d172789f06886806bc55"
READ_AND_KEEP = "cat c/last 2>/dev/null; echo 1 > c/last"


def test_what_was_missing_in_an_own_cache_is_no_reason_to_run_again(person: Person) -> None:
    line = f"mkdir -p c; {READ_AND_KEEP}; echo '{TAG}' > c/CACHEDIR.TAG"
    assert person.run(line).verdict == "ran"
    assert person.run(line).reused
    (person.project / "c/last").unlink()
    assert person.run(line).reused
    assert person.read("c/last") == "1\n"
    # What another program put there is not the command's own work.
    person.write("c/last", "2\n")
    assert person.run(line).changed[0].path == "c/last"


@pytest.mark.parametrize("tag", ["", "no signature", " " + TAG])
def test_without_a_sound_tag_what_is_read_counts(person: Person, tag: str) -> None:
    line = f"mkdir -p c; {READ_AND_KEEP}; printf '%s' '{tag}' > c/CACHEDIR.TAG"
    assert person.run(line).verdict == "ran"
    assert person.run(line).verdict == "ran"


def test_a_tag_that_was_there_before_vouches_for_nothing(person: Person) -> None:
    person.write("c/CACHEDIR.TAG", TAG)
    person.run(READ_AND_KEEP)
    assert person.run(READ_AND_KEEP).verdict == "ran"


@pytest.mark.slow
def test_a_test_suite_is_reused_the_second_time(person: Person) -> None:
    person.write("shape.py", "def area(a, b):\n    return a * b\n")
    person.write(
        "test_shape.py", "import shape\n\ndef test_it():\n    assert shape.area(2, 3) == 6\n"
    )
    person.env["PATH"] = "/usr/bin:/bin"
    # Plugins of whatever is installed here would write their bytecode beside themselves.
    person.env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    words = (sys.executable, "-m", "pytest", "-q")
    assert person.command(*words).doubts == ()
    assert person.command(*words).reused
    person.write("shape.py", "def area(a, b):\n    return b * a  # turned\n")
    changed = person.command(*words)
    assert [change.path for change in changed.changed] == ["shape.py"]
    assert changed.doubts == ()
    person.write("shape.py", "def area(a, b):\n    return a * b\n")
    assert person.command(*words).reused
    cache = next((person.project / "__pycache__").glob("shape.*.pyc")).read_bytes()
    assert int.from_bytes(cache[8:12], "little") == int(
        (person.project / "shape.py").stat().st_mtime
    )


@pytest.mark.slow
def test_a_script_that_packs_leaves_the_users_cache_alone(person: Person) -> None:
    person.write(
        "pack.py",
        "import tempfile, redoxa\n"
        "with tempfile.TemporaryDirectory() as home, redoxa.VM(home) as vm:\n"
        "    packed = vm.get(vm.pack(vm.put(bytes(range(256)) * 16)))\n"
        "open('packed', 'wb').write(packed)\n",
    )
    # The checkout is outside the project; whether its bytecode is current is not the question.
    person.env["PYTHONDONTWRITEBYTECODE"] = "1"
    words = (sys.executable, "pack.py")
    assert person.command(*words).doubts == ()
    assert person.command(*words).reused
    assert not (person.home_path.with_name("person") / ".cache").exists()
