"""What a program does to files is written down: every path, in order, with what stood there."""

import os
from pathlib import Path

import pytest

from ring2_orchestrator.recorder.event import Flag, Kind
from tests.recorder.conftest import Run, doubts, events, kinds, said


def shell(run: Run, text: str):
    recording = run("/bin/sh", "-c", text)
    assert recording.complete
    assert recording.exit.status == 0, said(recording)
    return recording


def test_reading_a_file_names_it_as_it_was(run: Run, place: Path) -> None:
    (place / "in").write_bytes(b"content")
    (event,) = events(shell(run, "cat in"), place / "in")
    status = (place / "in").stat()
    assert event.kind is Kind.READ
    assert event.program.endswith(b"cat")
    assert event.before is not None
    assert (event.before.ino, event.before.size) == (status.st_ino, 7)
    assert (event.before.mtime_ns, event.before.dev) == (status.st_mtime_ns, status.st_dev)


def test_a_missing_file_is_an_event(run: Run, place: Path) -> None:
    recording = run("/bin/cat", "absent", "no/such/folder/file")
    for name in ("absent", "no/such/folder/file"):
        (event,) = events(recording, place / name, Kind.READ)
        assert event.before is None


def test_creating_appending_and_truncating_differ(run: Run, place: Path) -> None:
    (place / "old").write_bytes(b"old")
    recording = shell(run, "echo a > new; echo b >> old; echo c > old")
    (created,) = events(recording, place / "new")
    appended, truncated = events(recording, place / "old")
    assert created.before is None
    assert created.flags & Flag.CREATE
    assert appended.flags & Flag.APPEND
    assert appended.preimage is not None
    assert appended.preimage.read_bytes() == b"old"
    assert truncated.flags & Flag.TRUNCATE
    assert truncated.preimage is None, "by then its content is the run's own"


def test_names_come_and_go(run: Run, place: Path) -> None:
    (place / "a").write_bytes(b"a")
    recording = shell(run, "mkdir d; mv a d/b; ln d/b c; ln -s c s; rm c; rm s; rm d/b; rmdir d")
    (moved,) = events(recording, place / "a", Kind.RENAME)
    assert moved.path2 == os.fsencode(place / "d/b")
    assert moved.preimage is not None
    assert moved.preimage.read_bytes() == b"a"
    (linked,) = events(recording, place / "d/b", Kind.LINK)
    assert linked.path2 == os.fsencode(place / "c")
    (made,) = events(recording, place / "s", Kind.SYMLINK)
    assert made.path2 == b"c"
    assert Kind.MKDIR in kinds(recording, place / "d")
    assert kinds(recording, place / "d")[-1] is Kind.RMDIR
    assert Kind.UNLINK in kinds(recording, place / "s")


def test_atomic_replacement_keeps_what_was_read(run: Run, place: Path) -> None:
    (place / "f").write_bytes(b"before\n")
    recording = shell(run, "sed -i s/before/after/ f")
    replaced = [e for e in recording.events if e.kind is Kind.RENAME]
    assert [e.path2 for e in replaced] == [os.fsencode(place / "f")]
    assert replaced[0].preimage2 is not None
    assert replaced[0].preimage2.read_bytes() == b"before\n"
    assert replaced[0].before2 is not None


def test_a_file_read_and_then_cut_keeps_its_old_content(run: Run, place: Path) -> None:
    (place / "f").write_bytes(b"once\n")
    recording = shell(run, "cat f; echo new > f")
    write = events(recording, place / "f", Kind.WRITE)[0]
    assert write.preimage is not None
    assert write.preimage.read_bytes() == b"once\n"


def test_a_file_only_overwritten_is_not_copied(run: Run, place: Path) -> None:
    (place / "f").write_bytes(b"once\n")
    (write,) = events(shell(run, "echo new > f"), place / "f", Kind.WRITE)
    assert write.preimage is None


def test_what_is_read_through_one_name_and_cut_through_another_is_kept(
    run: Run, place: Path
) -> None:
    (place / "f").write_bytes(b"once\n")
    (place / "g").hardlink_to(place / "f")
    (write,) = events(shell(run, "cat f; echo new > g"), place / "g", Kind.WRITE)
    assert write.preimage is not None
    assert write.preimage.read_bytes() == b"once\n"


def test_a_moved_folder_keeps_what_was_read_below_it(run: Run, place: Path) -> None:
    (place / "d").mkdir()
    (place / "d/f").write_bytes(b"deep\n")
    recording = shell(run, "cat d/f; mv d e; echo new > e/f")
    (kept,) = events(recording, place / "d/f", Kind.PRESERVE)
    assert kept.preimage is not None
    assert kept.preimage.read_bytes() == b"deep\n"
    assert Kind.RENAME in kinds(recording, place / "d")


def test_a_look_is_told_again_only_when_it_may_tell_something_new(run: Run, place: Path) -> None:
    (place / "f").write_bytes(b"x")
    (place / "d").mkdir()
    (place / "d/g").write_bytes(b"x")
    same = run("/bin/cat", *["f"] * 50)
    assert len(events(same, place / "f", Kind.READ)) == 1
    assert same.counts["read"] >= 50
    for between in ("head f", "echo >> f", "chmod 700 f", "mv f g; mv g f"):
        recording = shell(run, f"cat f; {between}; cat f")
        told = events(recording, place / "f", Kind.READ)
        assert [event.program.endswith(b"cat") for event in told].count(True) == 2, between
    moved = shell(run, "cat d/g; mv d e; mv e d; cat d/g")
    assert len(events(moved, place / "d/g", Kind.READ)) == 2


