"""The planner: which plan makes the smallest container of some data."""

from ring2_orchestrator.planner.library import (
    find_gene,
    gene_from,
    library,
    library_gene,
    library_names,
)
from ring2_orchestrator.planner.moves import graft
from ring2_orchestrator.planner.periods import Periods
from ring2_orchestrator.planner.profile import (
    BALANCED,
    FAST,
    MAX,
    PROFILES,
    Profile,
    find_profile,
    in_turn,
)
from ring2_orchestrator.planner.proposing import (
    FALLBACK,
    SEARCH,
    Proposal,
    propose,
    retry,
    so_far,
    start,
)
from ring2_orchestrator.planner.sample import Sample, take_sample
from ring2_orchestrator.planner.search import (
    BEAM,
    Frontier,
    Search,
    run_search,
    select_best,
    tick,
)
from ring2_orchestrator.planner.yardstick import Yardstick

__all__ = [
    "BALANCED",
    "BEAM",
    "FALLBACK",
    "FAST",
    "MAX",
    "PROFILES",
    "SEARCH",
    "Frontier",
    "Periods",
    "Profile",
    "Proposal",
    "Sample",
    "Search",
    "Yardstick",
    "find_gene",
    "find_profile",
    "gene_from",
    "graft",
    "in_turn",
    "library",
    "library_gene",
    "library_names",
    "propose",
    "retry",
    "run_search",
    "select_best",
    "so_far",
    "start",
    "take_sample",
    "tick",
]
