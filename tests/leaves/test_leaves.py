"""Compiler calls inside a recorded run are kept and answered one by one, exactly."""

import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.leaves.conftest import Works

ALL = 4  # three compilations and a link


def test_after_one_change_one_source_is_compiled(works: Works) -> None:
    assert works.make().published
    assert works.counts() == {"ran": ALL}
    works.write("three.c", "int three(void) { return 2; }\n")
    works.clean()
    result = works.make()
    assert (result.verdict, result.published) == ("ran", True)
    assert sorted(works.news()) == [
        ("ran", "three.o"),
        ("ran", "three.o"),  # the link's last word
        ("reused", "one.o"),
        ("reused", "two.o"),
    ]


def test_what_is_put_back_is_what_was_made(works: Works) -> None:
    works.make()
    made = works.made()
    works.clean()
    works.write("Makefile", (works.project / "Makefile").read_text() + "# another build\n")
    works.counts()
    assert works.make().exit_code == 0
    assert works.counts() == {"reused": ALL}
    assert works.made() == made
    modes = {name: (works.project / name).stat().st_mode & 0o777 for name in made}
    assert modes == {"one.o": 0o644, "two.o": 0o644, "three.o": 0o644, "prog": 0o755}


def exchange_compiler(works: Works) -> None:
    tools = works.base / "tools"
    tools.mkdir()
    gcc = tools / "gcc"
    gcc.write_text(f'#!/bin/sh\nexec {shutil.which("gcc")} -DOTHER "$@"\n')
    gcc.chmod(0o755)
    works.env["PATH"] = f"{tools}:{works.env['PATH']}"


def add_variable(works: Works) -> None:
    works.env["SOURCE_DATE_EPOCH"] = "1"


