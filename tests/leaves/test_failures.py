"""Whatever fails, or is killed, while leaves are kept: none answers falsely, and no run suffers."""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from ring2_orchestrator.ledger import Ledger
from ring2_orchestrator.runs.leaves import harvest
from ring2_orchestrator.runs.memo import Memo
from tests.leaves.conftest import Works


class Killed(BaseException):
    """Nothing catches it."""


STEPS: dict[str, tuple[object, str, int]] = {
    "looking at the first leaf": (harvest, "observe", 1),
    "looking at the second leaf": (harvest, "observe", 2),
    "storing the run": (Memo, "put", 1),
    "storing the first leaf": (Memo, "put", 2),
    "storing the second leaf": (Memo, "put", 3),
    "publishing the run": (Memo, "publish", 1),
    "publishing the first leaf": (Memo, "publish", 2),
    "publishing the second leaf": (Memo, "publish", 3),
    "leaving a shortcut": (harvest, "foresee_reuse", 1),
    "entering the leaves": (Ledger, "append_all", 1),
}


def failing_at(
    real: Callable[..., object], call: int, error: BaseException, *, late: bool
) -> object:
    """The call of that number fails: before it does anything, or `late`, when all is done."""
    calls = count(1)

    def act(*args: object, **options: object) -> object:
        if next(calls) != call:
            return real(*args, **options)
        if late:
            real(*args, **options)
        raise error

    return act


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Killed()], ids=type)
@pytest.mark.parametrize("step", STEPS)
def test_no_leaf_answers_falsely(
    works: Works, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, *, late: bool
) -> None:
    owner, name, number = STEPS[step]
    line = "gcc -c two.c -Ilate && gcc -c three.c && echo done"
    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(owner, name, failing_at(getattr(owner, name), number, error, late=late))
        assert works.sh(line).exit_code == 0
    for text in ("int three(void) { return 1; }\n", "int three(void) { return 7; }\n"):
        works.write("three.c", text)
        works.clean()
        assert works.sh(f"{line} # again").exit_code == 0
        mine = (works.project / "three.o").read_bytes()
        plain = ["gcc", "-c", "three.c"]
        subprocess.run(plain, cwd=works.project, env=works.env, check=True)
        assert (works.project / "three.o").read_bytes() == mine
    works.news()
    for number in range(5):  # what was written a moment ago is not trusted by its time
        works.clean()
        assert works.sh(f"{line} # {number}").exit_code == 0
        if works.counts() == {"reused": 2}:
            return
    pytest.fail("they are never answered again")
