"""The page is whole without a network: whatever its files name is served, and licensed."""

import json
import posixpath
import re
from importlib.resources import files
from pathlib import Path

import pytest

from ring2_orchestrator.viewing import assets as served

NAMED = re.compile(r"""(?:\bfrom |\bimport |\b(?:src|href)=|new Worker\()["']([\w./-]+)["']""")
BARE = {"preact", "preact/hooks", "htm"}
TEXTS = [path for path in served.assets() if path.endswith((".mjs", ".css")) or path == "/"]
ROOT = Path(__file__).resolve().parents[2]
VENDORED = Path(str(files("ring2_orchestrator.viewing"))) / "vendored"


@pytest.mark.parametrize("path", TEXTS)
def test_what_a_file_names_is_served(path: str) -> None:
    found = served.asset(path)
    assert found is not None
    text = found.data.decode("utf-8")
    ours = not path.startswith("/vendored/")
    for name in NAMED.findall(text):
        if name not in BARE and (ours or name.startswith(".")):
            # A worker's name counts from the page, and the page lies at the top.
            leads = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
            assert served.asset(leads) is not None, f"{path} names {name}"
    if ours:
        assert not re.search(r"https?://(?!www\.w3\.org/)", text)


def test_no_style_or_script_stands_in_the_page_but_the_map_of_names() -> None:
    page = served.asset("/")
    assert page is not None
    text = page.data.decode("utf-8")
    assert re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", text) == [' type="importmap"']
    assert "<style" not in text
    assert not re.search(r"\s(?:style|on\w+)=", text)
    assert served.policy().count("'sha256-") == 1


def test_each_library_is_listed_with_its_version_and_its_licence() -> None:
    rows = (VENDORED / "README.md").read_text("utf-8")
    listed = re.findall(
        r"^\| `([\w.-]+)` \| `[^`]+` \| ([\d.]+) \| `[^`]+` \| (\S+), `([\w./-]+)` \|$",
        rows,
        re.MULTILINE,
    )
    there = {path.name for path in VENDORED.iterdir()} - {"README.md"}
    assert {row[0] for row in listed} == there
    parts = json.loads((ROOT / "licenses" / "parts.cdx.json").read_text("utf-8"))["components"]
    known = {
        (part["version"], part["licenses"][0]["license"]["id"], part["properties"][0]["value"])
        for part in parts
    }
    assert {row[1:] for row in listed} <= known
    assert all((ROOT / row[3]).is_file() for row in listed)
