"""The kernels that ship with Redoxa: found by their folders, read when they are first asked for."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Self

from cid_store.cid import Cid
from cid_store.errors import DamageError, InputError
from ring0.kernel import Kernel

MOST_PERCENT = 1600


class UnknownKernelError(InputError):
    """No kernel has that name."""


class IncompleteKernelError(DamageError):
    """A kernel folder without its module: the installation is not whole."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where one kernel lies: `kernel.toml`, `spec.md`, source, module and vectors."""

    name: str
    path: Traversable

    def wasm(self) -> bytes:
        """The committed module. Raises IncompleteKernelError."""
        try:
            return (self.path / f"{self.name}.wasm").read_bytes()
        except OSError as error:
            raise IncompleteKernelError(
                f"the kernel folder {self.path} has no readable {self.name}.wasm; "
                "install Redoxa again, or build it with `redoxa kernel rebuild`"
            ) from error

    def fuel_percent(self) -> int:
        """What 100 units of its fuel count in the effort of a plan, as `kernel.toml` says."""
        return take_fuel_percent(self._table())

    def is_searched(self) -> bool:
        """Whether a search for plans may try it, as `kernel.toml` says."""
        return take_searched(self._table())

    def _table(self) -> dict[str, object]:
        import tomllib  # noqa: PLC0415 - start-up

        try:
            return tomllib.loads((self.path / "kernel.toml").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise IncompleteKernelError(
                f"the kernel folder {self.path} has no readable kernel.toml; install Redoxa again"
            ) from error


def take_fuel_percent(table: dict[str, object]) -> int:
    """Take the key off a kernel.toml that is not in the manifest: 100 where it is not given.

    Raises InputError where it is out of range.
    """
    percent = table.pop("fuel_percent", 100)
    if type(percent) is not int or not 100 <= percent <= MOST_PERCENT:
        raise InputError(f"fuel_percent in a kernel.toml is a number from 100 to {MOST_PERCENT}")
    return percent


def take_searched(table: dict[str, object]) -> bool:
    """Take the other key off that is not in the manifest: true where it is not given.

    Raises InputError where it is neither true nor false.
    """
    searched = table.pop("searched", True)
    if type(searched) is not bool:
        raise InputError("searched in a kernel.toml is true or false")
    return searched


class KernelSet:
    """Kernels by name and by CID. A kernel's module is read and inspected when it is first used."""

    def __init__(self, folders: Iterable[Folder]) -> None:
        self._folders = {folder.name: folder for folder in sorted(folders, key=lambda f: f.name)}
        self._kernels: dict[str, Kernel] = {}
        self._others: dict[Cid, Kernel] = {}
        self._prefixed: dict[bytes, tuple[Cid, ...]] = {}
        self._percents: dict[Cid, int] = {}
        self._searched: dict[Cid, bool] = {}

    @classmethod
    def shipped(cls) -> Self:
        """The kernels of this installation: every folder of `ring1_kernels` with a kernel.toml."""
        return cls(_shipped_folders())

    @property
    def names(self) -> tuple[str, ...]:
        """The names, sorted."""
        return (*self._folders,)

    def by_name(self, name: str) -> Kernel:
        """The kernel in the folder of that name. Raises UnknownKernelError."""
        if name not in self._folders:
            close = difflib.get_close_matches(name, self._folders, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else f"; there are {_list(self.names)}"
            raise UnknownKernelError(f"no kernel named '{name}'{hint}")
        if name not in self._kernels:
            self._kernels[name] = Kernel.from_wasm(self._folders[name].wasm())
        return self._kernels[name]

    def by_cid(self, cid: Cid) -> Kernel | None:
        """The kernel whose module has that CID, or None."""
        name = self._names_by_cid.get(cid)
        return self._others.get(cid) if name is None else self.by_name(name)

    def fuel_percent(self, cid: Cid) -> int:
        """What 100 units of a kernel's fuel count in the effort of a plan."""
        if cid not in self._percents:
            name = self._names_by_cid.get(cid)
            self._percents[cid] = 100 if name is None else self._folders[name].fuel_percent()
        return self._percents[cid]

    def is_searched(self, cid: Cid) -> bool:
        """Whether a search for plans may try a kernel. Others stand where a front end puts them."""
        if cid not in self._searched:
            name = self._names_by_cid.get(cid)
            self._searched[cid] = name is None or self._folders[name].is_searched()
        return self._searched[cid]

    def with_prefix(self, prefix: bytes) -> tuple[Cid, ...]:
        """The kernels whose digests begin so: those in folders, or, where there is none, others."""
        found = self._prefixed.get(prefix)
        if found is None:
            fitting = [cid for cid in self.cids if cid.digest.startswith(prefix)]
            shipped = [cid for cid in fitting if cid in self._names_by_cid]
            found = (*sorted(shipped or fitting),)
            # What none begins with is anyone's to make up, and is not remembered.
            if found:
                self._prefixed[prefix] = found
        return found

    def knowing(self, others: Iterable[Kernel]) -> "KernelSet":
        """The same kernels, and others that only their CIDs find: names mean what they meant."""
        wider = KernelSet(self._folders.values())
        wider._others = {**self._others, **{kernel.cid: kernel for kernel in others}}
        return wider

    @property
    def brought(self) -> tuple[Kernel, ...]:
        """The kernels beside those in folders."""
        return tuple(self._others[cid] for cid in sorted(self._others))

    def others(self, cids: Iterable[Cid]) -> tuple[Kernel, ...]:
        """Those of these kernels that only their CIDs find, so that others may lack them."""
        return tuple(self._others[cid] for cid in cids if cid in self._others)

    @cached_property
    def cids(self) -> frozenset[Cid]:
        """The CIDs of all modules. Those of the shipped set are what a host takes as its base."""
        return frozenset((*self._names_by_cid, *self._others))

    @cached_property
    def _names_by_cid(self) -> dict[Cid, str]:
        return {Cid.of(folder.wasm()): name for name, folder in self._folders.items()}

    def folder(self, name: str) -> Folder:
        """The folder of a kernel that is known."""
        return self._folders[name]

    def __iter__(self) -> Iterator[Kernel]:
        return (self.by_name(name) for name in self._folders)

    def __len__(self) -> int:
        return len(self._folders)

    def __contains__(self, name: object) -> bool:
        return name in self._folders


@cache
def _shipped_folders() -> tuple[Folder, ...]:
    root = resources.files("ring1_kernels")
    return tuple(
        Folder(entry.name, entry) for entry in root.iterdir() if (entry / "kernel.toml").is_file()
    )


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
