"""The gene language: text to checked program to canonical plan, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cid_store.errors import InputError
from ring0.plan import Plan
from ring2_orchestrator.gene.checker import check
from ring2_orchestrator.gene.errors import GeneError, GeneFault, Position
from ring2_orchestrator.gene.lowering import Lowered, Met, Offers, Site, lower
from ring2_orchestrator.gene.parser import MAX_TEXT, parse
from ring2_orchestrator.gene.printer import call_text, print_plan
from ring2_orchestrator.gene.program import NamedKernel, Palette, Program

__all__ = [
    "Gene",
    "GeneError",
    "Lowered",
    "Met",
    "NamedKernel",
    "Offers",
    "Palette",
    "Site",
    "call_text",
    "lower",
    "print_plan",
    "read_gene",
]

_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Gene:
    """A checked gene under the name it is reported by."""

    name: str
    text: str
    program: Program

    @classmethod
    def parse(cls, text: str, palette: Palette, *, name: str = "gene") -> "Gene":
        """The gene of this text. Raises GeneError, which shows the place of the first fault."""
        if text.startswith(_BYTE_ORDER_MARK):
            raise GeneError(
                "the text begins with a byte order mark, which cannot be seen; save it as UTF-8 "
                "without one",
                name=name,
                text="",
                at=Position(1, 1),
            )
        try:
            return cls(name, text, check(parse(text), palette))
        except GeneFault as fault:
            raise GeneError(fault.message, name=name, text=text, at=fault.at) from None

    @property
    def summary(self) -> str:
        """The gene's first comment, which says what it is for."""
        for line in self.text.splitlines():
            if line.startswith("#"):
                return line.lstrip("# ").rstrip()
        return ""

    @property
    def has_holes(self) -> bool:
        """Whether the planner has steps to find."""
        return bool(self._first.holes)

    @property
    def choices(self) -> tuple[Met, ...]:
        """The choices that are met while every one takes its first alternative."""
        return self._first.choices

    @property
    def unknowns(self) -> tuple[str, ...]:
        """The names of the parameters that are left to the planner."""
        return self._first.unknowns

    @property
    def is_open(self) -> bool:
        """Whether the gene's plan depends on the data."""
        first = self._first
        return bool(first.holes or first.choices or first.unknowns)

    def plan(self) -> Plan:
        """The gene's plan with first alternatives, unknowns at their defaults, and empty holes."""
        return self._first.plan

    def lowered(self, picks: Mapping[Site, int], offers: Offers | None = None) -> Lowered:
        """The gene under these picks; see `lower`."""
        # A first alternative is what is taken without a pick, too.
        taken = frozenset(pick for pick in picks.items() if pick[1])
        known = self._known.get(taken)
        if known is None:
            known = lower(self.program, picks, offers)
            # A file's parts are planned one after another: what no offer has a say in is the same.
            if not known.unknowns:
                self._known[taken] = known
        return known

    @cached_property
    def _first(self) -> Lowered:
        return lower(self.program, {})

    @cached_property
    def _known(self) -> dict[frozenset[tuple[Site, int]], Lowered]:
        return {}


def read_gene(path: Path, palette: Palette) -> Gene:
    """The gene in a file. Raises InputError when it cannot be read, GeneError when it is wrong."""
    shown = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(4 * MAX_TEXT + 1)
    except OSError as error:
        raise InputError(
            f"the gene {shown} cannot be read ({error.strerror}); name a .gene file"
        ) from error
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise GeneError(
            "this is no text: it holds a byte 0; name a .gene file",
            name=shown,
            text="",
            at=Position(line, 1),
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise GeneError(
            "this byte is not UTF-8 text", name=shown, text="", at=Position(line, 1)
        ) from None
    return Gene.parse(text, palette, name=shown)
