"""A new kernel's folder, ready to be built: a small kernel that already passes its examination."""

import tomllib
from importlib import resources
from pathlib import Path

from cid_store.errors import InputError
from ring0.manifest import from_table

# The source's ending, and the ABI's own file in that language.
LANGUAGES = {"c": "abi.h", "zig": "abi.zig"}
_NAME = "NAME"


class FolderExistsError(InputError):
    """Something of that name is there already."""


def create(folder: Path, language: str) -> list[Path]:
    """Make the folder of a kernel of that name; what was written, in order. Nothing is replaced.

    Raises ManifestError where the name is no kernel's, FolderExistsError or InputError.
    """
    name = folder.name
    templates = resources.files("ring2_orchestrator") / "kernel_templates"

    def filled(template: str) -> str:
        return (templates / template).read_text("utf-8").replace(_NAME, name)

    template = tomllib.loads((templates / "kernel.toml.txt").read_text("utf-8"))
    from_table({**template, "name": name})  # a name that is none is refused here
    abi = LANGUAGES[language]
    files = {
        "kernel.toml": filled("kernel.toml.txt"),
        f"{name}.{language}": filled(f"kernel.{language}.txt"),
        abi: (resources.files("ring1_kernels") / abi).read_text("utf-8"),
        "spec.md": filled("spec.md"),
    }
    try:
        folder.mkdir(parents=True)
        for path, text in files.items():
            (folder / path).write_text(text, "utf-8")
    except FileExistsError:
        raise FolderExistsError(
            f"{folder} exists; choose another name, or build what is there with: "
            f"redoxa kernel build {folder}"
        ) from None
    except OSError as error:
        raise InputError(f"{folder} cannot be made ({error.strerror}); choose another") from error
    return [folder / path for path in files]
