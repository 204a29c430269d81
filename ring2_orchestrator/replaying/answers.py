"""Answers a replayed command over HTTP from its bundle. It asks nobody."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re
import signal
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

from ring2_orchestrator.replaying.parts import Item

_BLOCK = 1 << 16
_SET_FLAGS, _UP = 0x8914, 0x41  # SIOCSIFFLAGS; IFF_UP and IFF_RUNNING
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def raise_loopback() -> None:
    """Let a process in a network namespace of its own speak to itself. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP))


def start(network: Item, object_at: Callable[[str], str], trusted: str) -> dict[str, str]:
    """Serve from a process of its own as long as this one lives; the variables that lead there."""
    server = _Server(network, object_at)
    port = server.server_address[1]
    if os.fork() == 0:
        try:
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            _keep_only(server.fileno())
            server.serve_forever()
        finally:
            os._exit(1)
    server.socket.close()
    found = dict.fromkeys(network["proxies"], f"http://127.0.0.1:{port}")
    found.update(dict.fromkeys(network["trusting"], trusted))
    found.update(network["switches"])
    return found


def _keep_only(descriptor: int) -> None:
    """Hold nothing open whose end somebody waits for."""
    os.closerange(0, descriptor)
    os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
    for number in range(3):
        os.open(os.devnull, os.O_RDWR) if number != descriptor else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, network: Item, object_at: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.object_at = object_at
        self._compared = set(network["compared"])
        self._left = [
            (exchange, re.compile(re.escape(exchange["url"]).replace("HIDDEN", "[^&;]*")))
            for exchange in network["exchanges"]
        ]
        self._lock = threading.Lock()
        self.contexts: dict[str, ssl.SSLContext] = {}
        for host, name in network["hosts"].items():
            self.contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.contexts[host].load_cert_chain(object_at(name))

    def take(self, method: str, url: str, headers: list[list[str]]) -> Item | None:
        """The next recorded answer to that request, which is then used up."""
        asked = sorted([name.lower(), at] for name, at in headers if name.lower() in self._compared)
        with self._lock:
            for at, (exchange, pattern) in enumerate(self._left):
                if (exchange["method"], exchange["headers"]) != (method, asked):
                    continue
                if pattern.fullmatch(url):
                    del self._left[at]
                    return exchange
        return None

    def handle_error(self, request: object, client_address: object) -> None:
        """A command that hangs up is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tunnel = ""

    @property
    def _bundle(self) -> _Server:
        return cast("_Server", self.server)

    def do_CONNECT(self) -> None:
        """Be the host that is named, as far as the bundle has its certificate."""
        host, _, port = self.path.rpartition(":")
        host = host.strip("[]").lower()
        context = self._bundle.contexts.get(host)
        if context is None:
            self._refuse(f"{host} was not asked then")
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.setup_again()
        named = f"[{host}]" if ":" in host else host
        self.tunnel = f"https://{named}" + ("" if port == "443" else f":{port}")
        self.close_connection = False

    def setup_again(self) -> None:
        """Read and write through what the connection has become."""
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", 0)

    def answer(self) -> None:
        """Say what was said then."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = self.tunnel + self.path
        headers = [[name, value] for name, value in self.headers.items()]
        found = self._bundle.take(self.command, url, headers)
        if found is None:
            self._refuse(f"{self.command} {url} was not recorded, or not so often")
            return
        self.send_response_only(found["status"], found["reason"])
        sized = False
        for name, value in found["answer"]:
            sized = sized or name.lower() == "content-length"
            self.send_header(name, value)
        bodiless = self.command == "HEAD" or found["status"] in (204, 304)
        chunked = not sized and not bodiless
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if not bodiless:
            self._send(found["object"], chunked=chunked)

    def _send(self, name: str | None, *, chunked: bool) -> None:
        if name is not None:
            with open(self._bundle.object_at(name), "rb") as file:
                while block := file.read(_BLOCK):
                    head = f"{len(block):x}\r\n".encode() if chunked else b""
                    self.wfile.write(head + block + (b"\r\n" if chunked else b""))
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, text: str) -> None:
        data = f"redoxa: {text}\n".encode("utf-8", "replace")
        self.send_response_only(502, "Bad Gateway")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
        """The command's streams are its own."""


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler.answer)
