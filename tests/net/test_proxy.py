"""The proxy is for one command alone, and ends with it."""

import base64
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from ring2_orchestrator.net.errors import NoAnswerError
from ring2_orchestrator.net.exchange import Answer, Asked
from ring2_orchestrator.net.proxy import Proxy


class Notebook:
    """Answers with what it was asked, or not at all."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.asked: list[Asked] = []

    def permit(self, host: str, port: int) -> None:
        raise NoAnswerError(f"{host}:{port} is not for you", status=403)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        data = asked.target.url.encode()
        return Answer(200, "OK", (("Content-Length", str(len(data))),), iter([data]))

    def note(self, text: str) -> None:
        self.notes.append(text)


class Unsayable(Notebook):
    """Answers what HTTP has no words for."""

    def answer(self, asked: Asked) -> Answer:
        del asked
        return Answer(1000, "OK", (("A b", "c"),), iter([b"x"]))


def no_context(host: str) -> ssl.SSLContext:
    raise AssertionError(host)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def proxy(notebook: Notebook) -> Iterator[Proxy]:
    found = Proxy(notebook, no_context)
    yield found
    found.close(1)


def ask(proxy: Proxy, data: bytes) -> bytes:
    """What the proxy says to these bytes, to the end."""
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        parts: list[bytes] = []
        while block := sock.recv(1 << 16):
            parts.append(block)
    return b"".join(parts)


def curl(proxy: str, *words: str) -> str:
    done = subprocess.run(
        ["curl", "-s", "--proxy", proxy, "--noproxy", "", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout


def test_who_has_the_word_is_answered(proxy: Proxy, notebook: Notebook) -> None:
    assert curl(proxy.url, "http://u:p@Host.example/a?b=1") == "http://host.example/a?b=1"
    assert notebook.asked[0].method == "GET"


def test_who_has_not_is_turned_away_and_spoils_nothing(proxy: Proxy, notebook: Notebook) -> None:
    said = ask(proxy, b"GET http://host/ HTTP/1.1\r\nHost: host\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 407 ")
    assert curl(proxy.url.replace(":redoxa", ":x").replace("redoxa:", "redoxa:x"), "http://h/") == (
        "redoxa: this proxy is for one command alone\n"
    )
    assert notebook.asked == notebook.notes == []


def test_a_refusal_is_a_sentence(proxy: Proxy) -> None:
    text = curl(proxy.url, "--proxytunnel", "-w", "%{http_connect}", "http://host.example/")
    assert text.endswith("403")


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01 hello", b"\0" * 100, b"GET / \r\n\r\n", b"\x05\1\0"]
)
def test_what_is_no_http_is_noted(proxy: Proxy, notebook: Notebook, data: bytes) -> None:
    ask(proxy, data)
    assert proxy.close(5)
    assert notebook.notes


@pytest.mark.parametrize("url", ["ftp://host/a", "http:///a", "file:///etc/passwd"])
def test_other_addresses_are_noted(proxy: Proxy, notebook: Notebook, url: str) -> None:
    word = proxy.url.partition("//")[2].partition("@")[0]
    login = base64.b64encode(word.encode()).decode()
    said = ask(
        proxy,
        f"GET {url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic {login}\r\n\r\n".encode(),
    )
    assert said.startswith(b"HTTP/1.1 400 ")
    assert notebook.notes


def test_its_number_is_nobody_elses_for_datagrams(proxy: Proxy) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(OSError, match="in use"),
    ):
        sock.bind(("127.0.0.1", proxy.port))


def test_it_ends_with_connections_that_hang(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 10) as sock:
        sock.sendall(b"GET http://host/ HT")
        assert not proxy.close(0.2)
        assert sock.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 1)


def test_an_answer_that_no_http_can_give_is_noted() -> None:
    notebook = Unsayable()
    proxy = Proxy(notebook, no_context)
    curl(proxy.url, "http://host/")
    assert proxy.close(5)
    assert any("cannot be sent on" in note for note in notebook.notes)
