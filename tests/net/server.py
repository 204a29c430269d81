"""A real server on loopback that does what its paths say, well or badly."""

import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

from ring2_orchestrator.net.authority import Authority
from tests.net.hostile import Hostile

SET_COOKIE = "session-cookie-value-from-the-server"


@dataclass
class Site:
    """What the server holds, and what it was asked."""

    port: int = 0
    scheme: str = "http"
    texts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    headers: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    asked: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])
    said: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    dripped: int = 0  # bytes of what comes for ever
    cuts: int = 0  # so many answers in parts still break off after a third

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.host}{path}"


class _Handler(Hostile, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def site(self) -> Site:
        return cast("_Server", self.server).site

    def do_GET(self) -> None:
        self.site.said.append(dict(self.headers.items()))
        path = self.path.partition("?")[0]
        bad = getattr(self, f"bad_{path[1:]}", None)
        if bad is not None:
            self._log(200)
            bad()
            return
        if path not in self.site.texts:
            self._send(404, b"nothing here\n")
            return
        data, more = self.site.texts[path], self.site.headers.get(path, {})
        etag = f'"{hash(data) & 0xFFFFFF:x}"'
        if "no-etag" not in more:
            more = {**more, "ETag": etag}
            if self.headers.get("If-None-Match") == etag:
                self._send(304, b"", more)
                return
        self._send(200, data, more)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.site.said.append(dict(self.headers.items()))
        self._send(200, b"got %d bytes\n" % len(body))

    def _log(self, status: int) -> None:
        self.site.asked.append((self.command, self.path, status))

    def _send(self, status: int, data: bytes, more: dict[str, str] | None = None) -> None:
        self._log(status)
        self.send_response(status)
        self.send_header("Set-Cookie", f"id={SET_COOKIE}")
        for name, value in (more or {}).items():
            if name != "no-etag":
                self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _raw(self, data: bytes) -> None:
        self.wfile.write(data)
        self.close_connection = True

    def bad_truncates(self) -> None:
        self._raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")

    def bad_breaks_chunks(self) -> None:
        self._raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nonly this")

    def bad_lies(self) -> None:
        self._raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello")

    def bad_speaks(self) -> None:
        self._raw(b"220 this is another protocol\r\n")

    def bad_resets(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()
        self.close_connection = True

    def bad_stalls(self) -> None:
        self._raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        cast("_Server", self.server).over.wait(30)

    def bad_chunked(self) -> None:
        self._raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
            b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
        )

    def bad_old(self) -> None:
        self._raw(b"HTTP/1.0 200 OK\r\n\r\nto the end")

    def bad_slow(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for byte in b"bytes":
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.02)

    def bad_circle(self) -> None:
        self._raw(b"HTTP/1.1 302 Found\r\nLocation: /circle\r\nContent-Length: 0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.site, self.over = site, threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def serving(authority: Authority | None = None) -> Generator[Site]:
    """A server, with TLS where an authority vouches for it."""
    site = Site(scheme="http" if authority is None else "https")
    server = _Server(site)
    if authority is not None:
        context = authority.context("127.0.0.1")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def trusted_file(authority: Authority, folder: Path) -> Path:
    path = folder / "authority.crt"
    path.write_bytes(authority.pem)
    with suppress(ssl.SSLError):
        ssl.create_default_context(cafile=path)
    return path
