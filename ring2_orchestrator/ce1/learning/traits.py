"""What a regression looks at to tell whether a run will fail. All of it lies before the run."""

import math
from typing import NamedTuple

from ring2_orchestrator.ce1.learning.around import Shares
from ring2_orchestrator.ce1.learning.happening import Before
from ring2_orchestrator.ce1.learning.logistic import logit
from ring2_orchestrator.ce1.learning.subject import Subject

_WORTH = 1.0  # changes of a path that the command's own share of failures counts for
_LOOKED_AT = 64  # changed paths, of more

NAMES = (
    "level",
    "rule",
    "command",
    "breaks: size of change",
    "breaks: a small change",
    "breaks: its own script changed",
    "breaks: only its own script changed",
    "breaks: paths that broke it before",
    "breaks: how many inputs changed",
    "breaks: a path named like it changed",
    "breaks: others fail",
    "breaks: back to an older state",
    "breaks: passing for how long",
    "breaks: others broke in this round",
    "breaks: some other broke in this round",
    "breaks: nobody broke in this round",
    "stays: size of change",
    "stays: its own script changed",
    "stays: what broke it is changed again",
    "stays: paths that broke it before",
    "stays: others fail",
    "stays: back to an older state",
    "stays: failing for how long",
    "stays: others broke in this round",
    "stays: others stay broken in this round",
    "stays: others were mended in this round",
    "flaky: unchanged",
    "flaky: changed",
)
# The rule's own odds are believed at first; all else begins without effect.
MEAN = tuple(float(name == "rule") for name in NAMES)


class Scene(NamedTuple):
    """All that the traits are made of."""

    before: Before
    subject: Subject
    shares: Shares
    others: float  # the share of other commands that fail
    changed: float  # 1 or 0 where that is decided, else its probability
    rule: float  # the probability by "changed or not, together with failed last time"
    level: float  # the share of all runs that failed


def traits(scene: Scene) -> list[float]:
    """The traits, in the order of `NAMES`."""
    before, subject = scene.before, scene.subject
    shares = scene.shares
    failing = float(subject.failing)
    breaks, stays = scene.changed * (1 - failing), scene.changed * failing
    size = 0.0 if before.lines is None else math.log1p(before.lines) / 2 - 1
    own = float(before.own_changed)
    risk = _risk(before, subject)
    others = scene.others
    broke = float(shares.broke > 0)
    lasted = math.log1p(subject.streak)
    back = float(before.returned)
    return [
        1.0,
        logit(scene.rule),
        logit(subject.failure.probability) - logit(scene.level),
        *(
            breaks * value
            for value in (
                size,
                float(before.lines is not None and before.lines <= 2),
                own,
                own * (len(before.paths) <= 1),
                risk,
                math.log1p(len(before.paths)) - 1,
                float(_is_kin(before)),
                others,
                back,
                lasted / 2 - 1,
                shares.broke,
                broke,
                min(shares.others, 4) / 4 * (1 - broke),
            )
        ),
        *(
            stays * value
            for value in (
                size,
                own,
                float(not set(subject.begun_by).isdisjoint(before.paths)),
                risk,
                others,
                back,
                lasted - 1,
                shares.broke,
                shares.stayed,
                shares.mended,
            )
        ),
        (1 - scene.changed) * subject.flaky * 4,
        scene.changed * subject.flaky * 4,
    ]


def _risk(before: Before, subject: Subject) -> float:
    """How much likelier than usual failures began when the worst of these paths changed."""
    usual = min(max(subject.failure.probability, 0.01), 0.99)
    worst = None
    for path in before.paths[:_LOOKED_AT]:
        changes, begun = subject.touched.get(path, (0, 0))
        odds = logit(min(max((begun + _WORTH * usual) / (changes + _WORTH), 0.01), 0.99))
        worst = odds if worst is None else max(worst, odds)
    return 0.0 if worst is None else worst - logit(usual)


def _is_kin(before: Before) -> bool:
    """Whether something changed is named like it: `cli.py` and `test_cli.py`."""
    own = before.name.rpartition("/")[2]
    stem = own.partition(".")[0].removeprefix("test_").removesuffix("_test")
    return bool(stem) and any(
        path.rpartition("/")[2] != own and path.rpartition("/")[2].partition(".")[0] == stem
        for path in before.paths[:_LOOKED_AT]
    )
