"""What the open batches of a thread hold back, for every store alike."""

import math
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from cid_store.cid import Cid, Codec

Payload = bytes | memoryview
Keep = Callable[[dict[Cid, Payload], dict[str, Cid | None]], None]


class Layer:
    """Objects and roots that one batch has not passed on yet."""

    def __init__(self) -> None:
        self.objects: dict[Cid, Payload] = {}
        self.roots: dict[str, Cid | None] = {}
        self.size_bytes = 0

    def add(self, cid: Cid, payload: Payload) -> None:
        """Hold an object back."""
        if cid not in self.objects:
            self.objects[cid] = payload
            self.size_bytes += len(payload)

    def drain(self) -> dict[Cid, Payload]:
        """Give up the objects held back so far."""
        objects, self.objects, self.size_bytes = self.objects, {}, 0
        return objects


class Batches(threading.local):
    """The open batches of the thread that asks, the innermost last."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []

    @property
    def innermost(self) -> Layer | None:
        """The batch that takes what is put now; None outside of any."""
        return self._layers[-1] if self._layers else None

    @contextmanager
    def opened(self, layer: Layer) -> Generator[None]:
        """Let `layer` take what is put inside the block; an error passes nothing on.

        A batch inside a batch passes what it holds to the outer one.
        """
        self._layers.append(layer)
        try:
            yield
        finally:
            self._layers.pop()
        outer = self.innermost
        if outer is not None:
            for cid, payload in layer.drain().items():
                outer.add(cid, payload)
            outer.roots.update(layer.roots)

    def put(
        self, payload: Payload, codec: Codec, keep: Keep, *, most_bytes: float = math.inf
    ) -> Cid:
        """Name the bytes and hold them back; `keep` gets them where no batch is open.

        What a batch of more than `most_bytes` holds goes to `keep` early.
        """
        cid = Cid.of(payload, codec)
        layers = self._layers
        if not layers:
            keep({cid: payload}, {})
            return cid
        layer = layers[-1]
        layer.add(cid, payload)
        if layer.size_bytes > most_bytes:
            # Objects without a root are at worst unused.
            keep(layer.drain(), {})
        return cid

    def object(self, cid: Cid) -> Payload | None:
        """The bytes of an object that is held back."""
        for layer in reversed(self._layers):
            if cid in layer.objects:
                return layer.objects[cid]
        return None

    def roots(self) -> dict[str, Cid | None]:
        """The names that are to be bound or, with None, unbound."""
        return {name: cid for layer in self._layers for name, cid in layer.roots.items()}
