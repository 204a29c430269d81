"""One trace: what a run saw, and what it left. Its bytes are specified in docs/formats/trace.md."""

import struct
from collections.abc import Mapping
from typing import NamedTuple, Self, cast

from cid_store.cid import Cid, Codec
from cid_store.encoding import Node, NodeLike
from cid_store.errors import MalformedNodeError
from ring2_orchestrator.runs.state import State, What
from ring2_orchestrator.runs.surroundings import Surroundings

VERSION = 2
WITH_NETWORK = 3  # a version of its own, so that all other traces keep their names
_ROW = struct.Struct("<BBH32s")  # what, flags, mode, digest
_PRODUCT = 1


class Input(NamedTuple):
    """One statement that must be true again for the run to be reused.

    `product`: the run looked at the path without reading it and then made it itself, so what this
    very command left there, or nothing, does as well.
    """

    path: bytes  # as Roots.short spells it
    state: State
    product: bool


class Output(NamedTuple):
    """One path as the run left it.

    what: FILE, DIR, LINK or MISSING (deleted). `link_to` names an earlier output or an input that
    the file is a further name of. Times: `mtime_ns` where the run set an earlier time, else None
    and `rank` gives the place in the order in which the outputs were last written; `touched` where
    it set the time to that of the moment, an effect of its own even where nothing was written.
    """

    path: bytes
    what: What
    mode: int = 0
    cid: Cid | None = None
    size: int = 0
    target: bytes | None = None
    link_to: bytes | None = None
    rank: int = 0
    mtime_ns: int | None = None
    touched: bool = False

    def state(self) -> State:
        """What stands at the path while the output is as the run left it."""
        if self.what == What.FILE:
            assert self.cid is not None, "a file output has a content"
            return State(What.FILE, self.mode, self.cid.digest)
        if self.what == What.LINK:
            assert self.target is not None, "a link output has a target"
            return State(What.LINK, 0, Cid.of(self.target).digest)
        return State(self.what, self.mode)


class Cut(NamedTuple):
    """A stretch of the output that went to one stream."""

    stream: int
    length: int


class Trace(NamedTuple):
    """A run as a value: equal runs in equal surroundings have equal traces."""

    command: tuple[bytes, ...]
    root: bytes  # the project folder, for people; paths do not depend on it
    surroundings: Surroundings
    inputs: tuple[Input, ...]
    targets: Mapping[bytes, bytes]  # of the links among the inputs, for people
    outputs: tuple[Output, ...]
    exit_code: int
    printed: Cid | None  # standard output and error in the order they came
    cuts: tuple[Cut, ...]
    stdin_moved: int = 0  # how many bytes further a file that was standard input then stood
    network: Cid | None = None  # what it asked for over the network, and was answered

    def node(self) -> dict[str, NodeLike]:
        """The trace as the store keeps it."""
        inputs = sorted(self.inputs)
        network: dict[str, NodeLike] = {} if self.network is None else {"network": self.network}
        return network | {
            "command": list(self.command),
            "cuts": [list(cut) for cut in self.cuts],
            "exit": self.exit_code,
            "inputs": {
                "names": [
                    Cid(Codec.RAW, row.state.digest)
                    for row in inputs
                    if row.state.what == What.NAMES
                ],
                "paths": b"\0".join(row.path for row in inputs),
                "rows": b"".join(_pack_row(row) for row in inputs),
                "targets": [[path, self.targets[path]] for path in sorted(self.targets)],
            },
            "outputs": [_output_node(output) for output in sorted(self.outputs)],
            "printed": self.printed,
            "root": self.root,
            "stdin_moved": self.stdin_moved,
            "surroundings": self.surroundings.node(),
            "type": "trace",
            "v": WITH_NETWORK if network else VERSION,
        }

    @classmethod
    def from_node(cls, node: Node) -> Self:
        """The trace in a node. Raises MalformedNodeError for any other node."""
        try:
            return cls._from_node(cast("dict[str, Node]", node))
        except (KeyError, TypeError, ValueError, struct.error, AssertionError) as error:
            raise MalformedNodeError(
                f"a node that should be a trace of version {VERSION} is not one ({error!r}); "
                "run the command again with --no-reuse"
            ) from error

    @classmethod
    def _from_node(cls, node: dict[str, Node]) -> Self:
        version = WITH_NETWORK if "network" in node else VERSION
        if node["type"] != "trace" or node["v"] != version:
            raise ValueError("another type or version")
        inputs = cast("dict[str, object]", node["inputs"])
        outputs = cast("list[dict[str, object]]", node["outputs"])
        return cls(
            command=tuple(cast("list[bytes]", node["command"])),
            root=cast("bytes", node["root"]),
            surroundings=Surroundings.from_node(cast("dict[str, Node]", node["surroundings"])),
            inputs=_unpack_rows(cast("bytes", inputs["paths"]), cast("bytes", inputs["rows"])),
            targets={pair[0]: pair[1] for pair in cast("list[list[bytes]]", inputs["targets"])},
            outputs=tuple(_output_of(output) for output in outputs),
            exit_code=cast("int", node["exit"]),
            printed=cast("Cid | None", node["printed"]),
            cuts=tuple(Cut(*cut) for cut in cast("list[list[int]]", node["cuts"])),
            stdin_moved=cast("int", node["stdin_moved"]),
            network=cast("Cid | None", node.get("network")),
        )


def _pack_row(row: Input) -> bytes:
    state = row.state
    return _ROW.pack(state.what, _PRODUCT if row.product else 0, state.mode, state.digest)


def _unpack_rows(paths: bytes, rows: bytes) -> tuple[Input, ...]:
    names = paths.split(b"\0") if rows else []
    if len(names) * _ROW.size != len(rows):
        raise ValueError("rows and paths do not agree")
    # Plain ints stand for What here: building the enum members would cost most of a look-up.
    return tuple(
        Input(name, State(what, mode, digest), bool(flags))
        for name, (what, flags, mode, digest) in zip(names, _ROW.iter_unpack(rows), strict=True)
    )


def _output_node(output: Output) -> dict[str, NodeLike]:
    return {
        "cid": output.cid,
        "link_to": output.link_to,
        "mode": output.mode,
        "mtime_ns": output.mtime_ns,
        "path": output.path,
        "rank": output.rank,
        "size": output.size,
        "target": output.target,
        "touched": output.touched,
        "what": int(output.what),
    }


def _output_of(node: dict[str, object]) -> Output:
    return Output(
        path=cast("bytes", node["path"]),
        what=What(cast("int", node["what"])),
        mode=cast("int", node["mode"]),
        cid=cast("Cid | None", node["cid"]),
        size=cast("int", node["size"]),
        target=cast("bytes | None", node["target"]),
        link_to=cast("bytes | None", node["link_to"]),
        rank=cast("int", node["rank"]),
        mtime_ns=cast("int | None", node["mtime_ns"]),
        touched=cast("bool", node["touched"]),
    )
