"""Rebuilding demoted objects: decode their container, or execute their frame once more.

Importing this loads neither numpy nor the engine; the first object that is read does.
"""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cid_store.cid import Cid
from cid_store.errors import DamageError
from cid_store.nodes import get_node
from cid_store.rebuilding import spool
from cid_store.store import Store
from cid_store.tiers import parse_recipe
from ring2_orchestrator.tiers.recipe import FromContainer, FromFrame, way_of

if TYPE_CHECKING:
    from cid_store.tiers import Writable
    from ring2_orchestrator.container import FileSource
    from ring2_orchestrator.toolbox import Toolbox

_SPOOL_BYTES = 8 * 1024 * 1024  # what is smaller never touches the disk


class Rebuilder:
    """Writes the bytes that a recipe makes. It does not hash them: the store does.

    `tools` is asked for the kernels when there is something to rebuild. Both must be safe to call
    from any thread; then this is.
    """

    def __init__(self, store: Store, tools: "Callable[[], Toolbox]") -> None:
        self._store = store
        self._tools = tools

    def __call__(self, cid: Cid, recipe: Cid, out: "Writable") -> None:
        """Write the object. Raises DamageError, UnavailableError or InputError."""
        way = way_of(parse_recipe(self._store.get(recipe)))
        if isinstance(way, FromContainer):
            self._decode(cid, way, out)
        else:
            self._execute(way, out)

    def _decode(self, cid: Cid, way: FromContainer, out: "Writable") -> None:
        from ring2_orchestrator.container import Container  # noqa: PLC0415 - see above
        from ring2_orchestrator.tiers.frames import with_stored  # noqa: PLC0415

        tools = with_stored(self._tools(), self._store, way.kernels)
        with spooled_object(self._store, way.container, f"the container of {cid}") as source:
            for chunk in Container(source, tools.kernels).chunks(tools.executor):
                out.write(chunk)

    def _execute(self, way: FromFrame, out: "Writable") -> None:
        from ring0.frame import Frame  # noqa: PLC0415 - see above
        from ring2_orchestrator.tiers.frames import execute  # noqa: PLC0415

        frame = Frame.from_node(get_node(self._store, way.frame))
        outputs = execute(frame, self._store, self._tools())
        if way.output >= len(outputs):
            raise DamageError(
                f"frame {way.frame} gives {len(outputs)} outputs, and number {way.output} is wanted"
            )
        out.write(outputs[way.output])


@contextmanager
def spooled_object(store: Store, cid: Cid, name: str) -> "Generator[FileSource]":
    """An object's bytes, checked once, where they can be read at any place.

    Raises UnavailableError where the folder for temporary files is full.
    """
    from ring2_orchestrator.container import FileSource  # noqa: PLC0415 - see above

    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as file:
        for part in store.get_stream(cid):
            spool(file, part)
        yield FileSource(file, name)
