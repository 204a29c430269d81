"""Remote stores for the tests: in a folder, behind a hostile web server, and a shell."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cid_store.remote import RemoteStore
from tests.cid_store.test_store_command import shell

__all__ = ["shell"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the remote store of a test lies."""
    return tmp_path / "there"


@pytest.fixture
def remote(folder: Path) -> Iterator[RemoteStore]:
    with RemoteStore(folder.as_uri()) as store:
        yield store


# What becomes of a file's bytes on their way: the status, the bytes sent, and the length announced.
Harm = Callable[[str, bytes], tuple[int, bytes, int]]


def honest(key: str, data: bytes) -> tuple[int, bytes, int]:
    del key
    return 200, data, len(data)


class Server:
    """A web server for a folder, which does to every answer what it is told."""

    def __init__(self, folder: Path) -> None:
        self.harm: Harm = honest
        self.asked: list[str] = []
        self.goes_on = threading.Event()  # what a slow answer waits for
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                key = self.path.removeprefix("/store/")
                outer.asked.append(key)
                file = folder / key
                if not file.is_file():
                    self.send_error(404)
                    return
                status, data, length = outer.harm(key, file.read_bytes())
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command == "GET":
                    with contextlib.suppress(ConnectionError):  # who is lied to may hang up
                        self.wfile.write(data)
                if len(data) < length:
                    self.close_connection = True

            do_HEAD = do_GET  # noqa: N815 - the base class names it

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/store"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Leave nobody listening there."""
        self.goes_on.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    running = Server(folder)
    yield running
    running.stop()


@pytest.fixture
def nobody() -> str:
    """An address of this machine where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/store"
