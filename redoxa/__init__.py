"""Redoxa's public face: what `import redoxa` offers is what the README uses."""

TYPE_CHECKING = False  # as `typing` has it, which a reused run would load for nothing else

if TYPE_CHECKING:
    from cid_store.cid import Cid
    from cid_store.errors import DamageError, InputError, RedoxaError, UnavailableError, UsageError
    from cid_store.tiers import Tier
    from ring0.frame import Frame
    from ring0.plan import Plan
    from ring2_orchestrator.arrays import pack_array, unpack_array
    from ring2_orchestrator.gene import Gene
    from ring2_orchestrator.machine import VM
    from ring2_orchestrator.probe import Probe, Realm

__all__ = [
    "VM",
    "Cid",
    "DamageError",
    "Frame",
    "Gene",
    "InputError",
    "Plan",
    "Probe",
    "Realm",
    "RedoxaError",
    "Tier",
    "UnavailableError",
    "UsageError",
    "pack_array",
    "unpack_array",
]

_HOMES = {
    "VM": "ring2_orchestrator.machine",
    "Cid": "cid_store.cid",
    "Tier": "cid_store.tiers",
    "Frame": "ring0.frame",
    "Gene": "ring2_orchestrator.gene",
    "pack_array": "ring2_orchestrator.arrays",
    "unpack_array": "ring2_orchestrator.arrays",
    "Plan": "ring0.plan",
    "Probe": "ring2_orchestrator.probe",
    "Realm": "ring2_orchestrator.probe",
}


def __getattr__(name: str) -> object:
    # Loaded when first used: `redoxa run` must not pay for numpy and the WebAssembly engine.
    if name not in __all__:
        raise AttributeError(f"module 'redoxa' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    value = getattr(import_module(_HOMES.get(name, "cid_store.errors")), name)
    globals()[name] = value
    return value
