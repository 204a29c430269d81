"""What makes a trace of a recording, loaded while the program runs: then it takes nobody's time."""

from importlib import import_module

_NAMES = ("crates", "observe", "overlap")


def load_what_follows() -> None:
    """Import what is needed when the program has ended."""
    for name in _NAMES:
        import_module(f"ring2_orchestrator.runs.{name}")
