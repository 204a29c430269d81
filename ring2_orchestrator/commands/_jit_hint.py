"""`redoxa jit hint`: what is decided, what is to be expected, what to do."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ring2_orchestrator.ce1 import answer, show
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._jit_outlook import outlook_of
from ring2_orchestrator.report import Report
from ring2_orchestrator.runs.ask import question
from ring2_orchestrator.shortcuts.hint import Moment

if TYPE_CHECKING:
    from ring2_orchestrator.home import Home


def hint(command: Sequence[str], home: "Home", context: Context) -> int:
    """Say it, and keep it for `redoxa-run` where it may be said again; 0."""

    def now() -> tuple[Moment | None, str]:
        return Moment.of(home.path, command, Path.cwd()), question(json=context.report.json)

    before = now()
    outlook = outlook_of(command, home)
    data, lines = answer.hint(outlook), list(show.hint(outlook))
    said = io.StringIO()
    for report in (context.report, Report(json=context.report.json, out=said)):
        report.data(data)
        for line in lines:
            report.line(line)
    moment, asked = before
    trace = outlook.decided.trace
    certain = outlook.decided.reuse and not outlook.doubts
    if certain and trace is not None and moment is not None and before == now():
        moment.keep(said.getvalue(), asked, trace)
    return 0
