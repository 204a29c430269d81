"""The genes that ship with Redoxa, and genes named on the command line."""

import re
from importlib import resources
from pathlib import Path

from cid_store.errors import InputError
from ring2_orchestrator.gene import Gene, Palette, read_gene
from ring2_orchestrator.gene.errors import did_you_mean

SUFFIX = ".gene"
_NAME = re.compile(r"[A-Za-z0-9_.-]*")


def library_names() -> list[str]:
    """The names of the shipped genes, sorted."""
    root = resources.files("genes")
    return sorted(
        entry.name.removesuffix(SUFFIX) for entry in root.iterdir() if entry.name.endswith(SUFFIX)
    )


def library_gene(name: str, palette: Palette) -> Gene:
    """A shipped gene. Raises InputError when there is none of that name."""
    names = library_names()
    if name not in names:
        hint = did_you_mean(name, names) or f"; there are {', '.join(names)}"
        raise InputError(f"no gene named '{name}'{hint}")
    text = (resources.files("genes") / f"{name}{SUFFIX}").read_text("utf-8")
    return Gene.parse(text, palette, name=name)


def gene_from(text_or_name: str, palette: Palette) -> Gene:
    """A gene from its text, or a shipped one by its name. Raises GeneError or InputError.

    What could be a name is one: no text of a gene does without a space.
    """
    if _NAME.fullmatch(text_or_name):
        return library_gene(text_or_name, palette)
    return Gene.parse(text_or_name, palette)


def library(palette: Palette) -> list[Gene]:
    """Every shipped gene, in the order of their names."""
    return [library_gene(name, palette) for name in library_names()]


def find_gene(name_or_file: str, palette: Palette) -> Gene:
    """A gene by file (a path or a name ending in .gene), or else by its name in the library."""
    path = Path(name_or_file)
    if name_or_file.endswith(SUFFIX) or len(path.parts) > 1:
        return read_gene(path, palette)
    return library_gene(name_or_file, palette)
