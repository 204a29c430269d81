"""One kernel in several engines: the same calls, and whether the same bytes come back.

`compare` asks every engine that is installed and names those that are not. They share nothing but
the module: wasmtime compiled in four ways, V8's two compilers in Node, and the kernel as C made by
wasm2c and compiled by a C compiler.
"""

from ring2_orchestrator.engines.batch import EngineCall
from ring2_orchestrator.engines.comparison import Comparison, Difference, Finding, compare
from ring2_orchestrator.engines.known import ENGINES, Engine

__all__ = ["ENGINES", "Comparison", "Difference", "Engine", "EngineCall", "Finding", "compare"]
