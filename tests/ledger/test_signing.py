"""`redoxa ledger key`, `checkpoint --sign`, `prove` and `check`, as a person types them."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.clock import ManualClock
from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.errors import KeyFileError
from ring2_orchestrator.ledger.keyfile import KeyFile
from ring2_orchestrator.ledger.note import Note

START_NS = 1_700_000_000_000_000_000
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    add(tmp_path / "home", 6)
    return tmp_path / "home"


def add(home: Path, count: int) -> None:
    with Home(home, clock=ManualClock(wall_ns=START_NS)) as opened:
        for number in range(count):
            opened.ledger.append([number], kind="run", subject=f"s{number}")


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], home: Path) -> Typed:
    def run(*words: str, home: Path = home) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["--home", str(home), "ledger", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def done(answer: tuple[int, str, str]) -> str:
    code, out, err = answer
    assert code == 0, err
    return out


def refused(answer: tuple[int, str, str], code: int) -> str:
    assert answer[0] == code
    assert answer[2].count("\n") == 1
    return answer[2]


def parsed(answer: tuple[int, str, str]) -> Any:
    return json.loads(done(answer))


def kept(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_no_link_is_followed_to_a_key(typed: Typed, home: Path, tmp_path: Path) -> None:
    keys, other = home / "keys", tmp_path / "other"
    other.mkdir()
    keys.symlink_to(other)
    for words in (["key", "new"], ["key", "show"], ["checkpoint", "--sign"]):
        said = refused(typed(*words), 3)
        assert f"{keys} is a symbolic link, and none is followed to a key" in said
    assert list(other.iterdir()) == []
    keys.unlink()
    keys.touch()
    assert f"{keys} is no folder" in refused(typed("key", "new"), 3)
    keys.unlink()
    done(typed("key", "new"))
    key = keys / "ledger.key"
    key.rename(other / "key")
    for target in (other / "nothing", other / "key"):
        key.symlink_to(target)
        says = f"{key} is a symbolic link, and none is followed there; put the "
        assert says in refused(typed("key", "new"), 3)
        assert says in refused(typed("key", "show"), 5)
        key.unlink()
    assert [path.name for path in other.iterdir()] == ["key"]


def test_a_key_is_drawn_once_and_only_its_public_half_is_shown(typed: Typed, home: Path) -> None:
    assert "there is no key" in refused(typed("key", "show"), 3)
    shown = done(typed("key", "new"))
    path = home / "keys" / "ledger.key"
    secret = path.read_text().strip().rpartition("+")[2]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert done(typed("key", "show")) == shown
    assert parsed(typed("key", "show", "--json"))["verifier_key"] == shown.strip()
    before = path.read_bytes()
    assert "there is a key already" in refused(typed("key", "new"), 3)
    assert path.read_bytes() == before
    for words in (["key", "show"], ["checkpoint", "--sign"], ["prove", "1", "--sign"]):
        assert secret not in "".join(map(str, typed(*words)))


def test_keys_drawn_at_once_are_one_key(typed: Typed, home: Path) -> None:
    def draw(_: int) -> str | None:
        try:
            return KeyFile(home / "keys").new("a").text
        except KeyFileError:
            return None

    with ThreadPoolExecutor(8) as pool:
        drawn = [key for key in pool.map(draw, range(16)) if key is not None]
    assert drawn == [KeyFile(home / "keys").need().verifier.text]


def test_what_an_interrupted_drawing_left_is_not_the_key(typed: Typed, home: Path) -> None:
    (home / "keys").mkdir()
    left = home / "keys" / "ledger.key.new"
    left.write_text("half")
    left.chmod(0o644)
    done(typed("key", "new"))
    assert not left.exists()
    assert typed("checkpoint", "--sign")[0] == 0


def test_a_key_that_others_can_read_signs_nothing(typed: Typed, home: Path) -> None:
    done(typed("key", "new"))
    (home / "keys" / "ledger.key").chmod(0o640)
    assert "others can read the key" in refused(typed("checkpoint", "--sign"), 3)


@pytest.mark.parametrize("text", ["", "nonsense\n", "PRIVATE+KEY+a+00000000+AQ==\n"])
def test_a_broken_key_is_said_and_not_repeated(typed: Typed, home: Path, text: str) -> None:
    done(typed("key", "new"))
    whole = (home / "keys" / "ledger.key").read_text()
    (home / "keys" / "ledger.key").write_text(text or whole[:-9])
    said = refused(typed("checkpoint", "--sign"), 3)
    assert "does not hold a whole key" in said
    assert "PRIVATE" not in said


def test_a_signed_checkpoint_is_verified_later(typed: Typed, home: Path, tmp_path: Path) -> None:
    key = done(typed("key", "new")).strip()
    text = done(typed("checkpoint", "--sign"))
    assert text.startswith(done(typed("checkpoint")) + "\n\u2014 redoxa/ledger/")
    file = kept(tmp_path / "signed", text)
    add(home, 2)
    found = parsed(typed("verify", "--checkpoint", file, "--key", key, "--json"))
    assert (found["size"], found["signed_by"], found["unfinished"]) == (8, [key], [])
    plain = kept(tmp_path / "plain", text.split("\n\n")[0] + "\n")
    assert "but by nobody" in refused(typed("verify", "--checkpoint", plain, "--key", key), 1)
    assert "--checkpoint" in refused(typed("verify", "--key", key), 2)
    broken = key.replace("+A", "+B")
    assert "verifier key" in refused(typed("verify", "--checkpoint", file, "--key", broken), 3)


def test_a_forged_checkpoint_is_refused_also_unasked(typed: Typed, tmp_path: Path) -> None:
    key = done(typed("key", "new")).strip()
    text = done(typed("checkpoint", "--sign"))
    forged = kept(tmp_path / "forged", text.replace("\n6\n", "\n5\n"))
    for words in ([], ["--key", key]):
        said = refused(typed("verify", "--checkpoint", forged, *words), 1)
        assert "was altered or its signature is forged" in said


def test_lines_of_strangers_are_passed_over(typed: Typed, tmp_path: Path) -> None:
    key = done(typed("key", "new")).strip()
    text = done(typed("checkpoint", "--sign"))
    more = text + "\u2014 witness.example/w1 jWbPPwAAAABkGFDLEZMHwQ==\n"
    file = kept(tmp_path / "cosigned", more)
    assert typed("verify", "--checkpoint", file, "--key", key)[0] == 0


def test_what_was_signed_is_never_contradicted(typed: Typed, home: Path, tmp_path: Path) -> None:
    done(typed("key", "new"))
    shutil.copytree(home / "ledger", tmp_path / "old")
    add(home, 1)
    done(typed("checkpoint", "--sign"))
    shutil.rmtree(home / "ledger")
    shutil.copytree(tmp_path / "old", home / "ledger")
    assert "was rolled back" in refused(typed("checkpoint", "--sign"), 4)
    with Home(home, clock=ManualClock()) as opened:  # as long as it was, and another history
        opened.ledger.append([], kind="run", subject="other")
    assert "was rewritten" in refused(typed("checkpoint", "--sign"), 4)


def test_a_key_signs_for_one_ledger(typed: Typed, home: Path, tmp_path: Path) -> None:
    done(typed("key", "new"))
    add(tmp_path / "other", 1)
    shutil.copytree(home / "keys", tmp_path / "other" / "keys")
    said = refused(typed("checkpoint", "--sign", home=tmp_path / "other"), 3)
    assert "is of redoxa/ledger/" in said


def test_an_entry_is_proven_to_someone_without_the_ledger(
    typed: Typed, home: Path, tmp_path: Path
) -> None:
    key = done(typed("key", "new")).strip()
    file = str(tmp_path / "entry.tlog-proof")
    assert done(typed("prove", "2", "--sign", "-o", file)) == ""
    nowhere = tmp_path / "nowhere"
    found = parsed(typed("check", file, "--key", key, "--json", home=nowhere))
    assert found["holds"] is True
    assert (found["proves"], found["entry"]["seq"], found["entry"]["subject"]) == ("entry", 2, "s2")
    assert "proven: entry 2 is among the 6 entries" in done(typed("check", file, "--key", key))
    assert not nowhere.exists()
    assert "exists; give --force" in refused(typed("prove", "2", "-o", file), 3)


def test_a_proof_is_made_under_the_checkpoint_that_was_kept(
    typed: Typed, home: Path, tmp_path: Path
) -> None:
    head = kept(tmp_path / "head", done(typed("checkpoint")))
    add(home, 3)
    newer = kept(tmp_path / "newer", done(typed("prove", "2")))
    said = refused(typed("check", newer, "--checkpoint", head), 1)
    assert "the proof is under another checkpoint (9 entries" in said
    older = kept(tmp_path / "older", done(typed("prove", "2", "--checkpoint", head)))
    assert typed("check", older, "--checkpoint", head)[0] == 0
    assert "it holds 6 entries" in refused(typed("prove", "7", "--checkpoint", head), 3)


def test_growth_is_proven(typed: Typed, home: Path, tmp_path: Path) -> None:
    key = done(typed("key", "new")).strip()
    old = kept(tmp_path / "old", done(typed("checkpoint", "--sign")))
    add(home, 5)
    growth = kept(tmp_path / "growth", done(typed("prove", "--from", old, "--sign")))
    found = parsed(typed("check", growth, "--checkpoint", old, "--key", key, "--json"))
    assert (found["proves"], found["old_size"], found["checkpoint"]["size"]) == ("growth", 6, 11)
    bare = kept(tmp_path / "bare", done(typed("prove", "--from", old)))
    assert typed("check", bare, "--checkpoint", old)[0] == 0
    said = refused(typed("check", bare, "--checkpoint", old, "--key", key), 1)
    assert "the proof's checkpoint is not signed" in said
    assert "--checkpoint FILE" in refused(typed("check", growth, "--key", key), 2)


def test_a_refused_proof_is_an_answer_too(typed: Typed, tmp_path: Path) -> None:
    head = kept(tmp_path / "head", done(typed("checkpoint")))
    text = done(typed("prove", "2"))
    wrong = kept(tmp_path / "wrong", text.replace("index 2", "index 3"))
    code, out, err = typed("check", wrong, "--checkpoint", head, "--json")
    answer = json.loads(out)
    assert (code, answer["holds"]) == (1, False)
    assert err == f"redoxa: {answer['reason']}\n"
    assert "the proof does not hold: entry 3" in err


def test_a_proof_alone_proves_nothing(typed: Typed, tmp_path: Path) -> None:
    file = kept(tmp_path / "proof", done(typed("prove", "2")))
    assert "only as good as its checkpoint" in refused(typed("check", file), 2)


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"\xff\xfe", b"x" * 600_000])
def test_a_file_that_is_no_proof_is_said(
    typed: Typed, tmp_path: Path, content: bytes | None
) -> None:
    head = kept(tmp_path / "head", done(typed("checkpoint")))
    if content is not None:
        (tmp_path / "proof").write_bytes(content)
    said = refused(typed("check", str(tmp_path / "proof"), "--checkpoint", head), 3)
    assert "redoxa ledger prove" in said


def test_a_proof_with_json_carries_its_text(typed: Typed, tmp_path: Path) -> None:
    found = parsed(typed("prove", "1", "--json"))
    assert found["proof"] == done(typed("prove", "1"))
    note = Note.parse(found["proof"].partition("\n\n")[2])
    assert str(found["checkpoint"]["size"]) == note.text.split("\n")[1] == "6"


def test_an_edited_ledger_proves_nothing(typed: Typed, home: Path) -> None:
    path = home / "ledger" / "tile" / "entries" / "000"
    path.write_bytes(path.read_bytes().replace(b"s4", b"s5"))
    for words in (["prove", "1"], ["prove", "4"], ["show", "--at", "2"], ["checkpoint"]):
        assert "entry 4 was altered" in refused(typed(*words), 4)


HEAD = {"origin", "root_hash", "size"}
ENTRY = {"batch", "kind", "seq", "subject", "time_ns"}


def test_the_answers_have_the_keys_of_the_page(typed: Typed, tmp_path: Path) -> None:
    def keys(*words: str) -> set[str]:
        return set(parsed(typed(*words, "--json")))

    key = parsed(typed("key", "new", "--json"))
    assert set(key) == {"name", "verifier_key"}
    head = kept(tmp_path / "head", done(typed("checkpoint", "--sign")))
    entry = kept(tmp_path / "entry", done(typed("prove", "2", "--checkpoint", head)))
    growth = kept(tmp_path / "growth", done(typed("prove", "--from", head)))
    assert keys("checkpoint") == {"checkpoint"}
    assert keys("log") == {"entries", "size"}
    assert set(parsed(typed("log", "--json"))["entries"][0]) == ENTRY
    assert keys("show", "1") == {*ENTRY, "entries"}
    past = parsed(typed("show", "--at", "1", "--json"))
    assert set(past) == {"checkpoint", "set_back", "states"}
    assert set(past["checkpoint"]) == {*HEAD, "text"}
    assert set(past["states"][0]) == {*ENTRY, "verdict"}
    assert keys("verify") == {*HEAD, "checkpoint_extended", "signed_by", "unfinished"}
    assert keys("rebuild") == {"rebuilt"}
    assert keys("publish", str(tmp_path / "public")) == {*HEAD, "files", "folder"}
    assert keys("prove", "1") == {"checkpoint", "proof", "proves"}
    common = {"checkpoint", "holds", "proves", "signed_by"}
    assert keys("check", entry, "--checkpoint", head) == {*common, "entry"}
    assert keys("check", growth, "--checkpoint", head) == {*common, "old_size"}


@pytest.mark.parametrize(
    "words",
    [
        ["key"],
        ["key", "old"],
        ["prove"],
        ["prove", "x"],
        ["prove", "1", "--from", "f"],
        ["prove", "1", "--sign", "--checkpoint", "f"],
        ["check"],
        ["show", "1", "--at", "2"],
        ["show", "--at", "then"],
        ["log", "--since", "then"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2(typed: Typed, words: list[str]) -> None:
    assert "--help` says what can be typed" in refused(typed(*words), 2)
