"""One whole cycle on a ledger of its own: measure, act, re-seed; then every step taken back.

    python scripts/ce1_fusion_demo.py

In a folder for the purpose a small script is run, edited and run again; each run is recorded,
reused or fails as it comes. Then `hint` says what the next run will be, `plan` what to do, `loop`
does it, and `status` what is believed after it. What is shown is what the commands print. What
stands after `ok` was checked; what does not hold ends the demo with exit code 1.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ring2_orchestrator.ce1.entries import happening_of  # noqa: E402
from ring2_orchestrator.ce1.history import History, history_of  # noqa: E402
from ring2_orchestrator.ce1.kept import nothing_learned  # noqa: E402
from ring2_orchestrator.ce1.laws.reseed import belief_of  # noqa: E402
from ring2_orchestrator.ce1.learning.learner import Learner  # noqa: E402
from ring2_orchestrator.ce1.learning.mind import UNIFORM, Mind  # noqa: E402
from ring2_orchestrator.ce1.outcome import Outcome  # noqa: E402
from ring2_orchestrator.ce1.outlook import Mood  # noqa: E402
from ring2_orchestrator.ce1.policy import replays  # noqa: E402
from ring2_orchestrator.ce1.reseeding import Reseeding  # noqa: E402
from ring2_orchestrator.home import Home  # noqa: E402
from ring2_orchestrator.nesting import inside_recording  # noqa: E402

EXACT = 1e-12
WORK = """\
# The longest chain of n -> n / 2 or 3 n + 1 from below a limit.
import sys

limit = int(open("limit.txt").read() or sys.exit("limit.txt is empty"))
length = [0, 1]
for start in range(2, limit):
    number, steps = start, 0
    while number >= start:
        number, steps = (3 * number + 1, steps + 1) if number % 2 else (number // 2, steps + 1)
    length.append(length[number] + steps)
print(f"below {limit:,}: {max(length)} numbers from {length.index(max(length)):,}")
"""
# What is written into limit.txt before each run, and how that run has to end.
STORY = (
    ("150000", Outcome.RAN),
    ("150000", Outcome.REUSED),
    ("200000", Outcome.RAN),
    ("", Outcome.FAILED),
    ("150000", Outcome.REUSED),
)


class State(NamedTuple):
    """What `jit status` said after so many runs: the angles of the point, and what is believed."""

    runs: int
    prior: Mapping[str, float]
    posterior: Mapping[str, float]
    confidence: float
    energy: float
    seconds: Mapping[str, float]


class Stage:
    """A folder with the script, a home beside it, and the states it went through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.home = folder / "home"
        self.folder.mkdir()
        (self.folder / "work.py").write_text(WORK)
        self.states: list[State] = []

    def edit(self, limit: str) -> None:
        """Write the script's input, if it is another."""
        file = self.folder / "limit.txt"
        if not file.exists() or file.read_text() != limit:
            file.write_text(limit)
            print(f"$ echo {limit or '-n'} > limit.txt")

    def type(self, script: str, *words: str) -> int:
        """Type a command of this checkout, shown with all that it prints; its exit code."""
        print(f"$ python scripts/{script} {' '.join(words)}", flush=True)
        ended = self._run(script, *words, stderr=subprocess.STDOUT)
        print("".join(f"    {line}\n" for line in ended.stdout.splitlines()), flush=True)
        return ended.returncode

    def ask(self, *words: str) -> dict[str, Any]:
        """The answer of `redoxa jit` as JSON; what else it prints is left out."""
        ended = self._run("jit.py", *words, "--json", stderr=subprocess.PIPE)
        if ended.returncode:
            fail(f"`jit.py {' '.join(words)}` answers: {ended.stderr}")
        return json.loads(ended.stdout)

    def note(self) -> State:
        """Keep what is believed now, to be compared on the way back."""
        said = self.ask("status")
        names = ("runs", "prior", "posterior", "confidence", "energy", "seconds")
        self.states.append(State(*(said[name] for name in names)))
        return self.states[-1]

    def history(self) -> History:
        """All runs in the ledger, oldest first."""
        with Home(self.home, to_read=True) as home:
            return history_of(home.ledger.batches("run"))

    def mood_after(self, runs: int) -> Mood:
        """What is believed after so many runs, learned from the ledger alone."""
        learned = nothing_learned()
        with Home(self.home, to_read=True) as home:
            learned.learn(home.ledger, [batch.seq for batch in home.ledger.batches("run")][:runs])
        return Mood(learned.whole.history, point=learned.whole.prior)

    def _run(self, script: str, *words: str, stderr: int) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(ROOT / "scripts" / script), *words],
            cwd=self.folder,
            env={**os.environ, "REDOXA_HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
        )


