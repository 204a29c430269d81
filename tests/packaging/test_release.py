"""What a release is refused for, and what is said of the package in more than one place."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PARTS = json.loads((ROOT / "licenses" / "parts.cdx.json").read_text("utf-8"))["components"]


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def git(tree: Path, *words: str) -> None:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", tree, *who, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository of one commit of version 1.2."""
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "redoxa"\nversion = "1.2"\n')
    (folder / "CHANGELOG.md").write_text("# Changes\n\n## 1.2\n\n- New.\n\n## 1.1\n\n- Old.\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "one")
    return folder


def test_a_change_log_of_another_version_or_of_nothing_is_refused(
    release: ModuleType, tree: Path
) -> None:
    release.check_changes(tree, "1.2")
    with pytest.raises(release.ReleaseError, match=r"begins with 1\.2 and .* says 1\.3"):
        release.check_changes(tree, "1.3")
    (tree / "CHANGELOG.md").write_text("# Changes\n\n## 1.3\n\n## 1.2\n\n- New.\n")
    with pytest.raises(release.ReleaseError, match=r"says nothing of 1\.3"):
        release.check_changes(tree, "1.3")


def test_a_version_that_is_tagged_elsewhere_is_refused(release: ModuleType, tree: Path) -> None:
    release.check_tag(tree, "1.2")
    git(tree, "tag", "v1.2")
    release.check_tag(tree, "1.2")
    git(tree, "commit", "--allow-empty", "-m", "two")
    with pytest.raises(release.ReleaseError, match=r"v1\.2 is another commit; raise the version"):
        release.check_tag(tree, "1.2")


def test_a_tree_with_changes_is_refused_in_a_sentence(
    release: ModuleType,
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(release, "ROOT", tree)
    (tree / "new.txt").touch()
    assert release.main([]) == 1
    assert "the tree has changes; commit them or put them away" in capsys.readouterr().err
    (tree / "new.txt").unlink()
    (tree / "dist" / "1.2").mkdir(parents=True)
    (tree / ".git" / "info" / "exclude").write_text("dist\n")
    (tree / "dist" / "1.2" / "old.whl").touch()
    assert release.main([]) == 1
    assert "holds files; a release is made once" in capsys.readouterr().err


def test_builds_that_differ_are_refused(release: ModuleType, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / "a.whl").write_bytes(b"same")
    release.check_same(one, other)
    (other / "a.whl").write_bytes(b"not the same")
    with pytest.raises(release.ReleaseError, match=r"two different a\.whl"):
        release.check_same(one, other)
    (other / "a.whl").rename(other / "b.whl")
    with pytest.raises(release.ReleaseError, match="different names"):
        release.check_same(one, other)


def test_a_wheel_without_a_licence_is_refused(release: ModuleType, tmp_path: Path) -> None:
    needed = sorted({"LICENSE", *release.licences_of(ROOT)})

    def made(told: list[str], inside: list[str]) -> Path:
        path = tmp_path / "redoxa-1-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            fields = "".join(f"License-File: {name}\n" for name in told)
            archive.writestr("redoxa-1.dist-info/METADATA", f"Name: redoxa\n{fields}\nA text.\n")
            for name in inside:
                archive.writestr(f"redoxa-1.dist-info/licenses/{name}", "text")
        return path

    release.check_licences(made(needed, needed), ROOT)
    for told, inside in ((needed[1:], needed), (needed, needed[1:])):
        with pytest.raises(release.ReleaseError, match=f"lacks the licence {needed[0]}"):
            release.check_licences(made(told, inside), ROOT)


def test_each_part_of_others_has_its_licence_and_each_licence_its_part(
    release: ModuleType,
) -> None:
    there = {f"licenses/{path.name}" for path in (ROOT / "licenses").glob("*.txt")}
    assert release.licences_of(ROOT) == there
    assert all(part["licenses"] and part["version"] and part["description"] for part in PARTS)
    assert all((ROOT / name).stat().st_size > 500 for name in there)
    page = (ROOT / "docs" / "packaging.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in there), "docs/packaging.md tells of each part"
    pytest.importorskip("cyclonedx", reason="redoxa[release] is not installed")
    release.check_materials((ROOT / "licenses" / "parts.cdx.json").read_text("utf-8"))


def test_the_parts_are_those_of_the_pinned_compiler() -> None:
    (zig,) = (part for part in PARTS if part["bom-ref"] == "zig-compiler-rt")
    assert PROJECT["optional-dependencies"]["kernels"] == [f"ziglang=={zig['version']}"]
    found = importlib.util.find_spec("ziglang")
    if found is None or found.origin is None:
        pytest.skip("the ziglang package is not installed")
    folder = Path(found.origin).parent
    (musl,) = (part for part in PARTS if part["bom-ref"] == "musl")
    said = (folder / "lib/libc/musl/src/internal/version.h").read_text("utf-8")
    assert f'"{musl["version"]}"' in said
    for name, own in (("zig.txt", "LICENSE"), ("musl.txt", "lib/libc/musl/COPYRIGHT")):
        assert (ROOT / "licenses" / name).read_bytes() == (folder / own).read_bytes()


def test_every_extra_is_explained() -> None:
    page = (ROOT / "docs" / "packaging.md").read_text("utf-8")
    table = page.partition("## Extras")[2].partition("## ")[0]
    rows = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", table, re.MULTILINE))))
    assert rows == set(PROJECT["optional-dependencies"])
    named = {"s3", "plot", "zarr", "pytest", "docs", "kernels"}
    assert named <= rows


def test_the_version_is_said_in_one_place() -> None:
    assert "version" not in PROJECT.get("dynamic", [])
    said = [
        path
        for folder in ("redoxa", "cid_store", "ring0", "ring2_orchestrator", "scripts")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(rf"[\"']{re.escape(PROJECT['version'])}[\"']", path.read_text("utf-8"))
    ]
    assert said == []


@pytest.mark.long
def test_a_release_is_made_and_tried(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx", reason="redoxa[release] is not installed")
    pytest.importorskip("ziglang", reason="redoxa[release] builds with the pinned compiler")
    if not (ROOT / ".git").exists():
        pytest.skip("a release is made from a clone")
    script, out = ROOT / "scripts" / "release.py", tmp_path / "out"
    done = subprocess.run(
        [sys.executable, script, "--dry-run", "--output", out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = [line.split()[1] for line in done.stdout.splitlines()]
    version = PROJECT["version"]
    assert names[-1] == f"redoxa-{version}.tar.gz"
    assert f"redoxa-{version}.cdx.json" in names
    assert any(re.search(r"-py3-none-manylinux_2_28_\w+\.whl$", name) for name in names)
    assert not out.exists()
