"""A run whose network is recorded is reused while its answers hold, and never says a secret."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cid_store.errors import UnavailableError
from ring2_orchestrator.home import Home
from ring2_orchestrator.net.exchange import get_exchanges
from ring2_orchestrator.net.hosts import Hosts
from ring2_orchestrator.net.policy import Policy
from ring2_orchestrator.net.upstream import Limits
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.result import RunResult
from tests.net.server import SET_COOKIE, Site, serving
from tests.runs.conftest import Person, environment
from tests.runs.test_secrets import VALUE, assert_nowhere

Typed = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.slow
REPLAY = Policy("replay", Hosts(()))
QUICK = Limits(connect_s=5, stall_s=0.5, body_bytes=1 << 20, parting_s=5)
CURLRC = """\
header = "Authorization: Bearer bearer-abcdefgh"
cookie = "id=cookie-abcdefgh"
user = "me:password-abcdefgh"
url = "{url}"
output = got
silent
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        found.texts["/a"] = b"hello\n"
        yield found


def record(*words: str) -> Policy:
    return Policy("record", Hosts.of(words), QUICK)


def get(person: Person, site: Site, path: str, policy: Policy | None = None) -> RunResult:
    return person.command(
        "curl", "-sS", "--max-time", "20", "-o", "got", site.url(path),
        network=policy or record(site.host),
    )  # fmt: skip


def kinds(result: RunResult) -> set[str]:
    return {doubt.kind for doubt in result.doubts}


# Reuse.


def test_a_run_is_reused_while_its_answers_hold(person: Person, site: Site) -> None:
    result = get(person, site, "/a")
    assert result.published, result.doubts
    assert site.asked == [("GET", "/a", 200)]
    (person.project / "got").unlink()
    assert get(person, site, "/a").reused
    assert person.read("got") == "hello\n"
    assert site.asked[1:] == [("GET", "/a", 304)]
    site.texts["/a"] = b"other\n"
    result = get(person, site, "/a")
    assert [change.path for change in result.changed] == [site.url("/a")]
    assert result.verdict == "ran"
    assert person.read("got") == "other\n"
    assert get(person, site, "/a").reused


def test_what_is_fresh_is_not_asked_for(person: Person, site: Site) -> None:
    site.headers["/a"] = {"Cache-Control": "max-age=3600"}
    assert get(person, site, "/a").published
    assert get(person, site, "/a").reused
    assert len(site.asked) == 1


def test_without_a_validator_the_bytes_are_compared(person: Person, site: Site) -> None:
    site.headers["/a"] = {"no-etag": ""}
    assert get(person, site, "/a").published
    assert get(person, site, "/a").reused
    site.texts["/a"] = b"hallo\n"
    assert get(person, site, "/a").verdict == "ran"


def test_a_missing_page_is_an_answer_too(person: Person, site: Site) -> None:
    assert get(person, site, "/absent").published
    assert get(person, site, "/absent").reused
    site.texts["/absent"] = b"no more\n"
    assert get(person, site, "/absent").changed[0].now == "status 200"


def test_with_nobody_to_ask_it_runs_or_is_replayed(person: Person) -> None:
    with serving() as site:
        site.texts["/a"] = b"hello\n"
        assert get(person, site, "/a").published
    assert get(person, site, "/a", REPLAY).reused
    result = get(person, site, "/a")
    assert "cannot be reached" in result.changed[0].now
    assert "network" in kinds(result)
    person.command("rm", "-f", "got")
    assert get(person, site, "/a", REPLAY).reused, "a failed try takes nothing away"
    assert person.read("got") == "hello\n"


def test_a_replay_answers_from_the_recording_alone(person: Person, site: Site) -> None:
    person.write("which", "a")
    line = f"curl -sS {site.url('/')}$(cat which)"
    assert person.run(line, network=record(site.host)).published
    before = len(site.asked)
    result = person.run(line, network=REPLAY, reuse=False)
    assert result.published, result.doubts
    assert result.reason == "run again as asked, with the same results"
    person.write("which", "b")
    result = person.run(line, network=REPLAY)
    assert "was not recorded" in result.doubts[0].detail
    assert len(site.asked) == before