def main() -> int:
    """Measure, act, re-seed, and back."""
    if inside_recording():
        print("This demo records by itself, which it cannot inside a recorded run: start it alone.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        measure(stage)
        act(stage, "250000", Outcome.RAN)
        act(stage, "250000", Outcome.REUSED)
        believed(stage)
        take_back_steps(stage)
        take_back(stage)
    return 0


def measure(stage: Stage) -> None:
    """Record some runs; the ledger says how each ended."""
    print("MEASURE: five runs, each entered in the ledger\n")
    empty = stage.note()
    check("before any run, confidence is 1/2", holds=empty.confidence == 0.5)
    check("and energy 1: nothing is saved yet\n", holds=empty.energy == 1)
    for limit, expected in STORY:
        stage.edit(limit)
        code = stage.type("run.py", "work.py")
        stage.note()
        last = stage.history().outcomes[-1]
        check(f"the ledger says {last.value}\n", holds=last is expected)
        if (code == 0) is (last is Outcome.FAILED):
            fail(f"exit code {code} is that of a run that {last.value}")


KINDS = ["K1", "K2", "K3", "K4", "K5"]


def act(stage: Stage, limit: str, expected: Outcome) -> None:
    """One loop: what is decided and expected, what to do, doing it."""
    print(f"ACT: the next run {'can be reused' if expected is Outcome.REUSED else 'has work'}\n")
    stage.edit(limit)
    plan = stage.ask("plan", "work.py")
    stage.type("jit.py", "hint", "work.py")
    reuse, decided = expected is Outcome.REUSED, plan["decided"]
    check("whether it can be reused is decided", holds=decided["reuse"] is reuse)
    paths = [change["path"] for change in decided["changed"]]
    check(f"changed: {paths}\n", holds=paths == ([] if reuse else ["limit.txt"]))
    stage.type("jit.py", "plan", "work.py")
    action = plan["action"]["name"]
    check("reuse is taken where it can be had", holds=(action == "K1") is reuse)
    others = [other["name"] for other in plan["alternatives"]]
    check("it was weighed against all others", holds=sorted([action, *others]) == KINDS)
    weights = plan["policy"]["weights"]
    check("its weight is Gibbs', and nearly all\n", holds=weights[action] > 1 - EXACT)
    code = stage.type("jit.py", "loop", "work.py")
    last = stage.history().outcomes[-1]
    check(f"it ended as predicted: {last.value}", holds=code == 0 and last is expected)
    before, after = stage.states[-1], stage.note()
    check("the ledger has one run more\n", holds=after.runs == before.runs + 1)


def believed(stage: Stage) -> None:
    """What all that amounts to."""
    print("RE-SEED: what is believed of the next run\n")
    stage.type("jit.py", "status")
    first, last = stage.states[0], stage.states[-1]
    check("confidence grew", holds=last.confidence > first.confidence)
    plain, spent = last.seconds["plain"], last.seconds["spent"]
    exact = abs(last.energy - plain / spent) <= EXACT
    check("energy is what plain running takes by what was spent", holds=exact)
    off = max(abs(sum(state.posterior.values()) - 1) for state in stage.states)
    check("the four probabilities always summed to one", holds=off <= EXACT)
    verified = subprocess.run(
        [sys.executable, "-m", "redoxa", "--home", str(stage.home), "ledger", "verify"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    check("every entry of the ledger is proved by its head\n", holds=verified.returncode == 0)


def take_back_steps(stage: Stage) -> None:
    """The turns of the prior on the sphere, undone one by one from what the ledger keeps."""
    print("AND BACK: the prior is turned back, step by step\n")
    learner, mind, told = Learner(), Mind(), list[Reseeding]()
    with Home(stage.home, to_read=True) as home:
        for batch in home.ledger.batches("run"):
            happening, was = happening_of(batch), mind.prior
            assert happening is not None
            step = mind.tick(learner, *happening)
            told.append(Reseeding(batch.seq, was, mind.prior, step))
        loops = [batch.entries[0] for batch in home.ledger.batches("jit")]
    point = mind.prior
    for each in reversed(told):
        shown = ", ".join(f"{p:.3f}" for p in belief_of(each.now))
        here = each.now == point and each.undone == each.was
        check(f"from ({shown}) back to the very bits before run {each.run}", holds=here)
        point = each.undone
    check("at the end nothing is believed: four times one in four", holds=point == UNIFORM)
    kept: list[Reseeding | None] = []
    for entry in loops:
        assert isinstance(entry, dict)
        check("what a loop decided is decided again", holds=replays(entry["policy"]))
        steps = entry["reseeds"]
        assert isinstance(steps, list)
        kept += map(Reseeding.of_node, steps)
    check("the steps that loops wrote down are the same\n", holds=kept == told[-len(kept) :])


def take_back(stage: Stage) -> None:
    """From the ledger alone, every state on the way, the newest first, back to none."""
    print("AND BACK: the newest run is left out, again and again\n")
    for state in reversed(stage.states):
        mood = stage.mood_after(state.runs)
        angles = mood.angles
        shown = f"theta {angles.theta:.4f}, phi {angles.phi:.4f}, psi {angles.psi:.4f}"
        same = (angles._asdict(), mood.confidence, mood.energy) == (
            state.prior,
            state.confidence,
            state.energy,
        )
        check(f"{state.runs} runs: {shown}, as they were then", holds=same)


def check(what: str, *, holds: bool) -> None:
    """Say what holds; what does not ends the demo with exit code 1."""
    if not holds:
        fail(what.strip())
    print(f"  ok  {what}", flush=True)


def fail(what: str) -> NoReturn:
    """End with one sentence that says what did not hold."""
    sys.stdout.flush()
    print(f"ce1_fusion_demo: this does not hold: {what}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
