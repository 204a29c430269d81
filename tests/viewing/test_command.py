"""`redoxa view` as a person types it: where it serves, how it ends, and what it refuses."""

import http.client
import json
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ring2_orchestrator.commands import main
from tests.viewing.serving import viewing


def status(url: str) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_serves_and_ends_cleanly(tmp_path: Path, by: signal.Signals) -> None:
    with viewing(tmp_path / "home", "--json") as child:
        assert child.stdout is not None
        told = json.loads(child.stdout.readline())
        assert told.keys() == {"port", "url"}
        assert status(told["url"]) == 200
        child.send_signal(by)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (0, "")
    assert err.splitlines() == [
        "redoxa: the page is there until Ctrl-C",
        "redoxa: the page is closed",
    ]


@pytest.mark.slow
def test_a_browser_is_opened_without_the_token_on_its_command_line(tmp_path: Path) -> None:
    said = tmp_path / "said"
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(f'#!/bin/sh\ncat "${{1#file://}}" > {said}.new\nmv {said}.new {said}\n')
    stand_in.chmod(0o755)
    with viewing(tmp_path / "home", BROWSER=f"{stand_in} %s") as child:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        while not said.exists():
            assert child.poll() is None
        assert f"url={url}" in said.read_text()


@pytest.mark.slow
def test_no_browser_is_opened_where_none_is_wanted(tmp_path: Path) -> None:
    stand_in = tmp_path / "stand-in"
    stand_in.write_text(f"#!/bin/sh\ntouch {tmp_path / 'opened'}\n")
    stand_in.chmod(0o755)
    with viewing(tmp_path / "home", "--no-open", "-q", BROWSER=f"{stand_in} %s") as child:
        assert child.stdout is not None
        assert status(child.stdout.readline().strip()) == 200
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    assert not (tmp_path / "opened").exists()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    main([*words])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("redoxa: ")
    assert said.err.count("\n") == 1
    return said.err


def test_what_cannot_be_served_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ("--home", str(tmp_path / "home"), "view", "--no-open")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "name another with --port" in refused(capsys, *home, "--port", port)
    assert "is not a file that can be shown" in refused(capsys, *home, str(tmp_path / "none.rdx"))
    assert "is not a file that can be shown" in refused(capsys, *home, str(tmp_path))
    for port in ("-1", "65536", "http", "", "99999999999", "0000000000099999", "9" * 5000):
        assert "is not a port" in refused(capsys, *home, f"--port={port}")
