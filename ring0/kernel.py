"""A kernel: the bytes of one core module, named by their CID, with the manifest they carry."""

from dataclasses import dataclass

from cid_store.cid import Cid
from ring0.errors import KernelError
from ring0.manifest import SECTION, Manifest, parse_manifest
from ring0.module import ModuleInfo, inspect


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """An inspected module. Two kernels are the same when their CIDs are."""

    cid: Cid
    wasm: bytes
    manifest: Manifest
    info: ModuleInfo

    @classmethod
    def from_wasm(cls, wasm: bytes) -> "Kernel":
        """The kernel these bytes are. Raises RefusedModuleError or ManifestError."""
        wasm = bytes(wasm)
        cid = Cid.of(wasm)
        try:
            info = inspect(wasm)
            return cls(cid, wasm, parse_manifest(info.custom(SECTION)), info)
        except KernelError as error:
            error.module = cid
            raise

    @property
    def name(self) -> str:
        """The name in the manifest; for people, never an identity."""
        return self.manifest.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and self.cid == other.cid

    def __hash__(self) -> int:
        return hash(self.cid)
