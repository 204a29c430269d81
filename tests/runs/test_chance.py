"""A run that draws random numbers for what it leaves is told, and is not reused."""

import os
import shutil
import sys

import pytest

from ring2_orchestrator.recorder.event import ProcessRecord
from ring2_orchestrator.runs.chance import chance_doubts
from tests.runs.conftest import Person

PYTHON = sys.executable


def process(line: str) -> ProcessRecord:
    words = [os.fsencode(word) for word in line.split()]
    return ProcessRecord(7, 1, b"/usr/bin/" + words[0], words, 0)


def draws(line: str) -> bool:
    return bool(list(chance_doubts([], [process(line)], ())))


@pytest.mark.parametrize(
    "line",
    [
        "ssh-keygen",
        "ssh-keygen -q -t ed25519 -f k",
        "ssh-keygen -N -l -f k",
        "ssh-keygen -c -C me -f k",
        "openssl",
        "openssl rand 3",
        "openssl genrsa",
        "openssl genpkey -algorithm ed25519",
        "openssl req -newkey rsa:2048",
        "openssl ecparam -genkey -noout",
        "openssl enc -aes-256-cbc -k x",
        "openssl dgst -sign k f",
        "gpg --gen-key",
        "gpg -e f",
        "age -r x f",
        "age-keygen",
        "wg genkey",
        "certtool --generate-privkey",
        "uuidgen",
        "shuf f",
        "shuf -n 1 f",
        "sort -R f",
        "sort -nR f",
        "sort --random-sort f",
        "sort -k2,2R f",
        "pwgen 12 1",
        "busybox shuf f",
        "mktemp -u",
    ],
)
def test_a_program_whose_work_is_to_draw_is_told(line: str) -> None:
    assert draws(line)


@pytest.mark.parametrize(
    "line",
    [
        "ssh-keygen -l -f k.pub",
        "ssh-keygen -lf k.pub",
        "ssh-keygen -E md5 -lf k.pub",
        "ssh-keygen -y -f k",
        "openssl dgst -sha256 f",
        "openssl sha256 f",
        "openssl x509 -in c -noout -text",
        "openssl enc -d -aes-256-cbc -k x",
        "gpg --verify f.sig f",
        "gpg --version",
        "age -d f",
        "age-keygen -y k",
        "wg pubkey",
        "certtool -i",
        "uuidgen --sha1 -n @dns -N example.org",
        "shuf --random-source=f f",
        "shuf --random-source f f",
        "sort README",
        "sort -r f",
        "sort -R --random-source=f f",
        "busybox cat f",
        "cat shuf",
    ],
)
def test_a_program_that_only_computes_is_not_told(line: str) -> None:
    assert not draws(line)


@pytest.mark.parametrize(
    "line",
    [
        "head -c 8 /dev/urandom > r",
        "head -c 8 /dev/random > r",
        f"{PYTHON} -c \"open('/dev/urandom', 'rb').read(8)\"",
        "shuf -i 1-1000 -n 1",
        "mktemp",
        "mktemp -d",
        "mktemp -u",
        "t=$(mktemp); echo 1 > $t; cp $t u",
    ],
)
def test_a_run_that_draws_is_not_reused(person: Person, line: str) -> None:
    assert person.run(line).published is False
    again = person.run(line)
    assert not again.reused
    assert {doubt.kind for doubt in again.doubts} == {"random"}


@pytest.mark.parametrize(
    "line",
    [
        "perl -e 'print 1'",
        "git init -q g; echo 1 > g/f; git -C g add f",
        "test -r /dev/urandom; ls -l /dev/random > /dev/null",
        "t=$(mktemp); echo 1 > $t; cat $t; rm $t",
        "t=$(mktemp -d); echo 1 > $t/a; rm -r $t",
        "t=$(mktemp ./XXXXXX); echo 1 > $t; mv $t u",
        f"{PYTHON} -c 'import random, uuid, tempfile, hashlib'",
    ],
)
def test_a_run_that_draws_only_for_itself_is_published(person: Person, line: str) -> None:
    result = person.run(line)
    assert result.published, result.message


DATABASE = """
import sqlite3
base = sqlite3.connect("base.db")
base.execute("pragma journal_mode={mode}")
base.execute("create table t (a)")
base.execute("insert into t values (1)")
base.commit()
base.close()
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_is_an_output_like_any_other(person: Person, mode: str) -> None:
    person.write("make.py", DATABASE.format(mode=mode))
    for expected in (False, True):
        result = person.command(PYTHON, "make.py")
        assert result.reused == expected, result.message
        (person.project / "base.db").unlink()


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")
def test_a_private_key_never_comes_back(person: Person) -> None:
    keys: set[str] = set()
    for _ in range(2):
        result = person.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "k")
        assert "random" in {doubt.kind for doubt in result.doubts}
        keys.add(person.read("k"))
        (person.project / "k").unlink()
        (person.project / "k.pub").unlink()
    assert len(keys) == 2
