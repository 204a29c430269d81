"""The repository examines itself: style, arrows, kernel folders, genes, documentation, claims."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ring2_orchestrator.commands import COMMANDS, EXIT_CODES
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.planner import find_gene

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 450
LONGEST_TEST = 600
CODE = {".py", ".c", ".h", ".sh", ".toml", ".lark", ".gene"}
TEXT = CODE | {".md"}
UNTRACKED = {".git", ".venv", "__pycache__", ".hypothesis", "node_modules", "build", "dist", "out"}

# Where somebody worked, and on whose machine, is no part of the project.
MACHINE_PATH = re.compile(r"(?<![\w.~*/])/(?:work|root|Users|home/(?!me\b|you\b)\w+)/[\w.]")
OTHER_HANDS = re.compile(
    r"co-authored-by|language model|\bLLM\b|AI[- ](?:generated|assist)", re.IGNORECASE
)
GRAND_WORDS = re.compile(r"\b(organism|conscious(ness)?|quantum|superposition)\b", re.IGNORECASE)
THIS_FILE = Path(__file__).resolve()


def repository_files() -> list[Path]:
    """What git would commit; in a copy without git, everything but caches."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        files = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:
        files = [
            path for path in ROOT.rglob("*") if not UNTRACKED & set(path.relative_to(ROOT).parts)
        ]
    return sorted({path for path in files if path.is_file()})


FILES = repository_files()
TEXTS = [path for path in FILES if path.suffix in TEXT and path != THIS_FILE]
PAGES = [path for path in FILES if path.suffix == ".md"]
KERNELS = sorted(path.parent for path in (ROOT / "ring1_kernels").glob("*/kernel.toml"))
GENES = sorted((ROOT / "genes").glob("*.gene"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tool(*command: str) -> "subprocess.CompletedProcess[str]":
    """A checker's own run, with colours left out."""
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def said(result: "subprocess.CompletedProcess[str]") -> str:
    return f"{result.stdout}\n{result.stderr}"


# Style and arrows


def test_the_linter_is_content() -> None:
    result = tool("ruff", "check", "--no-cache")
    assert result.returncode == 0, said(result)


def test_the_formatter_would_change_nothing() -> None:
    result = tool("ruff", "format", "--no-cache", "--diff")
    assert result.returncode == 0, said(result)


@pytest.mark.slow
def test_imports_point_inward_and_through_the_doors() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, said(result)


@pytest.mark.slow
def test_the_types_hold_in_strict_mode(types_checked: tuple[int, str]) -> None:
    code, words = types_checked
    assert code == 0, words


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix in CODE], ids=relative)
def test_a_file_is_short_enough_to_be_one_thing(path: Path) -> None:
    lines = len(path.read_text("utf-8").splitlines())
    longest = LONGEST_TEST if path.is_relative_to(ROOT / "tests") else LONGEST_FILE
    assert lines < longest, f"{relative(path)} has {lines} lines; is it still one thing?"


def test_no_file_betrays_a_machine_or_grand_words() -> None:
    found = [
        f"{relative(path)}:{number}: {match.group()!r}"
        for path in TEXTS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for pattern in (MACHINE_PATH, OTHER_HANDS, GRAND_WORDS)
        if (match := pattern.search(line))
    ]
    assert not found, "\n".join(found)


# Kernels and genes


def in_ring_1(path: Path) -> bool:
    return path.is_relative_to(ROOT / "ring1_kernels")


def test_no_file_is_as_large_as_a_download() -> None:
    """Whoever clones takes it along for ever; the largest is a hostile module of 2 MB."""
    assert [path.name for path in repository_files() if path.stat().st_size > 2 << 20] == []


def test_ring_1_holds_no_python() -> None:
    found = [relative(path) for path in FILES if in_ring_1(path)]
    assert found, "ring 1 is empty"
    assert not [name for name in found if name.endswith((".py", ".pyi", ".pyx"))]


@pytest.mark.parametrize("folder", KERNELS, ids=lambda folder: folder.name)
def test_a_kernel_folder_is_whole(folder: Path) -> None:
    name = folder.name
    manifest = tomllib.loads((folder / "kernel.toml").read_text("utf-8"))
    assert manifest["name"] == name, "a kernel is called what its folder is called"
    assert (folder / "spec.md").read_text("utf-8").strip(), "spec.md says what the bytes mean"
    assert (folder / f"{name}.wasm").read_bytes()[:8] == b"\0asm\x01\0\0\0"
    sources = [path for path in folder.glob(f"{name}.*") if path.suffix != ".wasm"]
    assert sources, f"the source of {name} is missing"
    cases = sorted((folder / "vectors").glob("*.toml"))
    assert cases, f"{name} has no vectors"
    for case in cases:
        assert list(case.parent.glob(f"{case.stem}.in*")), f"{case.name} has no input"