def test_what_is_not_granted_any_more_is_not_reused(person: Person, site: Site) -> None:
    assert get(person, site, "/a").published
    result = get(person, site, "/a", record("example.org"))
    assert result.changed[0].was == "granted"
    assert get(person, site, "/a").reused


def test_without_the_proxy_it_is_another_run(person: Person, site: Site) -> None:
    assert get(person, site, "/a").published
    plain = person.command("curl", "-sS", "-o", "got", site.url("/a"))
    assert plain.verdict == "ran"
    assert kinds(plain) == {"network"}


def test_what_was_posted_is_reused_by_replay_alone(person: Person, site: Site) -> None:
    line = f"curl -sS -d some=body {site.url('/form')}"
    assert person.run(line, network=record(site.host)).published
    asked = len(site.said)
    result = person.run(line, network=record(site.host))
    assert result.verdict == "ran"
    assert result.changed[0].was == "asked by POST"
    assert len(site.said) == asked + 1
    assert person.run(line, network=REPLAY).reused


def test_where_the_proxy_listens_counts_for_nothing(person: Person, site: Site) -> None:
    policy = record(site.host)
    line = f"curl -sS -o got -d x {site.url('/form')}"
    seen = set[object]()
    for _ in range(2):
        person.command("rm", "-f", "got")
        result = person.run(line, network=policy)
        assert result.trace is not None
        with Home(person.home_path) as home:
            (kept, *_) = Memo(home).traces(result.subject)
            seen.add(tuple(sorted(kept.trace.surroundings.environment.items())))
            assert kept.trace.network is not None
            (exchange,) = get_exchanges(home.store, kept.trace.network)
            assert exchange.key.url == site.url("/form")
    assert len(seen) == 1


def test_a_verification_tells_another_answer_from_a_drift(person: Person, site: Site) -> None:
    site.headers["/a"] = {"Cache-Control": "max-age=3600"}
    line = f"curl -sS {site.url('/a')}"
    assert person.run(line, network=record(site.host)).published
    assert person.run(line, network=record(site.host), verify=1.0).verified == "same"
    site.texts["/a"] = b"other\n"
    assert person.run(line, network=record(site.host), verify=1.0).verified == "not compared"
    assert person.run(line, network=record(site.host)).reused, "it is fresh as long as was said"


# Programs.


def test_python_asks_through_the_proxy(person: Person, site: Site) -> None:
    line = f"print(u.urlopen('{site.url('/a')}').read())"
    person.write("get.py", f"import urllib.request as u\n{line}\n{line}\n")
    result = person.command(sys.executable, "get.py", network=record(site.host))
    assert result.published, result.doubts
    assert person.command(sys.executable, "get.py", network=record(site.host)).reused
    assert person.command(sys.executable, "get.py", network=REPLAY, reuse=False).published


def test_git_asks_through_the_proxy(person: Person, site: Site) -> None:
    site.texts["/r.git/info/refs"] = b"%s\trefs/heads/main\n" % (b"1" * 40)
    site.texts["/r.git/HEAD"] = b"ref: refs/heads/main\n"
    words = ("git", "ls-remote", site.url("/r.git"))
    result = person.command(*words, network=record(site.host))
    assert result.published, result.doubts
    assert person.command(*words, network=record(site.host)).reused


def test_a_program_that_ignores_the_proxy_is_doubted(person: Person, site: Site) -> None:
    line = f"curl -sS --noproxy '*' {site.url('/a')}"
    result = person.run(line, network=record(site.host))
    assert result.doubts[0].detail.endswith(f"speaks to inet:{site.host}")
    assert not result.published


