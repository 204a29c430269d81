"""The host: kernels compiled, bounded, called; the one door to the WebAssembly engine.

`Host` is loaded when it is first asked for, because worker processes import this package, too, and
must not wait for what only the host itself needs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring0.host.machine import Host, Prepared

__all__ = ["Host", "Prepared"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ring0.host' has no attribute '{name}'")
    from ring0.host import machine  # noqa: PLC0415 - see above

    return getattr(machine, name)
