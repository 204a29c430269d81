"""The same answers for people: a few aligned lines, each figure with what stands behind it."""

import shlex
import textwrap
from collections.abc import Callable, Iterator

from ring2_orchestrator.ce1.cycle import Cycle
from ring2_orchestrator.ce1.estimate import Estimate
from ring2_orchestrator.ce1.history import History
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.ce1.outlook import Decided, Mood, Outlook
from ring2_orchestrator.ce1.policy import Decision
from ring2_orchestrator.report import one_line, seconds_text, size_text

_SHOWN_CHANGES = 5
_WEIGHTY = 0.1  # what a lesser weight says is not shown
_INDENT = 12
_WIDTH = 100


def hint(outlook: Outlook) -> Iterator[str]:
    """What is decided, what is estimated, what is advised."""
    yield shlex.join(outlook.command)
    yield ""
    yield from _decided(outlook.decided)
    yield ""
    yield from _estimates(outlook)
    yield ""
    yield from belief(outlook)
    yield from row("advice", f"{_named(outlook)}: {outlook.plan.action.rationale}")
    yield from doubts(outlook)


def plan(outlook: Outlook) -> Iterator[str]:
    """The action first, then its price and the alternatives."""
    chosen = outlook.plan
    yield shlex.join(outlook.command)
    yield ""
    yield from row("action", f"{_named(outlook)}: {chosen.action.rationale}")
    for name, value in chosen.action.parameters.items():
        yield from row("", f"{name} = {_value(value)}")
    yield from row("expected", f"{_seconds(chosen.action.expected_s)}; {_saving(outlook)}")
    for other in chosen.alternatives:
        yield from row(
            "instead of", f"{other.name} ({_seconds(other.expected_s)}): {other.why_not}"
        )
    yield from row("policy", policy_text(chosen.decision))
    yield from doubts(outlook)


def policy_text(decision: Decision) -> str:
    """The weights of all actions that are possible, by how much each is beaten, and the lot."""
    drawn = decision.drawn
    parts = [f"{drawn.action} has weight {drawn.weights[drawn.action]:.3g}"]
    for name, weight in drawn.weights.items():
        by = decision.beats_by(name)
        if name != drawn.action and by is not None:
            costs = "costs more by" if by >= 0 else "costs less by"
            parts.append(f"{name} {weight:.3g}, as it {costs} {seconds_text(abs(by))}")
    temperature = f"{1000 * drawn.temperature_s:g} ms"
    if decision.assumed:
        parts.append("what never ran counts as a second")
    return f"{'; '.join(parts)}; temperature {temperature}, lot from {decision.question.cid.short}"


def loop(before: Outlook, after: Mood, cycle: Cycle) -> Iterator[str]:
    """What was predicted, done and learned: one line each."""
    attempts = "" if cycle.attempts == 1 else f" after {cycle.attempts} attempts"
    right = "as predicted" if cycle.outcome is before.forecast else f"not {before.forecast.value}"
    yield f"{_named(before)}: {cycle.outcome.value} ({right}){attempts}"
    spent = f"spent {seconds_text(cycle.spent_s)}"
    if cycle.outcome is Outcome.REUSED:
        spent += f", {saved(cycle.saved_s)}"
    yield f"{spent}; exit code {cycle.exit_code}"
    learned = f"confidence {after.confidence:.3f}, energy {after.energy:.3f}"
    yield f"{learned} after {_runs(after.history)}"


def doubts(mood: Mood) -> Iterator[str]:
    """Why figures may be incomplete, a row each."""
    for sentence in mood.doubts:
        yield from row("doubt", sentence)


def _decided(decided: Decided) -> Iterator[str]:
    answer = "yes" if decided.reuse else "no"
    yield from row("decided", f"reuse: {answer}, {decided.reason}")
    for change in decided.changed[:_SHOWN_CHANGES]:
        yield from row("", f"{change.path}: was {change.was}, now {change.now}")
    if len(decided.changed) > _SHOWN_CHANGES:
        yield from row("", f"and {len(decided.changed) - _SHOWN_CHANGES} more")


