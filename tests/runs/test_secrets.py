"""No secret is kept: not in the store, not in the ledger, not anywhere else in the home."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from cid_store.errors import InputError
from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.secrets import (
    FILES,
    PUBLIC_FILES,
    RULES_FILE,
    VARIABLES,
    Rules,
    Secrets,
)
from tests.runs.conftest import Person

VALUE = "correct-horse-battery"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB8zCCAXmgAwIBAg\n-----END CERTIFICATE-----\n"


def kept(home: Path) -> Iterator[bytes]:
    """Everything that a home holds, unpacked where it is packed.

    Digests of files lie in stat.db, beside the key and for the home's owner alone.
    """
    for path in home.rglob("*"):
        if path.is_file() and path.name != "stat.db":
            yield path.read_bytes()
    with Home(home) as opened:
        for entry in opened.store.inventory(0):
            yield opened.store.get(entry.cid)


def assert_nowhere(person: Person, *secrets: str) -> None:
    data = b"\0".join(kept(person.home_path))
    for secret in secrets:
        assert secret.encode() not in data
        assert blake3(secret.encode()).digest() not in data, "a guess could be confirmed"
        assert blake3(secret.encode()).hexdigest().encode() not in data


def test_a_variable_counts_and_its_value_is_nowhere(person: Person) -> None:
    person.env["DEPLOY_TOKEN"] = VALUE
    assert person.run("echo hello").published
    assert person.run("echo hello").reused
    assert_nowhere(person, VALUE)
    person.env["DEPLOY_TOKEN"] = VALUE + "2"
    result = person.run("echo hello")
    assert [change.path for change in result.changed] == ["$DEPLOY_TOKEN"]
    assert_nowhere(person, VALUE)


NAMES = [
    "~/.ssh/id_ed25519", "~/.ssh/config", "~/.netrc", "~/.aws/credentials", "~/.git-credentials",
    "~/.config/gcloud/application_default_credentials.json", "~/.docker/config.json",
    "~/.cargo/credentials.toml", ".env", "deploy/.env.production", "server.pem", "deep/store.jks",
    "~/.gnupg/private-keys-v1.d/some.key", "~/.kube/config",
]  # fmt: skip


def test_the_page_lists_what_is_secret() -> None:
    page = (Path(__file__).parents[2] / "docs" / "runs.md").read_text("utf-8")
    part = page.partition("## Secrets")[2].partition("\n## ")[0]
    variables, files = re.findall(r"(?:^    .*\n)+", part, re.MULTILINE)[:2]
    assert variables.split() == list(VARIABLES)
    assert files.split() == list(FILES)
    assert " ".join(PUBLIC_FILES) in part


def test_what_is_secret_by_its_name(person: Person) -> None:
    secrets = Secrets.of(person.home_path, person.env, bytes)
    for name in NAMES:
        path = person.project / name.replace("~", person.env["HOME"])
        assert secrets.is_file(bytes(path)), name


@pytest.mark.parametrize("name", ["~/.ssh/config", ".env", "deep/server.pem"])
def test_a_file_counts_and_nothing_of_it_is_kept(person: Person, name: str) -> None:
    at = Path(name.replace("~", person.env["HOME"]))
    path = person.project / at
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(KEY)
    os.utime(path, (1, 1))
    line = f"wc -c < {at} > size"
    assert person.run(line).published
    result = person.run(line)
    assert result.reused, result.message
    assert_nowhere(person, KEY, KEY.strip())
    path.write_text(KEY.replace("b3", "c3"))
    os.utime(path, (1, 1))
    result = person.run(line)
    assert not result.reused
    assert [Path(change.path).name for change in result.changed] == [at.name]
    assert [change.kind for change in result.changed] == ["content"]
    assert person.run(line).reused
    path.chmod(0o600)
    assert not person.run(line).reused, "the mode counts as that of any file"


def test_the_time_of_a_secret_file_counts_for_who_carries_it_on(person: Person) -> None:
    person.write(".env", f"TOKEN={VALUE}\n")
    line = "tar cf /dev/null .env; true"
    assert person.run(line).published
    assert person.run(line).reused
    os.utime(person.project / ".env", (7, 7))
    assert not person.run(line).reused


LEAKS = {
    "echo $API_KEY": "printed what $API_KEY holds",
    "env": "printed what $API_KEY holds",
    "echo $API_KEY >&2": "printed what $API_KEY holds",
    "echo Bearer $API_KEY > header": "left what $API_KEY holds in",
    "cat .env": "printed what",
    ". ./.env; echo $DB_PASSWORD > config": "left what",
    "cp .env copy": "left what",
    "cp .env .env.local": "left",
    "mv .env gone": "left what",
    "cat ~/.netrc": "printed what",
    "awk '{print $6}' ~/.netrc > password": "left what",
    "cat ~/.git-credentials": "printed what",
    "cp server.pem other": "left what",
    "echo $((111111 * 7654321)) > .npmrc": "left",
    "head -c 3000000 /dev/zero > big; cat .env >> big": "left what",
}


@pytest.mark.parametrize("line", LEAKS)
def test_a_run_that_gives_a_secret_away_is_not_kept(person: Person, line: str) -> None:
    values = [VALUE, "hunter2hunter2", "netrc-pass-word", "ghp_0123456789", KEY.strip()]
    person.env["API_KEY"] = values[0]
    person.write(".env", f"# local\nDB_PASSWORD={values[1]}\n")
    person.write("server.pem", KEY)
    Path(person.env["HOME"], ".netrc").write_text(f"machine x login me password {values[2]}\n")
    Path(person.env["HOME"], ".git-credentials").write_text(f"https://me:{values[3]}@example.org\n")
    result = person.run(line)
    assert result.exit_code == 0
    assert not result.published
    assert LEAKS[line] in result.message
    assert result.message.endswith("no secret is kept")
    assert_nowhere(person, *values, "850479260631")
    assert not person.run(line).reused


def test_a_secret_among_the_words_stands_in_the_ledger_as_its_variable(person: Person) -> None:
    person.env["GH_TOKEN"] = VALUE
    result = person.command("echo", "-n", f"Authorization: {VALUE}")
    assert not result.published
    assert "its words hold a secret" in result.message
    assert_nowhere(person, VALUE)
    with Home(person.home_path) as home:
        (batch,) = home.ledger.batches("run")
    entry = cast("dict[str, list[bytes]]", batch.entries[0])
    assert entry["command"][2] == b"Authorization: $GH_TOKEN"
    guess = Person(person.project, person.home_path, {**person.env, "GH_TOKEN": "another-guess"})
    assert guess.command("echo", "-n", "Authorization: another-guess").subject == result.subject


def test_certificates_are_no_secrets_to_leave(person: Person) -> None:
    person.write("ca.pem", CERTIFICATE)
    assert person.run("cat ca.pem; cp ca.pem copy.pem").published
    (person.project / "copy.pem").unlink()
    assert person.run("cat ca.pem; cp ca.pem copy.pem").restored == 1
    person.write("ca.pem", CERTIFICATE.replace("MII", "MIJ"))
    assert not person.run("cat ca.pem; cp ca.pem copy.pem").reused


def test_short_values_and_paths_are_found_nowhere(person: Person) -> None:
    person.env |= {"APP_TOKEN": "off", "SSL_KEY": str(person.project)}
    assert person.run("echo off; pwd").published


def test_a_person_extends_the_list_and_takes_from_it(person: Person) -> None:
    person.home_path.mkdir(mode=0o700)
    (person.home_path / RULES_FILE).write_text(
        "# ours\n\nvariable ACME_*\nfile *.vault\nfile ~/my own/\nfile /srv/acme/x\n"
        "public variable BLUE_TOKEN\npublic file fixtures/*.pem\n"
    )
    secrets = Secrets.of(person.home_path, {"HOME": "/home/me"}, bytes)
    assert all(map(secrets.is_variable, ("ACME_X", "acme_y", "GREEN_TOKEN")))
    assert not any(map(secrets.is_variable, ("BLUE_TOKEN", "XACME_", "PATH", "HOME", "PWD")))
    secret = (b"/p/a.vault", b"/home/me/my own/a/b", b"/srv/acme/x", b"/p/x.pem")
    assert all(map(secrets.is_file, secret))
    public = (
        b"/p/fixtures/x.pem", b"/p/a.vault/x", b"/other/my own/a", b"/t/srv/acme/x",
        b"/p/.env/lib/x", b"/p/.env.example", b"/home/me/.ssh/id_rsa.pub", b"/p/xid_rsa",
    )  # fmt: skip
    assert not any(map(secrets.is_file, public))
    person.write("a.vault", VALUE)
    person.env |= {"BLUE_TOKEN": "public-enough"}
    assert "left" in person.run("cp a.vault b").message
    assert person.run("echo $BLUE_TOKEN").published


PIECES = st.sampled_from(["TOKEN", "KEY", "a", ".", "_", ".pem"])


@given(
    st.lists(st.lists(PIECES | st.sampled_from(["*", "*", "?"]), min_size=1, max_size=4)),
    st.lists(PIECES, min_size=1, max_size=4),
)
def test_a_pattern_means_what_an_expression_would(rules: list[list[str]], name: list[str]) -> None:
    patterns, word = ["".join(rule) for rule in rules], "".join(name)
    stars = {"*": "[^/]*", "?": "[^/]"}
    whole = ["".join(stars.get(at, re.escape(at)) for at in pattern) for pattern in patterns]

    def meant(*names: str) -> bool:
        return any(re.fullmatch(at, name) for at in whole for name in names)

    by_name = Secrets(Rules((), patterns), {"HOME": "/h"}, bytes)
    assert by_name.is_file(f"/p/{word}".encode()) == meant(word)
    below = Secrets(Rules((), [f"{at}/" for at in patterns]), {"HOME": "/h"}, bytes)
    assert below.is_file(f"/p/{word}/x".encode()) == meant("p", word)
    variables = Secrets(Rules([at.upper() for at in patterns], ()), {"HOME": "/h"}, bytes)
    assert variables.is_variable(word) == any(re.fullmatch(at, word, re.IGNORECASE) for at in whole)


@pytest.mark.parametrize("line", ["variable", "secret X", "public", "public x y", "files *.pem"])
def test_a_line_that_is_no_rule_is_named(person: Person, line: str) -> None:
    person.home_path.mkdir(mode=0o700)
    (person.home_path / RULES_FILE).write_text(f"# rules\n{line}\n")
    with pytest.raises(InputError, match=r"line 2 of .*/secrets is no rule; write `variable"):
        Rules.of(person.home_path)


def test_the_rules_are_no_link_to_elsewhere(person: Person) -> None:
    person.home_path.mkdir(mode=0o700)
    (person.home_path / RULES_FILE).symlink_to("/dev/zero")
    with pytest.raises((InputError, OSError)):
        Rules.of(person.home_path)


@pytest.mark.slow
def test_everything_in_a_home_is_private_whatever_the_umask(person: Person) -> None:
    person.write("in", "21\n")
    words = [sys.executable, "-m", "redoxa", "run", "--shortcut", "--", "sh", "-c", "cat in > out"]
    env = {
        **person.env,
        "REDOXA_HOME": str(person.home_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    for _ in range(2):
        subprocess.run(
            words, cwd=person.project, env=env, umask=0, check=True, capture_output=True, timeout=60
        )
    found = [person.home_path, *person.home_path.rglob("*")]
    assert len(found) > 8
    for path in found:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path
