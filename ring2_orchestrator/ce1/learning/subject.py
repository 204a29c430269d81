"""What is remembered of one command: a few numbers, however often it ran."""

from collections.abc import Sequence

MEMORY = 15  # events that are measured: 1 + 2 + 4 + 8 lags
EWMA = 0.05  # weight of the newest event in the running share
PATHS = 32  # remembered inputs that changed before runs
BEGUN_BY = 16  # paths remembered of a failure's beginning
COST_SHARES = (0.1, 0.3)  # weights of the newest cost in the running means
SCALE_SHARE = 0.1  # of the newest miss in the usual one
_LEAST_SCALE = 1e-4


class Past:
    """The yes or no of one question about a command, over its runs."""

    def __init__(self) -> None:
        self.count = 0
        self.hits = 0
        self.share = 0.0  # running share, from where the first event puts it
        self.latest: list[float] = []  # newest first, 1 and 0

    @property
    def last(self) -> float:
        """What it was the last time; 0 before the first."""
        return self.latest[0] if self.latest else 0.0

    @property
    def probability(self) -> float:
        """Beta-Bernoulli under Jeffreys' prior."""
        return (self.hits + 0.5) / (self.count + 1)

    def learn(self, happened: bool, before: float) -> None:  # noqa: FBT001 - an outcome
        """One more event; `before` is what was expected of the first."""
        share = self.share if self.count else before
        self.share = share + EWMA * (happened - share)
        self.count += 1
        self.hits += happened
        self.latest = [float(happened), *self.latest[: MEMORY - 1]]


class Cost:
    """Past costs of one kind, as logarithms."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.last = 0.0
        self.running = [0.0] * len(COST_SHARES)
        self.off = 0.0  # how far the last one fell from its estimate
        self.scale = 0.0  # how far off it usually is; 0 before any was seen

    def learn(self, value: float, off: float | None, usual: float) -> None:
        """One more cost; `off` is how far it fell from its estimate, where there was one.

        `usual` is how far off estimates of other commands are.
        """
        if self.count:
            self.running = [
                mean + share * (value - mean)
                for mean, share in zip(self.running, COST_SHARES, strict=True)
            ]
        else:
            self.running = [value] * len(COST_SHARES)
        self.count += 1
        self.mean += (value - self.mean) / self.count
        self.last = value
        if off is not None:
            self.off = off
            scale = self.scale or usual
            self.scale = max(scale + SCALE_SHARE * (abs(off) - scale), _LEAST_SCALE)


class Subject:
    """One command."""

    def __init__(self) -> None:
        self.rerun, self.failure, self.drift = Past(), Past(), Past()
        self.cpu, self.wall, self.memory = Cost(), Cost(), Cost()
        self.load: float | None = None  # running mean of log(1 + load), where it was known
        self.streak = 0  # executions since passing turned into failing or back
        self.flips = 0  # unchanged inputs, yet passing turned into failing or back
        self.unchanged = 0  # executions on unchanged inputs
        self.begun_by: tuple[str, ...] = ()  # inputs that changed when the failure began
        self.touched: dict[str, tuple[int, int]] = {}  # path: changes, failures begun with them

    @property
    def failing(self) -> bool:
        """Whether its last execution failed."""
        return self.failure.last == 1.0

    @property
    def flaky(self) -> float:
        """How often passing and failing change on unchanged inputs."""
        return (self.flips + 0.05) / (self.unchanged + 1)

    def ended(self, *, failed: bool, changed: bool, paths: Sequence[str]) -> None:
        """Note an execution; the events themselves are in `failure`. Call before they learn it."""
        begins = failed and not self.failing
        if self.failure.count and not changed:
            self.unchanged += 1
            self.flips += failed != self.failing
        self.streak = self.streak + 1 if failed == self.failing and self.failure.count else 1
        if begins:
            self.begun_by = tuple(paths[:BEGUN_BY])
        elif not failed:
            self.begun_by = ()
        for path in paths[:PATHS]:
            changes, begun = self.touched.pop(path, (0, 0))
            self.touched[path] = changes + 1, begun + begins
        while len(self.touched) > PATHS:  # the one that was changed longest ago
            del self.touched[next(iter(self.touched))]
