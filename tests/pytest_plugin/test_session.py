"""A session with the plugin is a session of pytest: selection, reports, exit codes, failures."""

import re
from xml.etree import ElementTree

import pytest

from tests.pytest_plugin.conftest import Author

pytestmark = pytest.mark.slow

PASSES = "def test_one():\n    pass\n"
FAILS = "def test_bad():\n    assert 1 == 2\n"


def test_all_that_can_become_of_a_test_is_told(author: Author) -> None:
    author.write(
        "test_all.py",
        "import warnings, pytest\n"
        "def test_passes():\n    warnings.warn('mind this')\n"
        "def test_fails():\n    left = [1, 2]\n    assert left == [1, 3]\n"
        "def test_skips():\n    pytest.skip('not today')\n"
        "@pytest.mark.xfail\ndef test_xfails():\n    assert 0\n"
        "@pytest.fixture\ndef broken():\n    1/0\n"
        "def test_errors(broken):\n    pass\n"
        "def test_left_out():\n    pass\n",
    )
    words = ("-k", "not left_out", "-rA", "-vv", "-p", "no:cacheprovider")
    ours, theirs = author.test(*words), author.plain(*words)
    assert ours.code == theirs.code == 1

    def said(text: str) -> list[str]:
        words = re.sub(r"in [\d.]+s|\[ *\d+%\]|=+|-+", "", text).splitlines()
        return sorted(line.strip() for line in words if line.strip())

    missing = set(said(theirs.text)) - set(said(ours.text))
    assert all(line.startswith("collect") for line in missing), missing
    assert "Full diff" in ours.text or "diff" in ours.text
    assert author.test(*words).files == (0, 1), "what failed is never skipped"


def test_a_skipped_file_counts_its_tests_and_says_since_when(author: Author) -> None:
    author.write(
        "test_two.py",
        "import pytest\n"
        "def test_one():\n    pass\n"
        "def test_two():\n    pytest.skip('no')\n"
        "@pytest.mark.xfail\ndef test_three():\n    assert 0\n",
    )
    first = author.test()
    assert (first.code, first.counts) == (0, {"passed": 1, "skipped": 1, "xfailed": 1})
    # How results are shown is no reason to run.
    told = author.test("-v", "-rs", "--tb=short", "--junitxml=report.xml", "--durations", "3")
    assert (told.code, told.files, told.counts) == (0, (1, 0), {"skipped": 3})
    assert re.search(r"SKIPPED \[1\] test_two.py: unchanged since run [0-9a-f]{10}\n", told.text)
    cases = list(ElementTree.parse(author.project / "report.xml").iter("testcase"))  # noqa: S314 - ours
    assert [case.get("name") for case in cases] == ["test_one", "test_two", "test_three"]
    for case in cases:
        (skipped,) = case
        assert (skipped.tag, str(skipped.get("message"))[:19]) == ("skipped", "unchanged since run")


def test_each_selection_is_a_matter_of_its_own(author: Author) -> None:
    author.write("test_two.py", PASSES + "def test_two():\n    pass\n")
    author.write("test_three.py", "def test_three():\n    pass\n")
    assert author.test("-k", "one").counts == {"passed": 1, "deselected": 2}
    assert author.test("-k", "one").counts == {"skipped": 1, "deselected": 2}
    assert author.test().files == (0, 2)
    assert author.test("test_two.py").files == (1, 0)
    assert author.test("test_two.py::test_two").counts == {"passed": 1}
    assert author.test("test_two.py::test_two").counts == {"skipped": 1}
    assert author.test("-k", "nothing").code == author.test("-k", "nothing").code == 5
    assert author.test("test_two.py::nothing").code == 4
    assert author.test("nothing.py").code == 4


def test_errors_of_import_and_stops_give_the_exit_codes_of_pytest(author: Author) -> None:
    author.write("test_a.py", "import nothing_of_this_name\n")
    author.write("test_b.py", FAILS + PASSES)
    author.write("test_c.py", PASSES)
    told = author.test()
    assert told.code == author.plain().code == 2
    assert "ERROR test_a.py" in told.text
    assert author.test("--continue-on-collection-errors").code == 1
    told = author.test("-x", "test_b.py", "test_c.py")
    assert (told.code, told.counts) == (1, {"failed": 1})
    author.write("test_a.py", "import pytest\ndef test_end():\n    pytest.exit('enough', 9)\n")
    assert author.test().code == author.plain().code == 9


def test_a_file_that_ends_its_process_fails_alone(author: Author) -> None:
    author.write("test_a.py", "import os\ndef test_end():\n    os._exit(0)\n")
    author.write("test_b.py", "import os\ndef test_kill():\n    os.kill(os.getpid(), 9)\n")
    author.write("test_c.py", PASSES)
    for skipped in (0, 1):
        told = author.test()
        assert told.code == 1
        assert told.counts["failed"] == 2
        assert "the process of test_b.py ended within this test, by SIGKILL" in told.text
        assert "FAILED test_a.py::test_end" in told.text
        assert told.files == (skipped, 3 - skipped)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--co", "-q"), None),
        (("--lf",), "what failed last time is asked for"),
        (("--setup-show",), "fixtures are shown"),
        (("-o", "addopts=test_a.py"), "files are named in addopts"),
        (("--no-redoxa",), None),
    ],
)
def test_some_sessions_are_left_as_they_are(
    author: Author, words: tuple[str, ...], reason: str | None
) -> None:
    author.write("test_a.py", PASSES)
    told = author.test(*words)
    assert told.code == 0
    assert "skipped as unchanged" not in told.text
    assert ("redoxa:" in told.text) == (reason is not None)
    assert (reason or "") in told.text


def test_what_failed_is_remembered_for_the_next_session(author: Author) -> None:
    author.write("test_a.py", FAILS)
    author.write("test_b.py", PASSES)
    assert author.test().code == 1
    assert author.plain("--lf").counts == {"failed": 1}


def test_it_may_be_configured_and_files_may_run_at_a_time(author: Author) -> None:
    author.write("pytest.ini", "[pytest]\nredoxa = true\naddopts = -q --tb=short\n")
    for name in "abc":
        author.write(f"test_{name}.py", PASSES)
    assert author.plain("--redoxa-jobs=2").files == (0, 3)
    assert author.plain("-p", "xdist.plugin", "-n2").files == (0, 3), "plugins count"
    told = author.plain("-p", "xdist.plugin", "-n", "3")
    assert (told.code, told.files, told.counts) == (0, (3, 0), {"skipped": 3})


def test_options_of_a_conftest_are_understood(author: Author) -> None:
    author.write(
        "conftest.py",
        "import pytest\n"
        "def pytest_addoption(parser):\n    parser.addoption('--shade')\n"
        "@pytest.fixture\ndef shade(request):\n    return request.config.getoption('--shade')\n",
    )
    author.write("test_a.py", "def test_shade(shade):\n    assert shade == 'test_a.py'\n")
    assert author.test("--shade", "test_a.py", "test_a.py").code == 0
    assert author.test("--shade", "test_a.py", "test_a.py").files == (1, 0)
    assert author.test("--shade", "blue", "test_a.py").code == 1


def test_what_is_printed_past_pytest_arrives(author: Author) -> None:
    author.write("test_a.py", "def test_prints():\n    print('seen at once')\n")
    assert "seen at once" in author.test("-s").text
    assert "seen at once" not in author.test().text
