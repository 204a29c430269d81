"""The environment that a command was given, without what Python added to its own."""

import os


def given_environment() -> dict[str, str]:
    """The variables a program started here would have if this were no Python (PEP 538).

    In the C locale Python sets LC_CTYPE before its first line; a plain run would not have it.
    """
    found = dict(os.environ)
    try:
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - pathlib loads for long
            given = file.read().split(b"\0")
    except OSError:
        return found
    coerced = found.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8")
    if coerced and not any(entry.startswith(b"LC_CTYPE=") for entry in given):
        del found["LC_CTYPE"]
    return found
