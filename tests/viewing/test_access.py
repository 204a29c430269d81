"""Who is answered: the browser that was shown the token, by the name of this machine, with GET."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ring2_orchestrator.viewing.assets import assets
from ring2_orchestrator.viewing.server import Server
from tests.viewing.serving import ask, fill, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("access") / "home"
    fill(home, 3)
    with serving(home) as opened:
        yield opened


def test_the_token_gives_a_cookie_and_the_cookie_everything(server: Server) -> None:
    came = ask(server, f"/?token={server.access.token}", cookie=False)
    assert came.status == 200
    cookie = came.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert server.access.token not in cookie
    again = ask(server, "/api/home", cookie=False, Cookie=cookie.partition(";")[0])
    assert again.value["entries"] == 3
    assert "Set-Cookie" not in again.headers


@pytest.mark.parametrize("path", [*sorted(assets()), "/api/home", "/api/entries", "/kernels", "/x"])
def test_without_the_cookie_nothing_is_answered(server: Server, path: str) -> None:
    for more in ({}, {"Cookie": "redoxa-view=1"}, {"Cookie": '"' * 9000}, {"Cookie": "a=\x7f;=;"}):
        refused = ask(server, path, cookie=False, **more)
        assert refused.status == 403
        assert b"token" in refused.body
    assert ask(server, f"{path}?token={server.access.token[:-1]}", cookie=False).status == 403
    if path != "/":  # the token opens the page, and nothing else
        assert ask(server, f"{path}?token={server.access.token}", cookie=False).status == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", ""])
def test_under_another_name_nothing_is_answered(server: Server, host: str) -> None:
    for path in ("/", "/api/home", f"/?token={server.access.token}"):
        assert ask(server, path, Host=host).status == 421


def test_a_page_of_elsewhere_gets_nothing_though_the_browser_sends_the_cookie(
    server: Server,
) -> None:
    for site in ("cross-site", "same-site"):
        assert ask(server, "/api/home", Sec_Fetch_Site=site).status == 403
    for site in ("same-origin", "none"):
        assert ask(server, "/api/home", Sec_Fetch_Site=site).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"])
def test_only_get_is_answered(server: Server, method: str) -> None:
    refused = ask(server, "/api/home", method=method)
    assert refused.status == 405
    assert refused.headers["Allow"] == "GET"


def test_every_answer_says_what_a_page_may_do(server: Server) -> None:
    for path in ("/", "/app.mjs", "/verifier.mjs", "/api/home", "/nothing"):
        headers = ask(server, path).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py", "/vendored/../../server.py", "/decoder/%2e%2e/LICENSE", "//etc/passwd",
        "/decoder/cli.mjs", "/index.html", "/containers/0", "/containers/-1", "/containers/../x",
        "/api/nothing", "/vendored/README.md",
    ],
)  # fmt: skip
def test_what_is_not_served_is_not_found(server: Server, path: str) -> None:
    assert ask(server, path).status == 404


@pytest.mark.parametrize(
    "query", ["seq=-1", "seq=x", "seq=99999999999999999", "seq=3", "seq=%00", "before=1e3&count=1"]
)
def test_a_wrong_question_is_a_sentence(server: Server, query: str) -> None:
    path = "/api/entries" if query.startswith("before") else "/api/entry"
    refused = ask(server, f"{path}?{query}")
    assert refused.status == 404
    assert refused.value.keys() == {"error"}


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\xa5\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http_ends_the_connection_and_no_more(server: Server, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.access.port), timeout=30) as wire:
        wire.sendall(sent)
        wire.shutdown(socket.SHUT_WR)
        said = b""
        while part := wire.recv(65_536):
            said += part
    assert b"Traceback" not in said
    assert b"200" not in said.partition(b"\r\n")[0]
    assert ask(server, "/api/home").status == 200


def test_it_listens_on_loopback_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_whoever_opens_many_connections_is_let_in_to_some(server: Server) -> None:
    wires = [socket.create_connection(("127.0.0.1", server.access.port)) for _ in range(200)]
    for wire in wires:
        wire.close()
    for _ in range(50):
        with suppress(OSError):  # the places are not free at once
            if ask(server, "/api/home").status == 200:
                break
    else:
        raise AssertionError("nobody is answered any more")
