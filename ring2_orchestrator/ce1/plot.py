"""Reliability and history, drawn by matplotlib where that is installed (the extra `plot`)."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cid_store.errors import InputError, UnavailableError
from ring2_orchestrator.ce1.entries import happening_of
from ring2_orchestrator.ce1.history import PastRun, run_of
from ring2_orchestrator.ce1.learning.learner import Learner
from ring2_orchestrator.ce1.learning.mind import Mind
from ring2_orchestrator.ce1.standing import Standing, standing_of

if TYPE_CHECKING:
    from ring2_orchestrator.ledger import Ledger

MOST = 1000  # runs that are drawn: of more, the newest
_ENDINGS = (".svg", ".png")
_NAMES = {"must_rerun": "must rerun", "failure": "fails", "drift": "drifts"}


class Axes(Protocol):
    """What is used of one plot of matplotlib's, which may not be installed."""

    def plot(self, *values: object, **style: object) -> object:
        """Draw a line."""
        ...

    def scatter(self, *values: object, **style: object) -> object:
        """Draw points."""
        ...

    def fill_between(self, *values: object, **style: object) -> object:
        """Fill what lies between two lines."""
        ...

    def set(self, **words: str) -> object:
        """Name the plot and its axes."""
        ...

    def legend(self, *, fontsize: int) -> object:
        """Say which line is which."""
        ...


class Drawn(NamedTuple):
    """One run to draw, and the mean log loss of "fails" up to it, by rule."""

    run: PastRun
    losses: Mapping[str, float]


def newest_runs(ledger: "Ledger") -> list[Drawn]:
    """The newest runs of a ledger, oldest first, learned anew to see how forecasts became."""
    batches = list(islice(ledger.batches("run", newest_first=True), MOST))
    learner, minds = Learner(), dict[str, Mind]()
    drawn: list[Drawn] = []
    for batch in reversed(batches):
        happening, run = happening_of(batch), run_of(batch)
        if happening is None or run is None:
            continue
        minds.setdefault(batch.subject, Mind()).tick(learner, *happening)
        found = standing_of(learner).questions["failure"]
        losses = {} if found.ce1 is None else {"CE1": found.ce1, **found.baselines}
        drawn.append(Drawn(run, {name: lost for name, lost in losses.items() if lost is not None}))
    return drawn


def draw(path: Path, standing: Standing, runs: Sequence[Drawn]) -> None:
    """Draw into a file; the same figures give the same bytes.

    Raises InputError where the name or matplotlib is missing, UnavailableError where the file
    cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise InputError(f"{path} is neither .svg nor .png, which is all that can be drawn")
    try:
        mpl = import_module("matplotlib")
    except ImportError as error:
        raise InputError(
            "nothing can be drawn without matplotlib; install it with `pip install redoxa[plot]`"
        ) from error
    mpl.use("svg" if ending == ".svg" else "agg")
    mpl.rcParams["svg.hashsalt"] = "redoxa"
    figure, axes = import_module("matplotlib.pyplot").subplots(
        1, 3, figsize=(13, 4.2), layout="constrained"
    )
    _reliability(axes[0], standing)
    _losses(axes[1], runs)
    _seconds(axes[2], runs)
    try:
        figure.savefig(path, metadata={"Date": None} if ending == ".svg" else {})
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that takes it"
        ) from error


def _reliability(axes: Axes, standing: Standing) -> None:
    axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--", label="as stated")
    for name, found in standing.questions.items():
        if found.reliability:
            axes.plot(
                [tenth.expected for tenth in found.reliability],
                [tenth.happened for tenth in found.reliability],
                marker="o",
                label=f"{_NAMES[name]} ({found.forecasts:,} forecasts)",
            )
    axes.set(title="reliability", xlabel="forecast", ylabel="share that came true")
    axes.legend(fontsize=8)


def _losses(axes: Axes, runs: Sequence[Drawn]) -> None:
    names = tuple(runs[-1].losses) if runs else ()
    for name in names:
        known = [(at, each.losses[name]) for at, each in enumerate(runs) if name in each.losses]
        ours = name == "CE1"
        axes.plot(
            *zip(*known, strict=True),
            lw=2.0 if ours else 0.8,
            color="black" if ours else None,
            label=name.replace("_", " "),
        )
    axes.set(title='log loss of "fails" so far', xlabel="run", ylabel="nats for each forecast")
    if names:
        axes.legend(fontsize=8)


def _seconds(axes: Axes, runs: Sequence[Drawn]) -> None:
    spent = list(accumulate(each.run.wall_s for each in runs))
    plain = list(accumulate(each.run.wall_s + each.run.saved_s for each in runs))
    axes.plot(plain, color="grey", label="plain running")
    axes.plot(spent, color="black", label="spent")
    axes.fill_between(range(len(runs)), spent, plain, alpha=0.2)
    failed = [at for at, each in enumerate(runs) if each.run.exit_code]
    axes.scatter(failed, [spent[at] for at in failed], s=12, color="tab:red", label="failed")
    axes.set(title="seconds", xlabel="run", ylabel="seconds so far")
    axes.legend(fontsize=8)
