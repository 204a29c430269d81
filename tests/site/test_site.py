"""The documentation site is built whole: links lead somewhere, and nothing comes from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import redoxa

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.slow
def test_each_public_name_has_its_place(site: Path) -> None:
    page = (site / "api.html").read_text("utf-8")
    for name in redoxa.__all__:
        value = getattr(redoxa, name)
        assert f'id="{value.__module__}.{value.__qualname__}"' in page


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(https?:[^"]*)"', text)
        loaded += re.findall(
            r'<link\b[^>]*rel="(?:stylesheet|icon|preconnect)"[^>]*href="(https?:[^"]*)', text
        )
        assert not loaded, page


@pytest.mark.slow
def test_links_between_folders_are_kept(site: Path) -> None:
    assert 'href="ring1_kernels/ABI.html"' in (site / "kernels.html").read_text("utf-8").replace(
        "source/", ""
    )
    assert (site / "source" / "bench" / "results" / "overhead.html").exists()
