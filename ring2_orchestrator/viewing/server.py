"""A server for one browser on this machine: it only answers GET, and only who may ask."""

import io
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import BinaryIO, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

from cid_store.errors import InputError, RedoxaError, UnavailableError, UsageError
from ring2_orchestrator.report import error_text
from ring2_orchestrator.viewing.access import HOST, Access
from ring2_orchestrator.viewing.assets import asset, policy

_MOST_CONNECTIONS = 64
_PATIENCE_S = 30.0
_CHUNK = 1 << 20

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Answer(NamedTuple):
    """What is sent: its type, where it is read from, and how long it is."""

    kind: str
    source: BinaryIO
    size: int


Query = Mapping[str, str]
Answers = Callable[[str, Query], Answer | None]


def answer_bytes(kind: str, data: bytes) -> Answer:
    """An answer that is at hand."""
    return Answer(kind, io.BytesIO(data), len(data))


def answer_json(value: object) -> Answer:
    """A value as JSON."""
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return answer_bytes("application/json", data)


class Server(ThreadingHTTPServer):
    """Serves the page's own files, and whatever else `answers` has for a path."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers: Answers, *, port: int = 0) -> None:
        """Listen on loopback, on that port or any. Raises UnavailableError, InputError."""
        self.access = Access()
        self.answers = answers
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UnavailableError(
                f"port {port} of {HOST} cannot be listened on ({error.strerror}); "
                "name another with --port, or leave it out"
            ) from error
        self.access.port = self.server_address[1]

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        return self.access.url

    def process_request(self, request: object, client_address: object) -> None:
        """Answer in a thread of its own, unless there are too many already."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)  # type: ignore[arg-type]
        else:
            self.shutdown_request(request)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Give the place back when the connection ends."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that leaves in the middle is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "redoxa", ""
    timeout = _PATIENCE_S
    server: BaseServer

    @property
    def _server(self) -> Server:
        return cast("Server", self.server)

    def do_GET(self) -> None:
        """Answer, or refuse in a sentence."""
        try:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        except ValueError:
            self._refuse(400, "this is no address")
            return
        token = query.get("token") if parts.path == "/" else None
        refusal = self._server.access.refusal(cast("Mapping[str, str]", self.headers), token=token)
        if refusal is not None:
            self._refuse(*refusal)
            return
        try:
            found = self._found(parts.path, query)
        except RedoxaError as error:
            status = 404 if isinstance(error, InputError | UsageError) else 500
            self._send(status, answer_json({"error": error_text(error)}))
            return
        except Exception as error:  # noqa: BLE001 - a thread of the server has nobody else to tell
            kind = type(error).__name__
            self._send(500, answer_json({"error": f"internal error ({kind}: {error})"}))
            return
        if found is None:
            self._refuse(404, "there is nothing of that name")
            return
        with found.source:
            self._send(200, found, new=self._server.access.has_token(token))

    def _found(self, path: str, query: Query) -> Answer | None:
        file = asset(path)
        if file is not None:
            return answer_bytes(*file)
        return self._server.answers(path, query)

    def _refuse(self, status: int, sentence: str) -> None:
        self.close_connection = True
        self._send(status, answer_bytes("text/plain; charset=utf-8", f"{sentence}\n".encode()))

    def _send(self, status: int, answer: Answer, *, new: bool = False) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Security-Policy", policy())
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(answer.size))
        if status == 405:
            self.send_header("Allow", "GET")
        if new:
            self.send_header("Set-Cookie", self._server.access.cookie)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        left = answer.size
        while left and (part := answer.source.read(min(left, _CHUNK))):
            self.wfile.write(part)
            left -= len(part)
        self.close_connection |= left > 0  # the file became shorter meanwhile

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no GET, and what is no HTTP, as everything else is refused."""
        self.close_connection = True
        if code == 501:
            code, message = 405, "only GET is answered here"
        self.requestline = getattr(self, "requestline", "")
        self.request_version = getattr(self, "request_version", "HTTP/1.1") or "HTTP/1.1"
        self._refuse(code, message or explain or "refused")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstream
        """Keep quiet: the address holds the token."""
