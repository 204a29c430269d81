"""Likely failures first: the same results in another order, and not where it could matter."""

import re

from tests.pytest_plugin.conftest import Author, Told

READS = "from pathlib import Path\nfrom core import value\n"


def three(author: Author) -> None:
    """Three files of tests of one module, the last of which fails when its value is not 1."""
    author.write("core.py", "value = 1\n")
    for name in ("a", "b"):
        author.write(f"tests/test_{name}.py", f"{READS}def test_{name}():\n    assert value\n")
    author.write("tests/test_z.py", f"{READS}def test_z():\n    assert value == 1\n")


def ran(told: Told) -> list[str]:
    """The files in the order in which they were told."""
    found = re.findall(r"^tests/test_(\w+)\.py ", told.text, re.MULTILINE)
    assert found, told.text + told.errors
    return found


def test_what_failed_before_comes_first_and_the_results_are_the_same(author: Author) -> None:
    three(author)
    assert author.test().counts == {"passed": 3}
    author.write("core.py", "value = 2\n")
    first = author.test()
    assert first.counts == {"failed": 1, "passed": 2}
    again = author.test()
    assert again.counts == {"failed": 1, "skipped": 2}
    author.write("core.py", "value = 3\n")
    likely, named = author.test(), author.test("--redoxa-order", "named")
    assert (ran(likely)[0], likely.counts, likely.code) == ("z", first.counts, 1)
    assert (named.counts, named.code) == ({"failed": 1, "skipped": 2}, 1)
    assert ran(named)[-1] == "z"


def test_a_stop_at_the_first_failure_spares_the_others(author: Author) -> None:
    three(author)
    author.test("-x")
    author.write("core.py", "value = 1  # still\n")
    assert author.test("-x").counts == {"passed": 3}
    author.write("core.py", "value = 2\n")
    assert author.test("-x").counts["failed"] == 1
    author.write("core.py", "value = 3\n")
    assert author.test("-x").counts == {"failed": 1}


def test_files_that_leave_things_for_others_keep_their_order(author: Author) -> None:
    author.write("core.py", "value = 1\n")
    place = "Path(__file__).with_name('left.txt')"
    author.write("tests/test_a.py", f"{READS}def test_a():\n    {place}.write_text(str(value))\n")
    author.write(
        "tests/test_b.py",
        f"{READS}def test_b():\n    assert {place}.read_text() == '1' == str(value)\n",
    )
    assert author.test().counts == {"passed": 2}
    for value in (2, 3):
        author.write("core.py", f"value = {value}\n")
        told = author.test()
        assert (ran(told), told.counts) == (["a", "b"], {"failed": 1, "passed": 1})
