"""A server of the local page in a thread, runs for it to show, and how it is asked."""

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cid_store.encoding import NodeLike
from ring2_orchestrator.commands._view_answers import Answers
from ring2_orchestrator.home import Home
from ring2_orchestrator.ledger.leaf import Draft
from ring2_orchestrator.viewing.server import Server

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
_NOON_NS = 1_790_000_000 * 10**9


class Reply(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> dict[str, object]:
        return json.loads(self.body)


@contextmanager
def serving(
    home: Path, containers: Sequence[Path] = (), *, kernels: Sequence[bytes] | None = None
) -> Generator[Server]:
    """The page of a home, until the block ends."""
    with (
        Home(home, to_read=True) as opened,
        Server(
            Answers(opened, containers, kernels=None if kernels is None else lambda: kernels)
        ) as server,
    ):
        thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(30)


@contextmanager
def viewing(home: Path, *words: str, **environment: str) -> Generator["subprocess.Popen[str]"]:
    """The command in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "redoxa", "--home", str(home), "view", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def ask(
    server: Server, path: str, *, method: str = "GET", cookie: bool = True, **headers: str
) -> Reply:
    """One request, with the cookie that the token gives unless told otherwise."""
    port = server.access.port
    sent = {"Host": f"127.0.0.1:{port}"}
    if cookie:
        sent["Cookie"] = server.access.cookie.partition(";")[0]
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=sent)
        reply = connection.getresponse()
        return Reply(reply.status, dict(reply.getheaders()), reply.read())
    finally:
        connection.close()


def entry(number: int, command: Sequence[bytes] = (b"make", b"-j2")) -> dict[str, NodeLike]:
    """A run as an entry of the ledger says it: mostly reused, some recorded, a few failed."""
    kind = number % 7
    return {
        "verdict": "reused" if kind < 4 else "failed" if kind == 6 else "ran",
        "exit_code": 2 if kind == 6 else 0,
        "wall_s": 0.01 * (1 + number % 50) if kind < 4 else 1.0 + number % 13,
        "cpu_s": 0.5,
        "saved_s": 2.0 if kind < 4 else 0.0,
        "command": [*command, f"target{number % 40}".encode()],
        "doubts": [["clock", "it asked a clock"]] if kind == 5 else [],
    }


def fill(home: Path, count: int, command: Sequence[bytes] = (b"make", b"-j2")) -> None:
    """Enter so many runs, a minute apart."""
    with Home(home) as opened:
        opened.ledger.append_all(
            [
                Draft([entry(at, command)], "run", f"subject {at % 40}", _NOON_NS + at * 60 * 10**9)
                for at in range(count)
            ]
        )
