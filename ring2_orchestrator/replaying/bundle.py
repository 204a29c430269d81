"""Makes a bundle of a recorded run: what it saw and left, as far as that is to be had.

docs/formats/bundle.md specifies it.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cid_store.cid import Cid, Codec
from cid_store.errors import DamageError
from ring2_orchestrator.home import Home
from ring2_orchestrator.replaying.__main__ import FORMAT, WITH_NETWORK
from ring2_orchestrator.replaying.network import network_of
from ring2_orchestrator.runs import pseudo
from ring2_orchestrator.runs.kept_inputs import kept_inputs
from ring2_orchestrator.runs.memo import Memo
from ring2_orchestrator.runs.past import Run, trace_of
from ring2_orchestrator.runs.paths import inside, shown
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.secrets import Secrets
from ring2_orchestrator.runs.state import Present, What, digest_of, entries_of, timed
from ring2_orchestrator.runs.trace import Input, Output, Trace

_CONTENT = (What.FILE, What.TIMED, What.SECRET)
_FACTS = ("host name", "kernel", "user")


class Wanted(NamedTuple):
    """What a bundle is made for."""

    elsewhere: bool = (
        False  # to run on another machine: no secrets, and digests of what is not in it
    )
    whole: bool = False  # with every file that the run read, the system's too


class Bundler:
    """Gathers one run's bundle in a folder."""

    def __init__(
        self, home: Home, run: Run, folder: Path, *, env: Mapping[str, str], wanted: Wanted
    ) -> None:
        """Raises InputError where nothing was kept of the run, DamageError."""
        self._home, self._run, self._env, self._wanted = home, run, env, wanted
        self._objects = folder / "objects"
        self._folder = folder
        self._trace: Trace = trace_of(home, run)
        memo = Memo(home)
        self._memo = memo
        self._present = Present(memo.cache, memo.key.seal)
        self._secrets = Secrets.of(home.path, env, memo.key.seal)
        assert run.trace is not None, "it has just been read"
        self._kept = kept_inputs(home.store, run.subject, run.trace)
        self._roots = Roots(project=self._trace.root, writable=())
        self.left_out: dict[str, str] = {}  # files that must be the same elsewhere: digests
        self.lacks: list[str] = []
        self.notes: list[str] = []

    def make(self) -> None:
        """Write run.json and objects/."""
        self._objects.mkdir()
        trace = self._trace
        around = trace.surroundings
        environment, unknown = self._environment()
        self._areas = self._areas_of(environment)
        inputs, expected = self._split(trace.inputs)
        run: dict[str, object] = {
            "areas": [os.fsdecode(area) for area in self._areas],
            "command": [os.fsdecode(word) for word in trace.command],
            "cwd": os.fsdecode(around.cwd),
            "environment": environment,
            "exit_code": trace.exit_code,
            "expected": expected,
            "format": FORMAT,
            "id": self._run.id,
            "inputs": inputs,
            "machine": {name: around.machine[name] for name in _FACTS},
            "merged": around.merged,
            "outputs": [self._output(output) for output in trace.outputs],
            "printed": self._printed(),
            "stdin": self._stdin(),
            "umask": around.umask,
            "unknown_environment": unknown,
        }
        run |= {"lacks": self.lacks, "notes": self.notes} | self._network()
        text = json.dumps(run, indent=1, sort_keys=True)
        (self._folder / "run.json").write_text(text + "\n", encoding="ascii")

    def _areas_of(self, environment: Mapping[str, str]) -> list[bytes]:
        """The folders that the run gets for itself: the outermost of project, home and temp."""
        if self._wanted.whole:
            return [b"/"]
        named = [environment.get("HOME"), environment.get("TMPDIR") or "/tmp"]  # noqa: S108
        folders = {self._trace.root, self._trace.surroundings.cwd}
        folders |= {os.path.realpath(os.fsencode(name)) for name in named if name}
        folders.discard(b"/")
        return sorted(at for at in folders if not any(inside(at, other) for other in folders))

    def _is_own(self, path: bytes) -> bool:
        return any(area in (b"/", path) or inside(path, area) for area in self._areas)

    def _environment(self) -> tuple[dict[str, str], list[str]]:
        """The values that are surely those of the run, and the names of the others."""
        # Where the run was started from is known, wherever it is looked at from now.
        env = {**self._env, "PWD": os.fsdecode(self._trace.surroundings.cwd)}
        now = self._memo.key.digests(env)
        known: dict[str, str] = {}
        unknown: list[str] = []
        for raw, digest in sorted(self._trace.surroundings.environment.items()):
            name = os.fsdecode(raw)
            secret = self._wanted.elsewhere and self._secrets.is_variable(name)
            if now.get(raw) == digest and not secret:
                known[name] = env[name]
            else:
                unknown.append(name)
                why = "is secret and not in here" if secret else "was another, which is not kept"
                self.notes.append(f"the value of ${shown(raw)} {why}; that of now is used, if any")
        return known, unknown

    # What it saw.

    def _split(self, rows: Iterable[Input]) -> tuple[list[dict[str, object]], list[object]]:
        """What is re-created, and what must be there as it was."""
        inputs: list[dict[str, object]] = []
        expected: list[object] = []
        for row in rows:
            path = self._roots.full(row.path)
            if pseudo.is_pseudo(path) or row.state.what == What.BYTECODE:
                continue
            own = self._is_own(path)
            item = self._own_item(path, row) if own else self._expected_item(path, row)
            if item is not None:
                (inputs if own else expected).append({"path": os.fsdecode(path), **item})
        return inputs, expected

    def _own_item(self, path: bytes, row: Input) -> dict[str, object] | None:
        state = row.state
        match state.what:
            case What.FILE | What.TIMED | What.SECRET:
                return self._own_file(path, row)
            case What.PRESENT | What.UNREADABLE:
                mode = state.mode if state.what == What.UNREADABLE else 0o644
                return {"what": "file", "mode": mode}
            case What.MISSING | What.BLANK:
                return None
            case What.UNKNOWN | What.OTHER if not row.product:
                self.lacks.append(f"{shown(path)} was something of which nothing is kept")
                return None
            case _:
                return self._shape(path, row)

    def _shape(self, path: bytes, row: Input) -> dict[str, object] | None:
        """What can be said of a folder, a list or a link."""
        if row.state.what == What.DIR:
            return {"what": "folder", "mode": row.state.mode}
        if row.state.what == What.LINK:
            return {"what": "link", "target": os.fsdecode(self._trace.targets[row.path])}
        if row.state.what != What.NAMES:
            return None
        try:
            entries = entries_of(self._home.store.get(Cid(Codec.RAW, row.state.digest)))
        except DamageError:
            self.lacks.append(f"what {shown(path)} listed is not kept any more")
            return None
        named = {os.fsdecode(name): letter.decode() for name, letter in sorted(entries.items())}
        return {"what": "listing", "entries": named}

    def _own_file(self, path: bytes, row: Input) -> dict[str, object] | None:
        if self._wanted.elsewhere and not self._may_leave(path):
            self.lacks.append(f"{shown(path)} is secret, and no secret leaves its machine")
            return None
        data = self._from_store(row)
        if data is None:
            data = self._from_disk(path, row)
        if data is None:
            if not row.product:  # what a run made itself, it makes of nothing as well
                self.lacks.append(f"{shown(path)} has another content now, and the old is not kept")
            return None
        if self._wanted.elsewhere and (source := self._secrets.found_in(data)) is not None:
            self.lacks.append(f"{shown(path)} holds the value of {source}, which is secret")
            return None
        status = self._present.status(path)
        name = self._keep(data)
        item: dict[str, object] = {"what": "file", "mode": row.state.mode, "object": name}
        if (kept := self._kept.get(row.path)) is not None:
            item["mtime_ns"] = kept.mtime_ns
        elif status is not None and self._present.holds(path, row.state):
            item["mtime_ns"] = status.st_mtime_ns
        return item

    def _may_leave(self, path: bytes) -> bool:
        try:
            with open(path, "rb") as file:
                return self._secrets.is_kept_file(path, file)
        except OSError:
            return not self._secrets.is_file(path)

    def _from_store(self, row: Input) -> bytes | None:
        """The content, where it was kept, or the store has it for another reason."""
        kept = self._kept.get(row.path)
        cid = Cid(Codec.RAW, row.state.digest) if kept is None else kept.cid
        if kept is None and (row.state.what != What.FILE or not self._home.store.has(cid)):
            return None
        try:
            return self._home.store.get(cid)
        except DamageError:
            return None

    def _from_disk(self, path: bytes, row: Input) -> bytes | None:
        try:
            with open(path, "rb") as file:
                mtime_ns = os.fstat(file.fileno()).st_mtime_ns
                data = file.read()
        except OSError:
            return None
        digest = digest_of(data)
        if row.state.what == What.TIMED:
            digest = timed(digest, mtime_ns)
        if row.state.what == What.SECRET:
            return data if self._present.holds(path, row.state) else None
        return data if digest == row.state.digest else None

    def _expected_item(self, path: bytes, row: Input) -> dict[str, object] | None:
        """What must be so wherever the bundle is run; noted where it is not so here any more."""
        what = row.state.what
        if not self._present.holds(path, row.state) and not row.product:
            self.lacks.append(f"{shown(path)} is not as it was, and it is no part of the bundle")
            return None
        if not self._wanted.elsewhere:
            return None  # it was looked at a moment ago
        if what == What.MISSING:
            return {"what": "missing"}
        if what in _CONTENT and not self._secrets.is_file(path):
            digest = self.left_out[shown(path)] = _sha256_of(path)
            return {"what": "file", "sha256": digest}
        return self._shape(path, row)

    # What it left.

    def _output(self, output: Output) -> dict[str, object]:
        path = self._roots.full(output.path)
        if not self._is_own(path):
            self.lacks.append(f"{shown(path)}, which it left, lies outside of its folders of now")
        item: dict[str, object] = {"path": os.fsdecode(path), "mode": output.mode}
        if output.what == What.FILE:
            assert output.cid is not None, "a file output has a content"
            name = self._keep(self._home.store.get(output.cid))
            return item | {"what": "file", "object": name, "size": output.size}
        if output.what == What.LINK:
            assert output.target is not None, "a link output has a target"
            return item | {"what": "link", "target": os.fsdecode(output.target)}
        return item | {"what": "folder" if output.what == What.DIR else "deleted"}

    def _printed(self) -> list[str]:
        """The objects with all of standard output, and all of standard error."""
        trace = self._trace
        printed = b"" if trace.printed is None else self._home.store.get(trace.printed)
        parts: dict[int, list[bytes]] = {1: [], 2: []}
        at = 0
        for cut in trace.cuts:
            parts[1 if trace.surroundings.merged else cut.stream].append(
                printed[at : at + cut.length]
            )
            at += cut.length
        return [self._keep(b"".join(parts[stream])) for stream in (1, 2)]

    def _stdin(self) -> str | None:
        around = self._trace.surroundings
        if any(around.terminals):
            self.notes.append("it was recorded at a terminal, and runs again without one")
        if around.stdin is not None and around.stdin.size:
            self.lacks.append(f"the {around.stdin.size:,} bytes of its standard input are not kept")
        return None

    def _network(self) -> dict[str, object]:
        """What it was answered over the network, where that was recorded."""
        if self._trace.network is None:
            return {}
        item = network_of(self._home.store, self._trace.network, self._keep)
        return {"format": WITH_NETWORK, "network": item}

    def _keep(self, data: bytes) -> str:
        """Put bytes among the objects; their name there."""
        name = hashlib.sha256(data).hexdigest()
        path = self._objects / name
        if not path.exists():
            path.write_bytes(data)
        return name


def _sha256_of(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