def test_a_folder_in_ring_1_is_a_kernel() -> None:
    inside = [path.relative_to(ROOT / "ring1_kernels") for path in FILES if in_ring_1(path)]
    folders = {path.parts[0] for path in inside if len(path.parts) > 1}
    assert folders == {folder.name for folder in KERNELS}
    assert len(KERNELS) >= 8


@pytest.mark.parametrize("path", GENES, ids=lambda path: path.stem)
def test_a_gene_of_the_library_parses_and_checks(path: Path) -> None:
    palette = {kernel.name: kernel for kernel in KernelSet.shipped()}
    assert find_gene(path.stem, palette).name == path.stem


# Documentation


def readme() -> str:
    return (ROOT / "README.md").read_text("utf-8")


def test_every_command_is_in_the_readme_with_its_own_summary() -> None:
    rows = dict(re.findall(r"^\| `redoxa (\w+)[^`]*` \| (.+?) \|$", readme(), re.MULTILINE))
    assert rows == COMMANDS


def test_the_readme_and_the_help_give_the_same_exit_codes() -> None:
    listed, _, after = EXIT_CODES.partition("\n`redoxa run`")
    codes = dict(re.findall(r"^  (\d+) +(.+)$", listed, re.MULTILINE))
    rows = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", readme(), re.MULTILINE))
    assert rows == codes
    assert " ".join(("`redoxa run`" + after).split()) in " ".join(readme().split())


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", text)


def headings(page: Path) -> set[str]:
    """The anchors a page offers, spelled the way web hosts of repositories spell them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{relative(page)} links to {link}, which is not there"
        if anchor:
            assert anchor in headings(target), f"{relative(page)}: no heading for {link}"


def linked_from(page: Path) -> set[Path]:
    return {(page.parent / link.partition("#")[0]).resolve() for link in links(page)}


def test_the_index_leads_to_every_page() -> None:
    docs = ROOT / "docs"
    pages = {
        path for path in PAGES if path.is_relative_to(docs) and path.parent != docs / "decisions"
    }
    missing = pages - linked_from(docs / "index.md") - {docs / "index.md"}
    assert not missing, f"docs/index.md does not list {sorted(map(relative, missing))}"


def test_the_architecture_names_every_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    folders = {path.parent for path in FILES if path.suffix in CODE}
    rings = ("cid_store", "ring0", "ring2_orchestrator")
    names = {
        f"{ring}.{folder.name}"
        for ring in rings
        for folder in folders
        if folder.parent == ROOT / ring
    }
    missing = sorted(name for name in names if f"| `{name}` |" not in page)
    assert not missing, f"docs/architecture.md does not say what {', '.join(missing)} is"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    missing = {*folder.glob("*.md")} - {folder / "README.md"} - linked_from(folder / "README.md")
    assert not missing, f"docs/decisions/README.md does not list {sorted(map(relative, missing))}"


def test_the_change_log_tells_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    entry = re.search(
        rf"^## {re.escape(version)}\b.*?\n(.*?)(?=^## |\Z)", log, re.MULTILINE | re.DOTALL
    )
    assert entry, f"CHANGELOG.md says nothing of {version}"
    assert entry.group(1).strip(), f"CHANGELOG.md has no lines under {version}"


# The two commands


def readme_commands() -> list[str]:
    """The two commands a stranger types: the first indented block that starts with python3."""
    return re.findall(r"^ {4}(python3 scripts/\S+ \w+)$", readme(), re.MULTILINE)[:2]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    demo, test = readme_commands()
    assert demo.split()[-1] == "demo"
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert test in lines, f"`.ci/run` has no line `{test}`"
    assert "set -euo pipefail" in lines


def test_set_up_needs_nothing_but_python() -> None:
    source = (ROOT / "scripts" / "start.py").read_text("utf-8")
    tree = ast.parse(source, feature_version=(3, 6))  # an older Python must get as far as its check
    modules = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    outside = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}
    assert not outside