def test_links_on_the_way_are_told_and_paths_are_canonical(run: Run, place: Path) -> None:
    (place / "real").mkdir()
    (place / "real/f").write_bytes(b"x")
    (place / "way").symlink_to("real")
    (place / "alias").symlink_to("way/./f")
    recording = shell(run, "cat alias; head ./real/../way//f")
    assert len(events(recording, place / "real/f", Kind.READ)) == 2
    assert events(recording, place / "way", Kind.READLINK)[0].path2 == b"real"
    assert events(recording, place / "alias", Kind.READLINK)[0].path2 == b"way/./f"


def test_a_replaced_link_is_told_again(run: Run, place: Path) -> None:
    (place / "one").write_bytes(b"1")
    (place / "two").write_bytes(b"2")
    (place / "link").symlink_to("one")
    recording = shell(run, "cat link; ln -sfn two link; cat link")
    assert said(recording) == b"12"
    assert events(recording, place / "one", Kind.READ)
    assert events(recording, place / "two", Kind.READ)


@pytest.mark.parametrize("change", ["rm link", "ln -s two new; mv -T new link", "mv link away"])
def test_a_link_is_told_before_it_goes(run: Run, place: Path, change: str) -> None:
    (place / "link").symlink_to("one")
    recording = shell(run, change)
    (told,) = events(recording, place / "link", Kind.READLINK)
    assert told.path2 == b"one"
    assert not events(recording, place / "new", Kind.READLINK)  # the run made that one itself


def test_a_folder_replaced_by_a_link_is_walked_anew(run: Run, place: Path) -> None:
    (place / "a").mkdir()
    (place / "b").mkdir()
    (place / "a/f").write_bytes(b"1")
    (place / "b/f").write_bytes(b"2")
    recording = shell(run, "cat a/f; mv a c; ln -s b a; cat a/f")
    assert said(recording) == b"12"
    assert events(recording, place / "b/f", Kind.READ)


def test_listing_is_an_event_once_per_listing(run: Run, place: Path) -> None:
    recording = shell(run, "ls . >/dev/null")
    assert kinds(recording, place).count(Kind.LIST) == 1


def test_executing_names_script_interpreter_and_loader(run: Run, place: Path) -> None:
    script = place / "script"
    script.write_text("#!/bin/sh\necho $0\n")
    script.chmod(0o755)
    recording = shell(run, "./script")
    shells = os.fsencode(Path("/bin/sh").resolve())
    assert events(recording, script, Kind.EXEC)[0].flags & Flag.KERNEL == 0
    assert any(e.flags & Flag.KERNEL for e in events(recording, shells, Kind.EXEC))
    assert any(b"/ld-" in e.path for e in recording.events if e.kind is Kind.EXEC)


def test_a_script_without_a_header_runs_in_a_shell(run: Run, place: Path) -> None:
    script = place / "script"
    script.write_text("echo plain $1\n")
    script.chmod(0o755)
    assert said(run(script, "word")) == b"plain word\n"


def test_the_search_for_the_program_is_recorded(run: Run, place: Path) -> None:
    env = {"PATH": f"{place}:/usr/bin:/bin"}
    recording = run("true", env=env)
    assert events(recording, place / "true", Kind.EXEC)[0].before is None


def test_own_process_folder_is_called_self(run: Run) -> None:
    recording = shell(run, "cat /proc/self/comm /proc/$$/stat > /dev/null")
    assert events(recording, b"/proc/self/comm", Kind.READ)
    assert not doubts(recording)


def test_metadata_changes_are_told(run: Run, place: Path) -> None:
    (place / "f").write_bytes(b"x")
    recording = shell(run, "chmod 600 f; touch -d @5 f")
    flags = [e.flags for e in events(recording, place / "f", Kind.METADATA)]
    assert flags[0] & Flag.MODE
    assert flags[-1] & Flag.TIMES


def test_names_need_not_be_text(run: Run, place: Path) -> None:
    name = os.fsencode(place) + b"/\xff\xfe \n\x01"
    Path(os.fsdecode(name)).write_bytes(b"x")
    recording = run("/bin/cat", os.fsdecode(name))
    assert events(recording, name, Kind.READ)


def test_a_long_relative_path_is_followed(run: Run, place: Path) -> None:
    # The folder's own path is short enough, the file's absolute path is not.
    deep = "/".join(["d" * 200] * 18)
    (place / deep).mkdir(parents=True)
    (place / deep / "f").write_bytes(b"far\n")
    recording = shell(run, f"cd {deep}; cat ../{'d' * 200}/../{'d' * 200}/f")
    assert said(recording) == b"far\n"
    assert events(recording, place / deep / "f", Kind.READ)


def test_a_deleted_working_folder_is_survived(run: Run, place: Path) -> None:
    recording = run("/bin/sh", "-c", "mkdir d; cd d; rmdir ../d; cat f; true")
    assert recording.complete


@pytest.mark.parametrize("size", [1, 65536, 3_000_001])
def test_preimages_are_whole(run: Run, place: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    (place / "f").write_bytes(data[:size])
    (write,) = events(shell(run, "echo >> f"), place / "f", Kind.WRITE)
    assert write.preimage is not None
    assert write.preimage.read_bytes() == data[:size]