def test_two_programs_at_once(person: Person, site: Site) -> None:
    for name in "bcdefg":
        site.texts[f"/{name}"] = name.encode() * 70_000
    line = " & ".join(f"curl -sS -o {at} {site.url(f'/{at}')}" for at in "bcdefg") + " & wait"
    assert person.run(line, network=record(site.host)).published
    assert person.run(line, network=record(site.host)).reused
    assert person.run(line, network=REPLAY, reuse=False).published
    assert person.read("g") == "g" * 70_000


def test_a_script_that_ends_before_its_answer_is_recorded_whole(person: Person, site: Site) -> None:
    site.texts["/long"] = b"line\n" * 100_000
    line = f"curl -sS {site.url('/long')} 2>/dev/null | head -n 1"
    result = person.run(line, network=record(site.host))
    assert result.published, result.doubts
    assert person.run(line, network=REPLAY, reuse=False).published


# Servers that do not do as they should.


@pytest.mark.parametrize("path", ["/chunked", "/old", "/slow"])
def test_odd_and_right_answers_are_recorded(person: Person, site: Site, path: str) -> None:
    assert get(person, site, path).published
    was = person.read("got")
    (person.project / "got").unlink()
    assert get(person, site, path, Policy("replay", Hosts(()))).reused
    assert person.read("got") == was
    assert get(person, site, path, REPLAY).reused


@pytest.mark.parametrize(
    "path", ["/truncates", "/breaks_chunks", "/lies", "/speaks", "/resets", "/stalls"]
)
def test_what_breaks_off_is_told_and_never_reused(person: Person, site: Site, path: str) -> None:
    for _ in range(2):
        result = get(person, site, path)
        assert kinds(result) == {"network"}, result.doubts
        assert path in result.doubts[0].detail
        assert not result.published


def test_redirects_in_a_circle_are_the_programs_business(person: Person, site: Site) -> None:
    line = f"curl -sS -L --max-redirs 3 {site.url('/circle')}; echo ended with $?"
    result = person.run(line, network=record(site.host))
    assert result.published, result.doubts
    assert person.run(line, network=record(site.host)).changed == ()
    assert person.run(line, network=REPLAY, reuse=False).published


def test_what_is_not_granted_is_not_asked(person: Person, site: Site) -> None:
    with serving() as other:
        other.texts["/secret"] = b"inside\n"
        line = f"curl -sS -L {site.url('/a')} {other.url('/secret')}"
        result = person.run(line, network=record(site.host))
        assert "which is not granted" in result.doubts[0].detail
        assert f"--net-allow {other.host} grants it" in result.doubts[0].detail
        assert other.asked == []


def test_a_huge_answer_passes_and_is_not_kept(person: Person, site: Site) -> None:
    site.texts["/large"] = b"x" * (2 << 20)
    result = get(person, site, "/large")
    assert "is more than is kept" in result.doubts[0].detail
    assert (person.project / "got").stat().st_size == 2 << 20


def test_what_must_not_be_stored_is_not(person: Person, site: Site) -> None:
    site.texts["/n"] = b"for your eyes only"
    site.headers["/n"] = {"Cache-Control": "private, no-store"}
    result = get(person, site, "/n")
    assert "no-store" in result.doubts[0].detail
    assert person.read("got") == "for your eyes only"
    assert_nowhere(person, "for your eyes only")


# Secrets.


def test_credentials_are_nowhere_and_the_run_is_kept(person: Person, site: Site) -> None:
    person.write("curlrc", CURLRC.format(url=site.url("/a?page=1&token=token-abcdefgh")))
    words = ("curl", "--config", "curlrc")
    result = person.command(*words, network=record(site.host))
    assert result.published, result.doubts
    said = " ".join(site.said[0].values())
    assert "cookie-abcdefgh" in said, "the server was given what it is to have"
    assert_nowhere(
        person, "bearer-abcdefgh", "cookie-abcdefgh", "password-abcdefgh", "token-abcdefgh",
        SET_COOKIE,
    )  # fmt: skip
    result = person.command(*words, network=record(site.host))
    assert result.changed[0].was == "answered to credentials"
    assert person.command(*words, network=REPLAY).reused


