"""Histories made from words, so that a test reads like a story."""

from collections.abc import Callable

import pytest

from ring2_orchestrator.ce1.history import History, PastRun
from ring2_orchestrator.ce1.outcome import Outcome

MakeHistory = Callable[..., History]


@pytest.fixture
def history() -> MakeHistory:
    """`history("ran reused failed", wall_s=2)`: those outcomes, oldest first."""

    def make(words: str, *, wall_s: float = 2.0) -> History:
        runs = [
            PastRun(
                seq=number,
                subject="s",
                outcome=Outcome(word),
                exit_code=1 if word == "failed" else 0,
                wall_s=0.1 if word == "reused" else wall_s,
                cpu_s=None if word == "reused" else wall_s / 2,
                max_rss_bytes=None if word == "reused" else 1e6,
                saved_s=wall_s - 0.1 if word == "reused" else 0.0,
            )
            for number, word in enumerate(words.split())
        ]
        return History(tuple(runs))

    return make
