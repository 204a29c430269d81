"""What the documentation site holds besides docs/: pages from other folders, and the API.

mkdocs calls the functions named `on_...` here (mkdocs.yml, `hooks`).
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
DOCS = "docs"
API = "api.md"
# Pages that lie beside what they describe; on the site they lie in a folder of their own.
OUTSIDE = "source"
FOLDERS = (".", "bench/results", "decoder_js", "demos", "ring1_kernels")

_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
_ROW = re.compile(r"^\| \[([^\]]+)\]\(([^)#\s]+\.md)\) \|", re.MULTILINE)


def on_config(config: "MkDocsConfig") -> "MkDocsConfig":
    """The navigation, as docs/index.md and docs/decisions/README.md list their pages."""
    pages, _, formats = (ROOT / DOCS / "index.md").read_text("utf-8").partition("## Formats")
    decisions = (ROOT / DOCS / "decisions" / "README.md").read_text("utf-8")
    config.nav = [
        {"Documentation": "index.md"},
        {"README": _on_site("README.md")},
        *_entries(pages, DOCS),
        {"Python API": API},
        {"Formats": list(_entries(formats, DOCS))},
        {"Decisions": ["decisions/README.md", *_entries(decisions, f"{DOCS}/decisions")]},
        {"Beside the code": list(_titled("decoder_js", "demos", "ring1_kernels"))},
        {"Measured": list(_titled("bench/results"))},
        {"Changes": _on_site("CHANGELOG.md")},
    ]
    return config


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages from outside docs/, and the one of the API."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - known only to who builds the site

    for folder in FOLDERS:
        for path in _outside(folder):
            files.append(File.generated(config, _on_site(path), content=_read(path)))
        for path in sorted((ROOT / folder).glob("*.svg")):
            name = _on_site(path.relative_to(ROOT).as_posix())
            files.append(File.generated(config, name, content=path.read_bytes()))
    files.append(File.generated(config, API, content=_api()))
    return files


def on_page_markdown(markdown: str, page: "Page", **_: object) -> str:
    """Links between docs/ and the rest lead to the pages here; what is no page is only named."""
    here = page.file.src_uri
    source = (
        here.removeprefix(f"{OUTSIDE}/") if here.startswith(f"{OUTSIDE}/") else f"{DOCS}/{here}"
    )

    def replaced(link: re.Match[str]) -> str:
        mark, text, target = link.groups()
        if re.match(r"[a-z]+:|#", target):
            return link[0]
        name, hash_, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        if not _is_page(path):
            return text
        leads = posixpath.relpath(_on_site(path), posixpath.dirname(here) or ".")
        return f"{mark}[{text}]({leads}{hash_}{anchor})"

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(replaced, part) for part in parts)


def _entries(text: str, folder: str) -> Iterator[dict[str, str]]:
    for title, target in _ROW.findall(text):
        yield {title: _on_site(posixpath.normpath(f"{folder}/{target}"))}


def _titled(*folders: str) -> Iterator[dict[str, str]]:
    for folder in folders:
        for path in _outside(folder):
            yield {_title(path): _on_site(path)}


def _on_site(path: str) -> str:
    """Where the site has a file of the repository."""
    return path.removeprefix(f"{DOCS}/") if path.startswith(f"{DOCS}/") else f"{OUTSIDE}/{path}"


def _is_page(path: str) -> bool:
    folder, suffix = posixpath.dirname(path) or ".", posixpath.splitext(path)[1]
    known = path.startswith(f"{DOCS}/") or folder in FOLDERS
    return known and suffix in (".md", ".png", ".svg") and (ROOT / path).is_file()


def _outside(folder: str) -> Iterator[str]:
    for path in sorted((ROOT / folder).glob("*.md")):
        yield path.relative_to(ROOT).as_posix()


def _read(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def _title(path: str) -> str:
    return _read(path).partition("\n")[0].lstrip("# ")


def _api() -> str:
    """A section for each public name, from its docstring."""
    import redoxa  # noqa: PLC0415 - known only where the site is built

    lines = ["# Python API", "", "What `import redoxa` offers."]
    for name in sorted(redoxa.__all__, key=str.lower):
        value = getattr(redoxa, name)
        lines += ["", f"::: {value.__module__}.{value.__qualname__}"]
    return "\n".join(lines) + "\n"
