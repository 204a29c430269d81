"""A project whose compiler is wrapped, and the keepers that its calls leave."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.memo import Memo, weak_key
from ring2_orchestrator.runs.trace import Trace

TOOLS = Path(sys.executable).parent
HELLO = '#include "word.h"\n#include <stdio.h>\nint main(void) { return puts(WORD) < 0; }\n'
# Any Python that is started with it fails. So a call that ends well had a keeper.
UNFIT = {"PYTHONHOME": "/nonexistent"}


class Build:
    """Calls as make would do them, one at a time or some at once."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.home = base / "home"
        self.project = base / "project"
        self.project.mkdir()
        self.write("word.h", '#define WORD "hello"\n')
        self.write("hello.c", HELLO)
        self.real = base / "real"
        self.real.mkdir()
        self.script(f'exec {shutil.which("cc")} "$@"')
        self.env = {
            "PATH": f"{self.real}:/usr/bin:/bin",
            "REDOXA_HOME": str(self.home),
            "HOME": str(base),
            "TMPDIR": str(base),
        }

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.write_text(text)
        return path

    def script(self, text: str, head: str = "#!/bin/sh") -> None:
        """What the wrapper takes for the compiler."""
        path = self.real / "cc"
        path.write_text(f"{head}\n{text}\n")
        path.chmod(0o755)

    def start(self, *words: str, **options: Any) -> "subprocess.Popen[bytes]":
        env = {**self.env, **cast("dict[str, str]", options.pop("env", {}))}
        streams: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        tool = str(TOOLS / "redoxa-cc")
        started = subprocess.Popen(
            [tool, *words], cwd=self.project, env=env, **{**streams, **options}
        )
        return cast("subprocess.Popen[bytes]", started)

    def call(self, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        with self.start(*words, **options) as process:
            out, error = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, error)

    def compile(self, name: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return self.call("-c", "hello.c", "-o", f"{name}.o", **options)

    def begun(self) -> int:
        """A first call makes the home, and a second a keeper, whose process number this is."""
        assert self.compile("first").returncode == 0
        assert self.compile("second").returncode == 0
        (pid,) = self.keepers()
        return pid

    def begun_with_anything(self, text: bytes = b"exit 0") -> int:
        """The same where the compiler is a script of the test's, which stands again after that."""
        path = self.real / "cc"
        script = path.read_bytes()
        path.write_bytes(b"#!/bin/sh\n" + text + b"\n")
        self.call("-v", "first")
        self.call("-v", "second")
        path.write_bytes(script)
        (pid,) = self.keepers()
        return pid

    def keepers(self) -> list[int]:
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"--keeper" in words and os.fsencode(self.home) in words:
                    found.append(int(entry.name))
        return found

    def log(self) -> list[tuple[str, bool, list[str]]]:
        """Verdict, whether it was published, and the kinds of doubt, oldest first."""
        with Home(self.home) as home:
            batches = list(home.ledger.batches("run"))
            nodes = [cast("dict[str, Any]", batch.entries[0]) for batch in batches]
        return [
            (node["verdict"], node["published"], [kind for kind, _ in node["doubts"]])
            for node in nodes
        ]

    def trace(self, words: Sequence[str]) -> Trace:
        command = [str(self.real / "cc"), *words]
        with Home(self.home) as home:
            return next(iter(Memo(home).traces(weak_key(command, self.project)))).trace


def wait_until(done: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether a call gives true before the time is over."""
    end = time.monotonic() + seconds
    while not (held := done()) and time.monotonic() < end:
        time.sleep(0.01)
    return held


@pytest.fixture
def build(tmp_path: Path) -> Generator[Build]:
    made = Build(tmp_path)
    yield made
    for pid in made.keepers():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
