"""A run is recorded, then reused; whatever it left is there again, and what it printed, too."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.runs.conftest import Person

SUM = "read a < in.txt; echo $((a * 2)) > out.txt; echo printed; echo warned >&2"


def test_the_second_run_prints_and_leaves_the_same(
    person: Person, capfd: pytest.CaptureFixture[str]
) -> None:
    person.write("in.txt", "21\n")
    first = person.run(SUM)
    printed = capfd.readouterr()
    second = person.run(SUM)
    assert (first.verdict, second.verdict) == ("ran", "reused")
    assert capfd.readouterr() == printed == ("printed\n", "warned\n")
    assert person.read("out.txt") == "42\n"
    assert second.exit_code == first.exit_code == 0


def test_messages_say_what_was_done(person: Person) -> None:
    person.write("in.txt", "21\n")
    assert person.run(SUM).message.startswith("recorded: ")
    assert person.run(SUM).message.startswith("reused: 1 output already in place")
    (person.project / "out.txt").unlink()
    assert person.run(SUM).message.startswith("reused: 1 output restored")
    person.write("in.txt", "4\n")
    assert person.run(SUM).message.startswith("ran again: in.txt changed (")


def test_a_changed_input_runs_again_and_a_restored_one_is_reused(person: Person) -> None:
    person.write("in.txt", "21\n")
    person.run(SUM)
    person.write("in.txt", "4\n")
    again = person.run(SUM)
    assert again.verdict == "ran"
    assert [change.path for change in again.changed] == ["in.txt"]
    assert person.read("out.txt") == "8\n"
    person.write("in.txt", "21\n")
    assert person.run(SUM).reused
    assert person.read("out.txt") == "42\n"


def test_a_deleted_output_is_restored(person: Person) -> None:
    line = "mkdir -p a/b; echo deep > a/b/c.txt; ln -s c.txt a/b/link; chmod 750 a/b/c.txt"
    person.run(line)
    tree = person.tree()
    for name in ("a/b/link", "a/b/c.txt"):
        (person.project / name).unlink()
    (person.project / "a/b").rmdir()
    (person.project / "a").rmdir()
    assert person.run(line).reused
    assert person.tree() == tree


def test_an_edited_output_that_the_run_overwrites_unseen_is_restored(person: Person) -> None:
    person.run("echo result > out.txt")
    person.write("out.txt", "edited by hand")
    assert person.run("echo result > out.txt").reused
    assert person.read("out.txt") == "result\n"


def test_an_edited_output_that_the_run_looks_at_runs_again(person: Person) -> None:
    line = "test -e out.txt && echo seen; echo result > out.txt"
    person.run(line)
    assert person.run(line).reused, "its own work is no input"
    person.write("out.txt", "edited by hand")
    again = person.run(line)
    assert again.verdict == "ran"
    assert person.read("out.txt") == "result\n"


def test_the_mode_of_an_output_is_restored(person: Person) -> None:
    line = "echo '#!/bin/sh' > tool; chmod 755 tool"
    person.run(line)
    (person.project / "tool").chmod(0o600)
    person.run(line)
    assert stat.S_IMODE((person.project / "tool").stat().st_mode) == 0o755


def test_a_deletion_is_an_output(person: Person) -> None:
    person.write("in.txt", "x")
    person.write("old.txt", "y")
    line = "cat in.txt > new.txt; rm old.txt"
    person.run(line)
    person.write("old.txt", "y")
    (person.project / "new.txt").unlink()
    assert person.run(line).reused
    assert sorted(person.tree()) == ["in.txt", "new.txt"]


def test_what_comes_and_goes_within_the_run_is_nothing(person: Person) -> None:
    line = (
        'cd "$TMPDIR"; echo a > x; mkdir d; echo b > d/y; rm -r d x; '
        "cd - > /dev/null; echo c > out.txt"
    )
    first = person.run(line)
    assert first.outputs == 1
    assert person.run(line).reused


def test_an_output_published_by_rename_is_restored(person: Person) -> None:
    line = "echo v1 > .out.tmp && mv .out.tmp out.txt"
    person.run(line)
    (person.project / "out.txt").unlink()
    assert person.run(line).reused
    assert sorted(person.tree()) == ["out.txt"]


def test_hard_links_among_outputs_stay_hard_links(person: Person) -> None:
    line = "echo one > a; ln a b; ln -s a c"
    person.run(line)
    for name in "abc":
        (person.project / name).unlink()
    assert person.run(line).reused
    a, b = ((person.project / name).stat() for name in "ab")
    assert (a.st_ino, a.st_nlink) == (b.st_ino, 2)
    assert (person.project / "c").readlink() == Path("a")


def test_a_failure_is_recorded_and_run_again(person: Person) -> None:
    line = "echo broken; exit 3"
    assert person.run(line).exit_code == 3
    again = person.run(line)
    assert (again.verdict, again.exit_code) == ("failed", 3)
    assert "--cache-failures" in again.reason
    cached = person.run(line, cache_failures=True)
    assert (cached.verdict, cached.exit_code) == ("reused", 3)


def test_a_run_ended_by_a_signal_is_not_published(person: Person) -> None:
    ended = person.run("kill -TERM $$")
    assert ended.exit_code == 128 + 15
    assert not ended.published
    assert "SIGTERM" in ended.message


def test_running_again_on_the_same_inputs_shows_drift(person: Person) -> None:
    line = "date +%s%N > out.txt"
    person.run(line)
    again = person.run(line, reuse=False)
    assert again.verdict == "drifted"
    assert "out.txt differs on the same inputs" in again.message
    steady = "echo same > out2.txt"
    person.run(steady)
    assert person.run(steady, reuse=False).verdict == "ran"


def test_make_stays_up_to_date_after_a_reuse(person: Person) -> None:
    person.write(
        "Makefile", "final: middle\n\tcat middle > final\nmiddle: src\n\tcat src > middle\n"
    )
    person.write("src", "1")
    person.command("make")
    for name in ("middle", "final"):
        (person.project / name).unlink()
    person.write("src", "1")  # the same bytes, a newer time
    assert person.command("make").reused
    # Plain make, without us, must find nothing to do.
    assert subprocess.run(["make", "-q", "-C", person.project], check=False).returncode == 0
    times = [(person.project / name).stat().st_mtime_ns for name in ("src", "middle", "final")]
    assert times == sorted(times)


def test_right_outputs_are_left_alone(person: Person) -> None:
    person.run("echo a > out.txt")
    before = (person.project / "out.txt").stat()
    person.run("echo a > out.txt")
    after = (person.project / "out.txt").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_time_that_the_run_set_is_restored(person: Person) -> None:
    line = "echo a > out.txt; touch -d '2001-02-03 04:05:06 UTC' out.txt"
    person.run(line)
    (person.project / "out.txt").unlink()
    assert person.run(line).reused
    assert (person.project / "out.txt").stat().st_mtime == 981173106


def test_setting_a_time_is_an_effect_of_its_own(person: Person) -> None:
    stamp = person.write("stamp", "")
    person.run("touch stamp")
    for _ in range(2):
        os.utime(stamp, (981173106, 981173106))
        assert person.run("touch stamp").reused
        assert stamp.stat().st_mtime > 981173106
    line = "cp in.txt out.txt; touch -d '2001-02-03 04:05:06 UTC' out.txt"
    person.write("in.txt", "1")
    person.run(line)
    (person.project / "out.txt").touch()
    assert person.run(line).reused
    assert (person.project / "out.txt").stat().st_mtime == 981173106


def test_a_link_at_the_name_of_an_output_is_written_through_as_by_a_run(person: Person) -> None:
    person.write("in.txt", "new\n")
    person.run("cat in.txt > out.txt")
    person.write("other.txt", "old\n")
    (person.project / "out.txt").unlink()
    (person.project / "out.txt").symlink_to("other.txt")
    again = person.run("cat in.txt > out.txt")
    assert [change.path for change in again.changed] == ["out.txt"]
    assert person.read("other.txt") == "new\n"
    assert (person.project / "out.txt").is_symlink()


@pytest.mark.parametrize("line", ["mv in.txt out.txt", "cat in.txt > out.txt && rm in.txt"])
def test_what_a_reuse_cannot_do_costs_no_input(person: Person, line: str) -> None:
    person.write("in.txt", "precious\n")
    person.run(line)
    person.write("in.txt", "precious\n")
    (person.project / "out.txt").unlink()
    (person.project / "out.txt").mkdir()
    (person.project / "out.txt" / "in.txt").mkdir()  # mv cannot replace it
    assert person.run(line).verdict == "failed"
    assert person.read("in.txt") == "precious\n"


def test_thirty_two_inputs_are_remembered(person: Person) -> None:
    line = "cat in.txt > out.txt"
    for value in range(34):
        person.write("in.txt", str(value))
        person.run(line)
    person.write("in.txt", "5")
    assert person.run(line).reused
    person.write("in.txt", "0")
    assert not person.run(line).reused, "the oldest went"


def test_equal_runs_take_one_place(person: Person) -> None:
    line = "cat in.txt > out.txt"
    person.write("in.txt", "old")
    person.run(line)
    person.write("in.txt", "new")
    for _ in range(33):
        person.run(line, reuse=False)
    person.write("in.txt", "old")
    assert person.run(line).reused


def test_a_lost_object_costs_a_run_and_no_more(person: Person) -> None:
    person.run("echo a > out.txt")
    (person.project / "out.txt").unlink()
    for pack in (person.home_path / "store").rglob("*"):
        if pack.is_file() and pack.suffix == ".pack":
            data = bytearray(pack.read_bytes())
            at = data.find(b"a\n")
            assert at > 0
            data[at] ^= 1
            Path(pack).write_bytes(bytes(data))
    again = person.run("echo a > out.txt")
    assert again.verdict == "ran"
    assert person.read("out.txt") == "a\n"
