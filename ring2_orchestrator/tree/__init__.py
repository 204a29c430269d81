"""Directory trees in a store: taken from a folder or an archive, and put back inside one folder.

The form is fixed in docs/formats/tree.md.
"""

from ring2_orchestrator.tree.archives import add_archive, default_limit
from ring2_orchestrator.tree.folders import add_folder
from ring2_orchestrator.tree.survey import Limits, Totals, room_on, survey
from ring2_orchestrator.tree.writing import checkout

__all__ = [
    "Limits",
    "Totals",
    "add_archive",
    "add_folder",
    "checkout",
    "default_limit",
    "room_on",
    "survey",
]
