"""One step of a command's prior as the ledger keeps it: where from, where to, by which turn."""

from typing import NamedTuple, Self

from cid_store.encoding import Node, NodeLike
from ring2_orchestrator.ce1.laws.reseed import Step, undo
from ring2_orchestrator.ce1.laws.sphere import Grid, Turn


class Reseeding(NamedTuple):
    """The step that a run caused. `run` is its entry in the ledger."""

    run: int
    was: Grid
    now: Grid
    step: Step

    @property
    def undone(self) -> Grid:
        """The prior before the step, from what came of it and the turn alone."""
        return undo(self.now, self.step)

    def as_node(self) -> dict[str, NodeLike]:
        """As the ledger keeps it: whole multiples of 2^-62."""
        return {
            "from": list(self.was),
            "left": list(self.step.turn.left),
            "missed": list(self.step.missed),
            "right": list(self.step.turn.right),
            "run": self.run,
            "to": list(self.now),
        }

    @classmethod
    def of_node(cls, node: Node) -> Self | None:
        """The step in an entry; None where it is not one."""
        match node:
            case {
                "from": list(was),
                "left": list(left),
                "missed": list(missed),
                "right": list(right),
                "run": int(run),
                "to": list(now),
            }:
                grids = [_grid(each) for each in (was, now, left, right, missed)]
                a, b, p, q, m = grids
                if a is None or b is None or p is None or q is None or m is None:
                    return None
                return cls(run, a, b, Step(Turn(p, q), m))
            case _:
                return None


def _grid(values: list[Node]) -> Grid | None:
    match values:
        case [int(a), int(b), int(c), int(d)]:
            return a, b, c, d
        case _:
            return None
