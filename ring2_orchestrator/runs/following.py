"""What makes a trace of a recording, loaded while the program runs: then it takes nobody's time."""


def load_what_follows() -> None:
    """Import what is needed when the program has ended."""
    # By statement: `python -X importtime` does not name what `import_module` loads.
    from ring2_orchestrator.runs import crates, observe, overlap  # noqa: PLC0415 - as said above

    del crates, observe, overlap