def _estimates(outlook: Outlook) -> Iterator[str]:
    if not outlook.history.counts.total:
        yield from row("estimated", "nothing yet: it was never run")
        return
    failures, executed = outlook.history.failures, outlook.history.counts.executed
    yield from row("estimated", f"from {counts(outlook.history)}")
    if executed:
        chance = f"{percent(outlook.failure)}, {failures} of {executed} executions did"
        by = [
            f"{name.replace('_', ' ')} {percent(said)}"
            for name, (said, weight) in outlook.failure_evidence.items()
            if weight >= _WEIGHTY
        ]
        chance += f" ({', '.join(by)})" if by else ""
    else:
        chance = "unknown, it was never executed"
    yield from row("  fails", chance)
    yield from row("  takes", _interval(outlook.run_s, seconds_text))
    yield from row("  cpu", _interval(outlook.cpu_s, seconds_text))
    yield from row(
        "  memory", _interval(outlook.max_rss_bytes, lambda size: size_text(round(size)))
    )
    yield from row("  reuse", _interval(outlook.reuse_s, seconds_text))


def belief(mood: Mood) -> Iterator[str]:
    """The four probabilities, the point they are of, and how forecasts did."""
    shares = ", ".join(f"{each.value} {percent(mood.belief.at(each))}" for each in Outcome)
    yield from row("posterior", shares)
    angles = mood.angles
    yield from row(
        "prior", f"theta {angles.theta:.4f}, phi {angles.phi:.4f}, psi {angles.psi:.4f} on S³"
    )
    yield from row("confidence", f"{mood.confidence:.3f}, energy {mood.energy:.3f}")


def _interval(found: Estimate, spell: Callable[[float], str]) -> str:
    if found.value is None:
        return "unknown, never observed"
    value = spell(found.value)
    if found.low is None or found.high is None or found.level is None:
        return f"{value}, seen once: no interval yet"
    span = f"{spell(found.low)} to {spell(found.high)}"
    if found.method == "range":
        return (
            f"{value}, range {span} of {found.observations} observations "
            f"(holds the next with {percent(found.level)})"
        )
    return f"{value}, {percent(found.level)} interval {span} ({found.observations} observations)"


def counts(history: History) -> str:
    """How many runs, and how many ended each way."""
    if not history.counts.total:
        return "no run yet"
    ended = history.counts
    parts = [f"{ended.at(each)} {each.value}" for each in Outcome if ended.at(each)]
    return f"{_runs(history)}: {', '.join(parts)}"


def _runs(history: History) -> str:
    count = history.counts.total
    return "1 run" if count == 1 else f"{count:,} runs"


def _named(outlook: Outlook) -> str:
    chosen = outlook.plan.action
    return f"{chosen.name} {chosen.title}"


def _saving(outlook: Outlook) -> str:
    saving, plain = outlook.plan.saving_s, outlook.plan.plain_s
    if saving is None or plain is None:
        return "the saving is unknown until it has been run and reused once"
    if saving == 0:
        return "saves nothing against plain running"
    verb = "saves" if saving > 0 else "costs"
    return f"{verb} {seconds_text(abs(saving))} against plain running ({seconds_text(plain)})"


def saved(seconds: float) -> str:
    """Seconds saved, or lost."""
    return f"saved {seconds_text(seconds)}" if seconds >= 0 else f"lost {seconds_text(-seconds)}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else seconds_text(value)


def percent(share: float) -> str:
    """A share in three digits."""
    return f"{100 * share:.3g} %"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def row(label: str, text: str) -> Iterator[str]:
    """A label and its text, on as many lines as that takes."""
    # Spelled out first: a newline in a name is no place to wrap.
    wrapped = textwrap.wrap(
        one_line(text), _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False
    )
    for at, line in enumerate(wrapped or [""]):
        yield f"{'' if at else label:<{_INDENT}}{line}"
