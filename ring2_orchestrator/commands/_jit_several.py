"""`redoxa jit` where the target is several scripts: planned as one, run at a time, remembered."""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ring2_orchestrator.ce1.answer import SCHEMA, of_mood, of_plan
from ring2_orchestrator.ce1.cycle import LEDGER_KIND, reseeds_of
from ring2_orchestrator.ce1.estimate import estimate
from ring2_orchestrator.ce1.kept import newest_in
from ring2_orchestrator.ce1.outlook import Mood
from ring2_orchestrator.ce1.policy import Question
from ring2_orchestrator.ce1.show import policy_text
from ring2_orchestrator.commands import Context
from ring2_orchestrator.commands._round import go_round, outcome_of
from ring2_orchestrator.commands._scripts import learn, scripts_named
from ring2_orchestrator.report import seconds_text
from ring2_orchestrator.runs.asked import Asked
from ring2_orchestrator.runs.environment import given_environment
from ring2_orchestrator.runs.memo import Memo, weak_key
from ring2_orchestrator.runs.order import order_of
from ring2_orchestrator.runs.round import Round
from ring2_orchestrator.steering.campaign import Campaign, Task, campaign_of
from ring2_orchestrator.steering.expectation import (
    expectation_of,
    foreseen_of,
    history_from,
    learned_in,
    runs_of,
)
from ring2_orchestrator.steering.several import Several

if TYPE_CHECKING:
    from cid_store.encoding import NodeLike

Answer = dict[str, object]
_NOT_FAILED = ("ran", "reused", "drifted")


class Target:
    """The scripts that were named, what is known of each, and the plan for all of them."""

    def __init__(self, words: Sequence[str], context: Context, *, jobs: int) -> None:
        """Look at them; runs nothing. Raises UsageError, InputError."""
        self.words = list(words)
        self.scripts = scripts_named(words)
        self.several: Several = learn(self.scripts, context)
        cwd, env = Path.cwd(), given_environment()
        self.subjects = [weak_key(script.command, cwd) for script in self.scripts]
        self.subject = weak_key(["redoxa", "jit", *(s.name for s in self.scripts)], cwd)
        with context.open_home() as home:
            past = runs_of(home, set(self.subjects))
            memo, learned = Memo(home), learned_in(home)
            tasks: list[Task] = []
            for script, subject in zip(self.scripts, self.subjects, strict=True):
                decision = memo.decide(script.command, cwd=cwd, env=env, streams=None)
                history = history_from(past[subject])
                served = [run.wall_s for run in history.runs if not run.executed]
                tasks.append(
                    Task(
                        script.name,
                        decision.reuse,
                        expectation_of(
                            history,
                            foreseen_of(
                                learned,
                                subject,
                                script.command,
                                changed=not decision.reuse,
                                paths=[change.path for change in decision.changed],
                            ),
                        ),
                        estimate(served).value,
                    )
                )
            entries, newest = newest_in(home.ledger)
        order = order_of([script.marks for script in self.scripts])
        everything = all(task.reuse for task in tasks)
        question = Question(self.subject, everything, None, entries, newest)
        self.campaign: Campaign = campaign_of(tasks, order, jobs, question)
        self.plan = self.campaign.plan()

    def mood(self, context: Context) -> Mood:
        """What the past runs of all of them say now."""
        with context.open_home() as home:
            past = runs_of(home, set(self.subjects))
        runs = sorted((run for some in past.values() for run in some), key=lambda run: run.seq)
        return Mood(history_from(runs))


def plan_several(target: Target, verb: str, context: Context) -> int:
    """Say what would be done; 0."""
    context.report.data(_planned(target, verb, target.mood(context)))
    for line in _lines(target):
        context.report.line(line)
    return 0


