"""CAR files: objects of a store, and blocks that other tools made, in one file for any IPLD tool.

The form is fixed in docs/formats/car.md.
"""

from cid_store.car.archive import Archive, Imported, archives_of, import_car, open_archive
from cid_store.car.export import Exported, export_archive, export_objects

__all__ = [
    "Archive",
    "Exported",
    "Imported",
    "archives_of",
    "export_archive",
    "export_objects",
    "import_car",
    "open_archive",
]
