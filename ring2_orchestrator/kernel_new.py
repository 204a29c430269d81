"""A new kernel's folder, ready to be built: a small kernel that already passes its examination."""

import tomllib
from collections.abc import Sequence
from contextlib import suppress
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

    Raises ManifestError where the name is no kernel's, FolderExistsError or InputError; then
    nothing is left of it.
    """
    name = folder.name
    if not name:
        raise InputError(f"'{folder}' names no folder to make; give a kernel's name, such as: mine")
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
    parents = [one for one in folder.parents if not one.exists()]  # the innermost first
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise FolderExistsError(
            f"{folder} exists; choose another name, or build what is there with: "
            f"redoxa kernel build {folder}"
        ) from None
    except OSError as error:
        _remove(parents)
        raise _cannot(folder, error) from error
    try:
        for path, text in files.items():
            (folder / path).write_text(text, "utf-8")
    except BaseException as error:
        for path in files:
            with suppress(OSError):
                (folder / path).unlink(missing_ok=True)
        _remove([folder, *parents])
        if isinstance(error, OSError):
            raise _cannot(folder, error) from error
        raise
    return [folder / path for path in files]


def _remove(folders: Sequence[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it was never made, or somebody has put something into it
            folder.rmdir()


def _cannot(folder: Path, error: OSError) -> InputError:
    left = f"; what was begun is still there, in {folder}" if folder.is_dir() else ""
    return InputError(f"{folder} cannot be made ({error.strerror}); choose another{left}")
