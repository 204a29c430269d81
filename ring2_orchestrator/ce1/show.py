"""The same answers for people: a few aligned lines, each figure with what stands behind it."""

import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping

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
    yield from _belief(outlook)
    yield from _row("advice", f"{_named(outlook)}: {outlook.plan.action.rationale}")


def plan(outlook: Outlook) -> Iterator[str]:
    """The action first, then its price and the alternatives."""
    chosen = outlook.plan
    yield shlex.join(outlook.command)
    yield ""
    yield from _row("action", f"{_named(outlook)}: {chosen.action.rationale}")
    for name, value in chosen.action.parameters.items():
        yield from _row("", f"{name} = {_value(value)}")
    yield from _row("expected", f"{_seconds(chosen.action.expected_s)}; {_saving(outlook)}")
    for other in chosen.alternatives:
        yield from _row(
            "instead of", f"{other.name} ({_seconds(other.expected_s)}): {other.why_not}"
        )
    yield from _row("policy", policy_text(chosen.decision))


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
        spent += f", {_saved(cycle.saved_s)}"
    yield f"{spent}; exit code {cycle.exit_code}"
    learned = f"confidence {after.confidence:.3f}, energy {after.energy:.3f}"
    yield f"{learned} after {_runs(after.history)}"


def status(mood: Mood, head: Mapping[str, object]) -> Iterator[str]:
    """Counts, seconds, belief and the ledger's head."""
    if isinstance(mood, Outlook):
        yield shlex.join(mood.command)
        yield ""
    history = mood.history
    yield from _row("runs", _counts(history))
    yield from _row("seconds", f"spent {seconds_text(history.spent_s)}, {_saved(history.saved_s)}")
    yield from _belief(mood)
    yield ""
    entries = head["size"]
    yield from _row(
        "ledger", f"{entries} {'entry' if entries == 1 else 'entries'}, {head['origin']}"
    )
    yield from _row("root hash", str(head["root_hash"]))
    if history.passed_over:
        yield from _row("doubt", f"{history.passed_over} run batches could not be read as runs")


def _decided(decided: Decided) -> Iterator[str]:
    answer = "yes" if decided.reuse else "no"
    yield from _row("decided", f"reuse: {answer}, {decided.reason}")
    for change in decided.changed[:_SHOWN_CHANGES]:
        yield from _row("", f"{change.path}: was {change.was}, now {change.now}")
    if len(decided.changed) > _SHOWN_CHANGES:
        yield from _row("", f"and {len(decided.changed) - _SHOWN_CHANGES} more")


def _estimates(outlook: Outlook) -> Iterator[str]:
    if not outlook.history.runs:
        yield from _row("estimated", "nothing yet: it was never run")
        return
    failures, executed = outlook.history.failures, outlook.history.counts.executed
    yield from _row("estimated", f"from {_counts(outlook.history)}")
    if executed:
        chance = f"{_percent(outlook.failure)}, {failures} of {executed} executions did"
        by = [
            f"{name.replace('_', ' ')} {_percent(said)}"
            for name, (said, weight) in outlook.failure_evidence.items()
            if weight >= _WEIGHTY
        ]
        chance += f" ({', '.join(by)})" if by else ""
    else:
        chance = "unknown, it was never executed"
    yield from _row("  fails", chance)
    yield from _row("  takes", _interval(outlook.run_s, seconds_text))
    yield from _row("  cpu", _interval(outlook.cpu_s, seconds_text))
    yield from _row(
        "  memory", _interval(outlook.max_rss_bytes, lambda size: size_text(round(size)))
    )
    yield from _row("  reuse", _interval(outlook.reuse_s, seconds_text))


def _belief(mood: Mood) -> Iterator[str]:
    shares = ", ".join(f"{each.value} {_percent(mood.belief.at(each))}" for each in Outcome)
    yield from _row("posterior", shares)
    angles = mood.angles
    yield from _row(
        "prior", f"theta {angles.theta:.4f}, phi {angles.phi:.4f}, psi {angles.psi:.4f} on S³"
    )
    yield from _row("confidence", f"{mood.confidence:.3f}, energy {mood.energy:.3f}")


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
            f"(holds the next with {_percent(found.level)})"
        )
    return f"{value}, {_percent(found.level)} interval {span} ({found.observations} observations)"


def _counts(history: History) -> str:
    if not history.runs:
        return "no run yet"
    counts = history.counts
    parts = [f"{counts.at(each)} {each.value}" for each in Outcome if counts.at(each)]
    return f"{_runs(history)}: {', '.join(parts)}"


def _runs(history: History) -> str:
    count = len(history.runs)
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


def _saved(seconds: float) -> str:
    return f"saved {seconds_text(seconds)}" if seconds >= 0 else f"lost {seconds_text(-seconds)}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else seconds_text(value)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _row(label: str, text: str) -> Iterator[str]:
    """A label and its text, on as many lines as that takes."""
    # Spelled out first: a newline in a name is no place to wrap.
    wrapped = textwrap.wrap(
        one_line(text), _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False
    )
    for at, line in enumerate(wrapped or [""]):
        yield f"{'' if at else label:<{_INDENT}}{line}"
