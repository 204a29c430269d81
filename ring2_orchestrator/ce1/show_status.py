"""The status for people: what happened, the state, how good forecasts were, what the home holds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.ce1.outlook import Mood, Outlook
from ring2_orchestrator.ce1.show import counts, doubts, percent, row, saved
from ring2_orchestrator.ce1.standing import LEVEL, Coverage, Question, Standing
from ring2_orchestrator.report import seconds_text, size_text

Line = tuple[tuple[str, str | None], ...]

_BAR = 30  # letters of a certainty
_COLOURS = {"reused": "good", "ran": None, "failed": "bad", "drifted": "doubtful"}
_NAMES = {"must_rerun": "must rerun", "failure": "fails", "drift": "drifts"}
_COSTS = {"cpu_s": "CPU time", "wall_s": "wall time", "max_rss_bytes": "memory"}


class Table(NamedTuple):
    """Rows under headings."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def parts(mood: Mood, standing: Standing, facts: Mapping[str, object]) -> Iterator[Line | Table]:
    """The view, line by line and table by table."""
    totals, history = mood.history.totals, mood.history
    yield from _rows("runs", counts(history))
    spent = f"spent {seconds_text(history.spent_s)}, {saved(history.saved_s)}"
    if totals.lost_s:
        spent += f" (gained {seconds_text(totals.gained_s)}, lost {seconds_text(totals.lost_s)})"
    yield from _rows("seconds", spent)
    yield from _rows("confidence", f"{mood.confidence:.3f}, energy {mood.energy:.3f}")
    if isinstance(mood, Outlook):
        chosen = mood.plan.action
        yield from _rows("action", f"{chosen.name} {chosen.title}: {chosen.rationale}")
    yield ()
    yield from _state(mood)
    yield from _forecasts(standing)
    yield ()
    yield from _home(facts)
    for line in doubts(mood):
        yield ((line, "doubtful"),)


def _state(mood: Mood) -> Iterator[Line]:
    angles = mood.angles
    yield (
        ("state", "head"),
        (
            f"       theta {angles.theta:.4f}, phi {angles.phi:.4f}, psi {angles.psi:.4f} on S³",
            None,
        ),
    )
    for outcome in Outcome:
        share = mood.belief.at(outcome)
        bar = "█" * round(_BAR * share)
        colour = _COLOURS[outcome.value]
        yield ((f"  {outcome.value:<9} {percent(share):>8}  ", None), (bar, colour))


def _forecasts(standing: Standing) -> Iterator[Line | Table]:
    asked = {name: found for name, found in standing.questions.items() if found.forecasts}
    if not asked:
        yield ()
        yield from _rows("forecasts", "none was put to the test yet: no command ran twice")
        return
    yield ()
    yield (("log loss", "head"), (" of each forecast so far, in nats: less is better", "dim"))
    yield _losses(asked)
    fails = standing.questions["failure"]
    if fails.reliability:
        yield ()
        yield (("reliability", "head"), (' of "fails"', "dim"))
        yield _reliability(fails)
    given = {name: found for name, found in standing.coverage.items() if found.intervals}
    if given:
        yield ()
        yield (("coverage", "head"), (f" of intervals meant to hold {percent(LEVEL)}", "dim"))
        yield _coverage(given)


def _losses(asked: Mapping[str, Question]) -> Table:
    rules = list(dict.fromkeys(name for found in asked.values() for name in found.baselines))
    rows: list[list[object]] = [
        ["forecasts", *(found.forecasts for found in asked.values())],
        ["CE1", *(_fixed(found.ce1) for found in asked.values())],
    ]
    for rule in rules:
        spelled: list[object] = []
        for found in asked.values():
            best = " best" if rule == found.best else ""
            spelled.append(_fixed(found.baselines.get(rule)) + best)
        rows.append([rule.replace("_", " "), *spelled])
    return Table(("rule", *(_NAMES[name] for name in asked)), rows)


def _reliability(question: Question) -> Table:
    return Table(
        ("forecast", "forecasts", "mean", "came true"),
        [
            [
                f"{tenth.begin:.0%} to {tenth.end:.0%}",
                tenth.forecasts,
                percent(tenth.expected),
                percent(tenth.happened),
            ]
            for tenth in question.reliability
        ],
    )


def _coverage(given: Mapping[str, Coverage]) -> Table:
    return Table(
        ("cost", "intervals", "held", "share"),
        [
            [_COSTS[name], found.intervals, found.held, percent(found.share or 0.0)]
            for name, found in given.items()
        ],
    )


def _home(facts: Mapping[str, object]) -> Iterator[Line | Table]:
    head = cast("Mapping[str, object]", facts["ledger"])
    entries = head["size"]
    yield from _rows(
        "ledger", f"{entries} {'entry' if entries == 1 else 'entries'}, {head['origin']}"
    )
    yield from _rows("root hash", str(head["root_hash"]))
    tiers = cast("Mapping[str, Mapping[str, float]] | None", facts["store"])
    if tiers is None:
        yield from _rows("store", "cannot be read; `redoxa store verify` says why")
        return
    for name, account in tiers.items():
        objects = int(account["objects"])
        if objects or name == next(iter(tiers)):
            things = "object" if objects == 1 else "objects"
            sizes = f"{size_text(int(account['object_bytes']))} when read"
            kept = f"{size_text(int(account['stored_bytes']))} kept"
            yield from _rows(name, f"{objects:,} {things}, {sizes}, {kept}")


def _rows(label: str, text: str) -> Iterator[Line]:
    for line in row(label, text):
        yield ((line[: len(label)], "head"), (line[len(label) :], None))


def _fixed(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.4f}"
