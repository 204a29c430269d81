"""The machine as genes use it: the shipped kernels, a host for them, and an executor."""

import atexit
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cid_store.cid import Cid
from ring0.execution import Executor
from ring0.host import Host
from ring0.host.freed import keep_freed_memory
from ring0.kernel import Kernel
from ring0.manifest import Manifest
from ring2_orchestrator.caches import cache_folder
from ring2_orchestrator.container import MissingKernelError
from ring2_orchestrator.encoders import EncodingCaller
from ring2_orchestrator.gene import Palette
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.nesting import inside_recording


@dataclass(frozen=True)
class Toolbox:
    """Kernels and what runs them."""

    kernels: KernelSet
    host: Host

    @cached_property
    def executor(self) -> Executor:
        """An executor without a memo; `with_limits` gives it one."""
        return Executor(self.host, self.kernel)

    @cached_property
    def packer(self) -> Executor:
        """An executor for packing: where a better encoder than a kernel's own is, it is used."""
        return Executor(EncodingCaller(self.host, self.kernels), self.kernel)

    @cached_property
    def sketcher(self) -> Executor:
        """An executor for comparing plans on samples: sizes in a fraction of the packer's time."""
        return Executor(EncodingCaller(self.host, self.kernels, sketching=True), self.kernel)

    @cached_property
    def palette(self) -> Palette:
        """The kernels by the names genes use. A shipped one keeps its name."""
        shipped = {kernel.name: kernel for kernel in self.kernels}
        return {kernel.name: kernel for kernel in self.kernels.brought} | shipped

    @cached_property
    def manifests(self) -> dict[Cid, Manifest]:
        """The kernels' manifests by CID, as a plan is printed with."""
        every = (*self.kernels, *self.kernels.brought)
        return {kernel.cid: kernel.manifest for kernel in every}

    def finding(self, kernels: KernelSet) -> "Toolbox":
        """The same host with these kernels. Those it was not made with run in a process apart."""
        return self if kernels is self.kernels else Toolbox(kernels, self.host)

    def kernel(self, cid: Cid) -> Kernel:
        """The kernel of that name. Raises MissingKernelError."""
        kernel = self.kernels.by_cid(cid)
        if kernel is None:
            raise MissingKernelError(f"this installation has no kernel {cid}")
        return kernel


@contextmanager
def open_toolbox(*, own_process: bool = False) -> Generator[Toolbox]:
    """The shipped kernels on a host of their own, which ends with the block.

    `own_process` is for a program that does nothing else: freed memory stays the process's own.
    """
    kernels = KernelSet.shipped()
    if own_process:
        keep_freed_memory()
    with Host(base=kernels.cids, cache=_code_folder()) as host:
        yield Toolbox(kernels, host)


_shared: dict[int, Toolbox] = {}
_sharing = threading.Lock()


def shared_toolbox() -> Toolbox:
    """The one toolbox of this process, opened when it is first asked for and closed at its end.

    For functions that a program calls without a place to keep one, from any thread.
    """
    process = os.getpid()  # a host does not outlive a fork
    with _sharing:
        if process not in _shared:
            opened = open_toolbox()
            _shared[process] = opened.__enter__()
            atexit.register(opened.__exit__, None, None, None)
        return _shared[process]


def _code_folder() -> Path | None:
    # A recorded script that packs would else have the cache's files as inputs and outputs.
    if inside_recording():
        return None
    try:
        return cache_folder() / "kernels"
    except RuntimeError:  # a user without a home folder has no cache either
        return None
