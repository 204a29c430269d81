"""The answers of `redoxa jit` as JSON; every name here is promised in docs/formats/jit.md."""

from collections.abc import Mapping

from ring2_orchestrator.ce1.action import Plan
from ring2_orchestrator.ce1.cycle import Cycle
from ring2_orchestrator.ce1.estimate import Estimate
from ring2_orchestrator.ce1.outcome import Outcome
from ring2_orchestrator.ce1.outlook import Decided, Mood, Outlook
from ring2_orchestrator.ce1.standing import LEVEL, Standing

SCHEMA = "redoxa.jit/2"

Answer = dict[str, object]


def hint(outlook: Outlook) -> Answer:
    """Decided facts, estimates, and the advised action."""
    return {
        **of_mood("hint", outlook),
        **_target(outlook),
        "decided": _decided(outlook.decided),
        "estimates": _estimates(outlook),
        "action": outlook.plan.action.as_node(),
    }


def plan(outlook: Outlook) -> Answer:
    """The action, what it should save, and what it was preferred to."""
    return {**hint(outlook), "verb": "plan", **of_plan(outlook.plan)}


def of_plan(chosen: Plan) -> Answer:
    """The price of a plan, and of what it was preferred to."""
    return {
        "expected": {
            "plain_s": chosen.plain_s,
            "saving_s": chosen.saving_s,
            "seconds": chosen.action.expected_s,
        },
        "alternatives": [
            {
                "expected_s": other.expected_s,
                "name": other.name,
                "why_not": other.why_not,
                "worse_by_s": chosen.worse_by_s(other),
            }
            for other in chosen.alternatives
        ],
        "policy": chosen.decision.as_node(),
    }


def loop(before: Outlook, after: Mood, cycle: Cycle) -> Answer:
    """The plan that was made, what came of it, and the belief after it."""
    return {
        **plan(before),
        **of_mood("loop", after),
        "predicted": before.forecast.value,
        "reseeds": [each.as_node() for each in cycle.reseeds],
        "outcome": {
            "attempts": cycle.attempts,
            "entry": cycle.seq,
            "exit_code": cycle.exit_code,
            "runs": list(cycle.runs),
            "saved_s": cycle.saved_s,
            "spent_s": cycle.spent_s,
            "verdict": cycle.outcome.value,
        },
    }


def status(
    mood: Mood,
    standing: Standing,
    facts: Mapping[str, object],
    last_action: Mapping[str, object] | None,
) -> Answer:
    """The state of the home, and of everything learned from it; `facts` are its keys as they are.

    The action is the next best one of one command, else the last one that was taken.
    """
    totals = mood.history.totals
    answer: Answer = {
        **of_mood("status", mood),
        **facts,
        "action": last_action,
        "calibration": {
            "intervals": {
                name: {**found._asdict(), "level": LEVEL, "share": found.share}
                for name, found in standing.coverage.items()
            },
            "reliability": {
                name: [tenth._asdict() for tenth in found.reliability]
                for name, found in standing.questions.items()
            },
        },
        "log_loss": {
            name: {
                "baselines": dict(found.baselines),
                "ce1": found.ce1,
                "forecasts": found.forecasts,
            }
            for name, found in standing.questions.items()
        },
        "seconds": {
            "gained": totals.gained_s,
            "lost": totals.lost_s,
            "plain": mood.history.spent_s + mood.history.saved_s,
            "saved": mood.history.saved_s,
            "spent": mood.history.spent_s,
        },
        "target": None,
    }
    if isinstance(mood, Outlook):
        answer.update(_target(mood), action=mood.plan.action.as_node())
    return answer


def of_mood(verb: str, mood: Mood) -> Answer:
    """What every answer says of the past runs it is made from."""
    history, angles = mood.history, mood.angles
    return {
        "confidence": mood.confidence,
        "counts": {outcome.value: history.counts.at(outcome) for outcome in Outcome},
        "doubts": list(mood.doubts),
        "energy": mood.energy,
        "passed_over": history.passed_over,
        "posterior": {outcome.value: mood.belief.at(outcome) for outcome in Outcome},
        "prior": {"phi": angles.phi, "psi": angles.psi, "theta": angles.theta},
        "runs": history.counts.total,
        "schema": SCHEMA,
        "verb": verb,
    }


def _target(outlook: Outlook) -> Answer:
    return {"target": {"command": list(outlook.command), "subject": outlook.subject}}


def _decided(decided: Decided) -> Answer:
    return {
        "changed": [change._asdict() for change in decided.changed],
        "reason": decided.reason,
        "reuse": decided.reuse,
        "trace": decided.trace,
    }


def _estimates(outlook: Outlook) -> Answer:
    return {
        "cpu_s": _estimate(outlook.cpu_s),
        "failure": {
            "experts": [
                {"name": name, "probability": said, "weight": weight}
                for name, (said, weight) in outlook.failure_evidence.items()
            ],
            "failures": outlook.history.failures,
            "observations": outlook.history.counts.executed,
            "probability": outlook.failure,
        },
        "max_rss_bytes": _estimate(outlook.max_rss_bytes),
        "reuse_s": _estimate(outlook.reuse_s),
        "wall_s": _estimate(outlook.run_s),
    }


def _estimate(found: Estimate) -> Answer:
    return {
        "high": found.high,
        "level": found.level,
        "low": found.low,
        "method": found.method,
        "observations": found.observations,
        "value": found.value,
    }
