"""Kernels that a person added: kept in the store, each under the root `kernel/NAME`.

They are known by name to those who ask for them, and by CID to whatever was made with them. Genes
do not see their names: a container has to unpack on machines where nobody added anything.
"""

from collections.abc import Iterator

from cid_store.cid import Cid
from cid_store.errors import DamageError, InputError
from cid_store.store import Store
from ring0.errors import KernelError
from ring0.kernel import Kernel
from ring2_orchestrator.kernels import KernelSet

PREFIX = "kernel/"


class NameTakenError(InputError):
    """A kernel that ships with Redoxa has the name."""


def add(store: Store, kernel: Kernel) -> Cid | None:
    """Keep the kernel under its name; the one that had the name before, if it was another.

    Whoever calls has examined it. Raises NameTakenError.
    """
    if kernel.name in KernelSet.shipped():
        raise NameTakenError(
            f"'{kernel.name}' is a kernel that ships with Redoxa; give yours another name in "
            "kernel.toml and build it again"
        )
    before = store.root(PREFIX + kernel.name)
    store.set_root(PREFIX + kernel.name, store.put(kernel.wasm))
    return None if before == kernel.cid else before


def added(store: Store) -> Iterator[Kernel]:
    """Every kernel that was added, by name. Raises DamageError where one is not there any more."""
    for name, cid in sorted(store.roots(PREFIX)):
        yield _kernel(store, name, cid)


def _kernel(store: Store, name: str, cid: Cid) -> Kernel:
    try:
        return Kernel.from_wasm(bytes(store.get(cid)))
    except KernelError as error:
        raise DamageError(f"the root {name} names {cid}, which is no kernel: {error}") from error