def test_a_secret_in_an_address_or_an_answer_is_a_doubt(person: Person, site: Site) -> None:
    person.env["DEPLOY_TOKEN"] = VALUE
    for line in (
        f"curl -sS {site.url('/a/')}$DEPLOY_TOKEN",
        f'curl -sS -H "Accept: $DEPLOY_TOKEN" {site.url("/a")}',
    ):
        result = person.run(line, network=record(site.host))
        assert "secret" in kinds(result)
        assert not result.published
    site.texts["/echo"] = b"your token is correct-horse-battery\n"
    assert "secret" in kinds(get(person, site, "/echo"))
    assert_nowhere(person, "correct-horse-battery")


# The end of things.


def test_nothing_is_left_of_the_proxy(person: Person, site: Site) -> None:
    assert get(person, site, "/a").published
    assert list((person.home_path.parent / "temp").iterdir()) == []


def test_a_script_killed_midway_is_not_kept(person: Person, site: Site) -> None:
    line = f"curl -sS {site.url('/stalls')} & sleep 0.2; kill -9 $$"
    result = person.run(line, network=record(site.host))
    assert not result.published
    assert result.doubts


def test_with_the_recorder_killed_nothing_is_kept(person: Person, site: Site) -> None:
    words = [
        "run",
        "--net=record",
        "--net-allow",
        site.host,
        "--",
        "curl",
        "-sS",
        site.url("/stalls"),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "redoxa", *words], cwd=person.project, env=environment(person)
    ) as process:
        while not site.asked:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    result = get(person, site, "/stalls")
    assert not result.known_before
    assert not result.published


def test_without_a_temporary_folder_nothing_runs(person: Person, site: Site) -> None:
    person.env["TMPDIR"] = str(person.project / "absent")
    with pytest.raises(UnavailableError, match="name another folder in TMPDIR"):
        get(person, site, "/a")
    assert site.asked == []


def test_it_is_typed_so(person: Person, site: Site, typed_text: Typed) -> None:
    words = ["--net=record", "--net-allow", site.host, "--", "curl", "-sS", site.url("/a")]
    assert typed_text("run", *words).stdout == "hello\n"
    again = typed_text("run", *words)
    assert again.stdout == "hello\n"
    assert "reused" in again.stderr
    assert typed_text("run", "-n", *words).stdout.startswith("would be reused")
    site.texts["/a"] = b"other\n"
    why = typed_text("why", *words)
    assert why.returncode == 1
    assert f"{site.url('/a')}: status 200 and 6 bytes -> another answer of 6 bytes" in why.stdout
    replayed = typed_text("replay", "@")
    assert replayed.stdout.startswith("EXACT"), replayed.stdout
    for wrong in (["--net=record"], ["--net-allow", "a"], ["--net=record", "--net-allow", "a b"]):
        done = typed_text("run", *wrong, "--", "true")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1


def test_an_export_answers_elsewhere(
    person: Person, site: Site, typed_text: Typed, tmp_path: Path
) -> None:
    assert get(person, site, "/a").published
    archives = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for archive in archives:
        done = typed_text("export", "@", "-o", str(archive))
        assert done.returncode == 0, done.stderr
    assert archives[0].read_bytes() == archives[1].read_bytes()
    before = len(site.asked)
    subprocess.run(["tar", "xf", archives[0]], cwd=tmp_path, check=True)
    (folder,) = tmp_path.glob("run-*")
    env = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable}
    again = subprocess.run(
        [folder / "replay"], env=env, capture_output=True, text=True, check=False
    )
    assert again.stdout.startswith("EXACT"), again.stdout + again.stderr
    assert len(site.asked) == before
