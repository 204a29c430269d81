"""What is said where no test file can be skipped."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


class Aside:
    """Stands where the controller would, and says why the session is an ordinary one."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """One line, at the end, where it is read."""
        terminalreporter.write_line(f"redoxa: no test file was skipped, as {self._reason}")