# What is changed, and which objects are compiled again for it.
CHANGES: dict[str, tuple[Callable[[Works], object], set[str]]] = {
    "a header": (lambda at: at.write("late/word.h", '#define WORD "world"\n'), {"one.o"}),
    "a header earlier on the way": (
        lambda at: at.write("early/word.h", '#define WORD "early"\n'),
        {"one.o"},
    ),
    "a header of the second alone": (
        lambda at: at.write("early/other.h", "#define OTHER 2\n"),
        {"two.o"},
    ),
    "a header beside the source": (
        lambda at: at.write("other.h", "#define OTHER 3\n"),
        {"two.o"},
    ),
    "a system header hidden": (lambda at: at.write("early/stdio.h", "int puts();\n"), {"one.o"}),
    "the compiler": (exchange_compiler, {"one.o", "two.o", "three.o"}),
    "a variable": (add_variable, {"one.o", "two.o", "three.o"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_else_is_answered_after(works: Works, change: str) -> None:
    works.make()
    works.clean()
    works.counts()
    act, again = CHANGES[change]
    act(works)
    assert works.make().exit_code == 0
    news = [(verdict, name) for verdict, name in works.news() if name != "three.o"]
    ran = {name for verdict, name in news if verdict == "ran"}
    assert ran == again - {"three.o"}
    mine = works.made()
    works.clean()
    plain = {**works.env}
    subprocess.run(["make", "-s"], cwd=works.project, env=plain, check=True)
    assert works.made() == mine


def test_a_header_that_is_gone_is_missed(works: Works) -> None:
    works.make()
    works.clean()
    works.counts()
    (works.project / "late/other.h").unlink()
    assert works.make("-k").exit_code
    assert ("reused", "two.o") not in works.news()


def test_a_link_on_the_way_counts_for_each_leaf(works: Works) -> None:
    (works.project / "late").rename(works.project / "first")
    shutil.copytree(works.project / "first", works.project / "second")
    works.write("second/other.h", "#define OTHER 5\n")
    (works.project / "late").symlink_to("first")
    works.make()  # the second compilation passes a link that the first one passed before it
    works.clean()
    works.counts()
    (works.project / "late").unlink()
    (works.project / "late").symlink_to("second")
    works.make()
    news = works.news()
    assert ("ran", "two.o") in news
    assert ("ran", "one.o") in news


def test_the_whole_is_reused_afterwards_and_run_when_a_leaf_must(works: Works) -> None:
    works.make()
    works.write("three.c", "int three(void) { return 2; }\n")
    works.clean()
    works.make()  # one.o and two.o are answered
    made = works.made()
    works.clean()
    assert works.make().verdict == "reused"
    assert works.made() == made
    # Only the shortcut of one.o knew of this place.
    header = works.write("early/word.h", '#define WORD "early"\n')
    assert works.make().verdict == "ran"
    header.unlink()
    works.clean()
    assert works.make().verdict == "reused"
    assert works.made() == made


def test_an_input_that_the_run_changes_after_the_answer_counts_as_it_was(works: Works) -> None:
    line = "gcc -Ilate -c one.c -o one.o; echo '#define WORD \"later\"' > late/word.h"
    header = (works.project / "late/word.h").read_text()
    works.sh(line)
    works.write("late/word.h", header)
    works.counts()
    assert works.sh(f"{line} # again").published
    # The first was not kept: its header cannot be read any more. So make one that is.
    works.write("late/word.h", header)
    works.sh("gcc -Ilate -c one.c -o one.o")
    works.counts()
    assert works.sh(f"{line} # third").published
    assert works.counts() == {"reused": 1}
    assert works.sh(f"{line} # third").verdict == "ran", "another header stands there now"


def test_what_a_leaf_printed_is_printed_again(works: Works) -> None:
    works.write("warns.c", "#warning look here\nint x;\n")
    first = works.typed("sh", "-c", "gcc -c warns.c; echo one")
    works.counts()
    again = works.typed("sh", "-c", "gcc -c warns.c; echo two")
    assert works.counts() == {"reused": 1}
    said = first.stderr.rpartition(b"redoxa: ")[0]
    assert b"look here" in said
    assert again.stderr.startswith(said)
    assert (first.stdout, again.stdout) == (b"one\n", b"two\n")


def test_a_failure_is_not_kept(works: Works) -> None:
    works.write("bad.c", "#error no\n")
    assert works.sh("gcc -c bad.c").exit_code == 1
    assert works.counts() == {}


def test_a_leaf_of_a_failed_run_is_kept(works: Works) -> None:
    works.write("two.c", "#error not yet\n")
    assert works.make("-k").exit_code
    works.write("two.c", "int two(void) { return 0; }\n")
    works.clean()
    works.counts()
    works.make()
    assert ("reused", "one.o") in works.news()


@pytest.mark.parametrize(
    "after",
    [
        "strip -g one.o",
        "mv one.o two.o",
        "rm one.o",
        "echo >> one.o",
        "chmod 600 one.o",
        "touch -t 200001010000 one.o",
        "ln one.o other.o",
        "gcc -DX -Ilate -c one.c -o one.o",
    ],
)
def test_an_output_that_was_changed_later_is_not_kept(works: Works, after: str) -> None:
    compile_ = "gcc -g -Ilate -c one.c -o one.o"
    works.sh(f"{compile_}; {after}")
    works.counts()
    for name in ("one.o", "two.o", "other.o"):
        (works.project / name).unlink(missing_ok=True)
    works.sh(compile_)
    assert works.counts() == {"ran": 1}
    made = (works.project / "one.o").read_bytes()
    subprocess.run(compile_.split(), cwd=works.project, env=works.env, check=True)
    assert (works.project / "one.o").read_bytes() == made


@pytest.mark.parametrize(
    "line",
    [
        "gcc -x c -c -o one.o /dev/fd/3 3< one.c",
        "cat one.c | gcc -Ilate -x c -c -o one.o -",
        "mkfifo pipe; cat one.c > pipe & gcc -Ilate -x c -c -o one.o pipe; rm pipe",
        "exec 5> log; gcc -Ilate -c one.c -o one.o",
    ],
)
def test_what_came_past_the_files_is_not_kept(works: Works, line: str) -> None:
    works.sh(line)
    assert works.counts() == {}


def test_what_is_made_anew_is_not_answered(works: Works) -> None:
    works.make()
    works.clean()
    works.counts()
    assert works.make(reuse=False).reason.startswith("run again as asked")
    assert works.counts() == {"ran": ALL}


def test_a_terminal_stays_one(works: Works) -> None:
    """The compiler colours what it says only where it says it to a terminal."""
    works.write("warns.c", "#warning look here\nint x;\n")
    first = works.shown("sh", "-c", "gcc -c warns.c")
    works.counts()
    again = works.shown("sh", "-c", "gcc -c warns.c; :")
    assert works.counts() == {"reused": 1}
    said = first.rpartition(b"redoxa: ")[0]
    assert b"\x1b[" in said
    assert again.startswith(said)
    assert b"\x1b[" not in works.typed("sh", "-c", "gcc -c warns.c").stderr