def loop_several(target: Target, context: Context, printing: AbstractContextManager[None]) -> int:
    """Do it, and enter prediction, action and outcome in the ledger; 1 where one failed.

    The scripts run within `printing`, which decides where what they print goes.
    """
    mood = target.mood(context)
    action = target.plan.action
    args = argparse.Namespace(jobs=action.parameters["jobs"], fail_fast=False, as_named=False)
    begun = time.monotonic_ns()
    with printing:
        going, code = go_round(target.scripts, target.several, Asked(), args, context)
    spent_s = (time.monotonic_ns() - begun) / 1e9
    outcome = _outcome(going, code, spent_s)
    entry: Mapping[str, NodeLike] = {
        "action": action.as_node(),
        "outcome": cast("NodeLike", outcome),
        "policy": target.plan.decision.as_node(),
        "predicted": {
            "confidence": mood.confidence,
            "reused": target.campaign.reused,
            "seconds": action.expected_s,
        },
        "runs": cast("NodeLike", outcome["runs"]),
    }
    with context.open_home() as home:
        reseeds = reseeds_of(home, cast("list[int]", outcome["runs"]))
        steps: dict[str, NodeLike] = {"reseeds": [each.as_node() for each in reseeds]}
        receipt = home.ledger.append([{**entry, **steps}], kind=LEDGER_KIND, subject=target.subject)
    after = target.mood(context)
    context.report.data(
        {
            **_planned(target, "loop", after),
            "outcome": {**outcome, "entry": receipt.seq},
            "predicted": "reused" if action.name == "K1" else "ran",
            "reseeds": steps["reseeds"],
        }
    )
    expected = _seconds(action.expected_s)
    context.report.say(f"{_named(target)}: {seconds_text(spent_s)}, {expected} were expected")
    learned = f"confidence {after.confidence:.3f}, energy {after.energy:.3f}"
    context.report.say(f"{learned} after {after.history.counts.total:,} runs")
    return 0 if code == 0 else 1


def _outcome(going: Round, code: int, spent_s: float) -> Answer:
    answers = [each.told.answer for each in going.scripts if each.told and each.told.answer]
    ends = [outcome_of(script) for script in going.scripts]
    return {
        "attempts": 1,
        "exit_code": code,
        "runs": [answer["entry"] for answer in answers if answer.get("entry") is not None],
        "saved_s": float(sum(cast("float", answer["saved_s"]) for answer in answers)),
        "spent_s": spent_s,
        "verdict": _verdict(ends),
        "verdicts": {word: ends.count(word) for word in sorted(set(ends))},
    }


def _verdict(ends: Sequence[str]) -> str:
    """One word for all: the worst of them."""
    if any(end not in _NOT_FAILED for end in ends):
        return "failed"
    return next((word for word in ("drifted", "ran") if word in ends), "reused")


def _planned(target: Target, verb: str, mood: Mood) -> Answer:
    campaign, plan = target.campaign, target.plan
    return {
        **of_mood(verb, mood),
        **of_plan(plan),
        "action": plan.action.as_node(),
        "decided": {
            "changed": [],
            "reason": f"{campaign.reused} of {len(campaign.tasks)} would be reused",
            "reuse": campaign.reused == len(campaign.tasks),
            "trace": None,
        },
        "order": _order(target),
        "schema": SCHEMA,
        "target": {
            "command": target.words,
            "scripts": [script.name for script in target.scripts],
            "subject": target.subject,
        },
    }


def _order(target: Target) -> list[Answer]:
    """The scripts as they should start."""
    campaign = target.campaign
    jobs = cast("int", target.plan.action.parameters["jobs"])
    slots = campaign.slots(jobs)
    times = {slot.task: (slot.begin_s, slot.end_s) for slot in slots}
    places = [slot.task for slot in slots] or range(len(campaign.tasks))
    return [
        {
            "after": [campaign.tasks[each].name for each in sorted(campaign.order.before[at])],
            "begin_s": times[at][0] if at in times else None,
            "end_s": times[at][1] if at in times else None,
            "expected_s": campaign.tasks[at].expected.seconds,
            "failure": campaign.tasks[at].expected.failure,
            "name": campaign.tasks[at].name,
            "reuse": campaign.tasks[at].reuse,
        }
        for at in places
    ]


def _lines(target: Target) -> list[str]:
    plan = target.plan
    lines = [
        " ".join(target.words),
        "",
        f"action      {_named(target)}: {plan.action.rationale}",
        f"expected    {_seconds(plan.action.expected_s)}; plainly {_seconds(plan.plain_s)}",
    ]
    lines += [
        f"instead of  {other.name} ({_seconds(other.expected_s)}): {other.why_not}"
        for other in plan.alternatives
    ]
    lines.append(f"policy      {policy_text(plan.decision)}")
    width = max(len(script.name) for script in target.scripts)
    lines += ["", "begins      script"]
    for each in _order(target):
        begins = "?" if each["begin_s"] is None else seconds_text(cast("float", each["begin_s"]))
        does = "reused" if each["reuse"] else _seconds(cast("float | None", each["expected_s"]))
        lines.append(f"{begins:<11} {each['name']:<{width}}  {does}")
    return lines


def _named(target: Target) -> str:
    action = target.plan.action
    return f"{action.name} {action.title}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else seconds_text(value)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
