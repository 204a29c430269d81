"""A frame: one executed step, (what, operation, parameters, inputs) -> (outputs, cost).

Frames name their inputs and outputs by CID, so frames whose outputs feed other frames' inputs form
a Merkle DAG: the StackDag. What a frame asked for is its request; equal requests have equal
outputs, which is why a frame can be looked up instead of executed.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

from cid_store.cid import Cid, Codec
from cid_store.encoding import Node, decode, encode
from cid_store.errors import InputError
from cid_store.nodes import put_node
from cid_store.store import Store

VERSION = 1


class MalformedFrameError(InputError):
    """A node that is not one frame."""


class Operation(enum.StrEnum):
    """Which way a kernel or plan was executed."""

    FORWARD = "forward"
    INVERSE = "inverse"


@dataclass(frozen=True, slots=True)
class Request:
    """What a frame asks for: a kernel or plan, the way it runs, its parameter bytes, its inputs."""

    what: Cid
    operation: Operation
    parameters: bytes
    inputs: tuple[Cid, ...]

    def to_node(self) -> Node:
        """The request as a node."""
        return {
            "what": self.what,
            "op": self.operation.value,
            "params": self.parameters,
            "inputs": list[Node](self.inputs),
        }

    @property
    def cid(self) -> Cid:
        """The name under which the answer is looked up."""
        return Cid.of(encode(self.to_node()), Codec.NODE)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a frame took. Time is left out: equal frames have equal nodes on every machine."""

    bytes_in: int
    bytes_out: int
    fuel: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A request with its answer. `parts` are the frames a plan's frame was made of."""

    request: Request
    outputs: tuple[Cid, ...]
    cost: Cost
    parts: tuple[Cid, ...] = ()

    def to_node(self) -> Node:
        """The frame as a node; docs/formats/frame.md describes it."""
        return {
            "v": VERSION,
            "request": self.request.to_node(),
            "outputs": list[Node](self.outputs),
            "cost": {
                "in": self.cost.bytes_in,
                "out": self.cost.bytes_out,
                "fuel": self.cost.fuel,
            },
            "parts": list[Node](self.parts),
        }

    @property
    def cid(self) -> Cid:
        """The frame's identity."""
        return Cid.of(encode(self.to_node()), Codec.NODE)

    def keep(self, store: Store) -> Cid:
        """Put the frame's node in a store and name it after its request."""
        cid = put_node(store, self.to_node())
        store.set_root(root_name(self.request), cid)
        return cid

    @classmethod
    def from_node(cls, node: Node) -> "Frame":
        """The frame of this node. Raises MalformedFrameError."""
        match node:
            case {
                "v": 1,
                "request": request,
                "outputs": list(outputs),
                "cost": {"in": int(taken), "out": int(given), "fuel": int() | None as fuel},
                "parts": list(parts),
            } if len(node) == 5:
                return cls(
                    _request(request), _cids(outputs), Cost(taken, given, fuel), _cids(parts)
                )
            case _:
                raise MalformedFrameError(f"not a frame of version {VERSION}")


def root_name(request: Request) -> str:
    """The root under which a store keeps the frame that answers a request."""
    return f"frame/{request.cid}"


@dataclass(frozen=True, slots=True)
class StackDag:
    """The frames reachable from one frame, read from a store and checked as they are read."""

    store: Store
    root: Cid

    def frame(self, cid: Cid) -> Frame:
        """One frame of the DAG."""
        return Frame.from_node(decode(self.store.get(cid)))

    def frames(self) -> Iterator[tuple[Cid, Frame]]:
        """Every frame once, each after the frame it is a part of."""
        seen = {self.root}
        waiting = [self.root]
        while waiting:
            cid = waiting.pop()
            frame = self.frame(cid)
            yield cid, frame
            fresh = [part for part in reversed(frame.parts) if part not in seen]
            seen.update(fresh)
            waiting += fresh

    def maker(self, output: Cid) -> Frame | None:
        """The innermost frame of the DAG that made these bytes, or None."""
        found = None
        for _, frame in self.frames():
            if output in frame.outputs and (found is None or not frame.parts):
                found = frame
        return found


def _request(node: Node) -> Request:
    match node:
        case {
            "what": Cid() as what,
            "op": "forward" | "inverse" as operation,
            "params": bytes(parameters),
            "inputs": list(inputs),
        } if len(node) == 4:
            return Request(what, Operation(operation), parameters, _cids(inputs))
        case _:
            raise MalformedFrameError("a request is what, op, params and inputs")


def _cids(nodes: list[Node]) -> tuple[Cid, ...]:
    cids = tuple(node for node in nodes if isinstance(node, Cid))
    if len(cids) != len(nodes):
        raise MalformedFrameError("a frame names its inputs, outputs and parts by CID")
    return cids
