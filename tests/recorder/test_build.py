"""The helper is built from its sources wherever a compiler is, and its absence is one sentence."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ring0.host.trampoline import compile as trampoline
from ring2_orchestrator.recorder import binary
from ring2_orchestrator.recorder import compile as compiler
from ring2_orchestrator.recorder.errors import NoRecorderError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine on which nothing was built yet, with an empty cache."""
    binary.helper.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(binary, "NAME", "redoxa-trace-of-a-test")
    yield tmp_path
    binary.helper.cache_clear()


def test_the_helper_names_its_sources() -> None:
    assert compiler.digest().encode() in binary.helper().read_bytes()


def test_changed_sources_have_another_name(tmp_path: Path) -> None:
    for path in compiler.SOURCES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert compiler.digest(tmp_path) == compiler.digest()
    with (tmp_path / "main.c").open("ab") as file:
        file.write(b"\n")
    assert compiler.digest(tmp_path) != compiler.digest()


@pytest.mark.slow
def test_it_is_built_once_into_the_cache(fresh: Path) -> None:
    built = binary.helper()
    assert built.parent == fresh / "redoxa"
    stamp = built.stat().st_mtime_ns
    binary.helper.cache_clear()
    assert binary.helper() == built
    assert built.stat().st_mtime_ns == stamp
    assert [path.name for path in built.parent.iterdir()] == [built.name]


@pytest.mark.slow
def test_a_stale_helper_is_not_used(fresh: Path) -> None:
    stale = fresh / "redoxa" / f"{binary.NAME}-{compiler.digest()}"
    stale.parent.mkdir()
    stale.write_bytes(b"made from something else")
    stale.chmod(0o755)
    assert compiler.digest().encode() in binary.helper().read_bytes()


needs_zig = pytest.mark.skipif(
    compiler.zig_compiler() is None, reason="the ziglang package is not installed"
)


@pytest.mark.long
@needs_zig
def test_the_packaged_compiler_builds_it_too(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiler, "system_compiler", lambda: None)
    monkeypatch.setenv("HOME", "")  # no place to keep anything but the one it is given
    built = binary.helper()
    assert compiler.carries(built, compiler.digest())
    assert [path.name for path in built.parent.iterdir()] == [built.name]
    (tmp_path / "scratch").mkdir()
    done = subprocess.run(
        [built, "9", "-", tmp_path / "scratch", tmp_path, "0", "/bin/true"], check=False
    )
    assert done.returncode == 0
    assert (tmp_path / "scratch/events").stat().st_size > 100


def test_a_program_that_does_not_name_its_sources_is_not_the_helper(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As a linker would make it that drops what nothing refers to.
    nameless = tmp_path / "cc"
    nameless.write_text(
        "#!/bin/sh\n"
        'while [ "$1" != -o ]; do shift; done\n'
        'printf "#!/bin/true\\n" > "$2" && chmod +x "$2"\n'
    )
    nameless.chmod(0o755)
    monkeypatch.setenv("CC", str(nameless))
    monkeypatch.setattr(compiler, "zig_compiler", lambda: None)
    with pytest.raises(NoRecorderError, match="does not carry the name of its sources"):
        binary.helper()
    assert list((fresh / "redoxa").iterdir()) == []


def test_without_any_compiler_the_way_out_is_said(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "system_compiler", lambda: None)
    monkeypatch.setattr(compiler, "zig_compiler", lambda: None)
    with pytest.raises(NoRecorderError, match="install a C compiler, or `pip install ziglang"):
        binary.helper()


def test_elsewhere_recording_is_unavailable(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "can_record", lambda: False)
    with pytest.raises(NoRecorderError, match="on Linux"):
        binary.helper()


def test_a_compiler_that_does_not_work_is_no_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("cc", "gcc", "clang"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert compiler.system_compiler() is None


@pytest.fixture
def hook_module() -> ModuleType:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheels_build_asks_for_a_compiler_only_where_none_works(
    hook_module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hook = hook_module.CustomBuildHook(str(ROOT), {}, None, None, str(tmp_path), "wheel")
    if compiler.system_compiler() is not None:
        assert hook.dependencies() == ["cffi>=2.0"]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert hook.dependencies() == ["cffi>=2.0", "ziglang==0.17.1"]
    assert '"ziglang==0.17.1"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    monkeypatch.setenv("REDOXA_BUILD", "python")
    assert hook.dependencies() == []
    monkeypatch.undo()
    monkeypatch.setenv("REDOXA_BUILD", "release")
    assert hook.dependencies() == ["cffi>=2.0", "ziglang==0.17.1"], "whatever this machine has"


PACKAGES = ("redoxa", "cid_store", "ring0", "ring1_kernels", "ring2_orchestrator", "genes")


@pytest.fixture
def wheel(hook_module: ModuleType, tmp_path: Path) -> Callable[..., zipfile.ZipFile]:
    """Builds the wheel from a copy of this checkout, without a compiler on PATH."""
    copy = tmp_path / "copy"
    junk = shutil.ignore_patterns("__pycache__", binary.NAME, "*.so", ".tr*-*")
    for name in [*PACKAGES, "licenses"]:
        shutil.copytree(ROOT / name, copy / name, ignore=junk)
    (copy / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "redoxa.1", copy / "docs")
    for name in ["pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"]:
        shutil.copy(ROOT / name, copy)

    def build(**settings: str) -> zipfile.ZipFile:
        kept = {name: text for name, text in os.environ.items() if name not in ("CC", "HOME")}
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
            cwd=copy,
            env={**kept, "PATH": str(tmp_path), **settings},
            check=True,
            capture_output=True,
        )
        (made,) = tmp_path.glob("*.whl")
        return zipfile.ZipFile(made)

    return build


PACKAGED = "ring2_orchestrator/recorder/redoxa-trace"
TRAMPOLINE = "ring0/host/_trampoline.abi3.so"


@pytest.mark.long
@needs_zig
def test_a_wheel_made_without_a_system_compiler_holds_the_helper(
    wheel: Callable[..., zipfile.ZipFile], tmp_path: Path
) -> None:
    with wheel() as made:
        packaged = Path(made.extract(PACKAGED, tmp_path / "installed"))
        mode = made.getinfo(PACKAGED).external_attr >> 16
        if Path(sysconfig.get_path("include"), "Python.h").exists():
            assert trampoline.carries(Path(made.extract(TRAMPOLINE, tmp_path / "installed")))
    assert mode & 0o111
    packaged.chmod(mode)
    assert compiler.carries(packaged, compiler.digest())


@pytest.mark.slow
def test_a_wheel_can_be_made_where_no_compiler_can_be_had(
    wheel: Callable[..., zipfile.ZipFile],
) -> None:
    with wheel(REDOXA_BUILD="python") as made:
        assert made.filename is not None
        assert made.filename.endswith("-py3-none-any.whl")
        names = made.namelist()
    assert not {PACKAGED, TRAMPOLINE} & {*names}
    assert "ring2_orchestrator/recorder/trace/main.c" in names  # so it can still build itself


def test_building_needs_nothing_but_the_standard_library() -> None:
    code = f"import runpy; runpy.run_path({str(Path(compiler.__file__))!r})"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
