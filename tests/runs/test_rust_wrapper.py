"""rustc through its wrapper, as cargo calls it: libraries beside one another, jobs counted."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from ring2_orchestrator.runs.crates import dependency_folders
from ring2_orchestrator.runs.execute import execute
from ring2_orchestrator.runs.result import RunResult
from tests.runs.desk import unheard

INSTALLED = Path(sys.executable).with_name("redoxa-run")
NOT_ANSWERED = 125
LEAF, TOP = "pub fn leaf() -> u8 { 1 }\n", "pub fn top() -> u8 { leaf::leaf() }\n"


def lib(name: str, *more: str) -> list[str]:
    """The words with which cargo would have a library compiled."""
    kinds = ["--crate-type", "lib", "--emit=dep-info,metadata,link"]
    named = ["-C", f"metadata={name}", "-C", f"extra-filename=-{name}0", "--out-dir", "deps"]
    return ["--crate-name", name, f"{name}.rs", *kinds, *named, "-L", "dependency=deps", *more]


def sysroot() -> str:
    """Where the compiler lies; nothing where there is none, or rustup's that has no toolchain."""
    compiler = shutil.which("rustc")
    if compiler is None:
        return ""
    asked = [compiler, "--print", "sysroot"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


class Rust:
    """Two crates of which one needs the other, a home, and the wrapper without its Python."""

    def __init__(self, base: Path) -> None:
        self.home = base / "home"
        self.project = base / "project"
        (self.project / "deps").mkdir(parents=True)
        (self.project / "leaf.rs").write_text(LEAF)
        (self.project / "top.rs").write_text(TOP)
        self.wrapper = base / "tools" / "redoxa-rustc"
        self.wrapper.parent.mkdir()
        shutil.copy2(INSTALLED, self.wrapper)
        kept = ("PATH", "HOME", "RUSTUP_HOME", "CARGO_HOME", "RUSTUP_TOOLCHAIN")
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= {"REDOXA_HOME": str(self.home), "TMPDIR": str(base)}
        # Where `rustc` is rustup's, the compiler itself: rustup looks at more than it needs.
        self.rustc = str(Path(sysroot()) / "bin" / "rustc")

    def record(self, words: list[str], **env: str) -> RunResult:
        with Home(self.home) as home, unheard() as stdin:
            return execute(
                [self.rustc, *words],
                home=home,
                cwd=self.project,
                env={**self.env, **env},
                stdin=stdin,
                compiler=True,
            )

    def answers(self, words: list[str], **env: str) -> bool:
        done = subprocess.run(
            [self.wrapper, self.rustc, *words],
            cwd=self.project,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode in (0, NOT_ANSWERED)
        return done.returncode == 0

    def clean(self) -> dict[str, bytes]:
        deps = self.project / "deps"
        were = {path.name: path.read_bytes() for path in deps.iterdir()}
        shutil.rmtree(deps)
        deps.mkdir()
        return were

    def made(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.project / "deps").iterdir()}


@pytest.fixture
def rust(tmp_path: Path) -> Rust:
    if not sysroot():
        pytest.skip("there is no rustc")
    if not INSTALLED.exists():
        pytest.skip("redoxa-run is not installed here")
    return Rust(tmp_path)


@pytest.mark.slow
def test_a_cleaned_build_is_put_back_whatever_else_lies_beside_it(rust: Rust) -> None:
    top = lib("top", "--extern", "leaf=deps/libleaf-leaf0.rmeta")
    assert rust.record(lib("leaf")).published
    assert rust.record(top).published
    (rust.project / "deps" / "libother-1.rlib").write_bytes(b"of another crate")
    were = rust.clean()
    assert rust.answers(lib("leaf"))
    assert rust.answers(top)
    assert {**rust.made(), "libother-1.rlib": b"of another crate"} == were
    (rust.project / "leaf.rs").write_text(LEAF.replace("1", "2"))
    assert not rust.answers(lib("leaf"))
    assert rust.record(lib("leaf")).published
    assert not rust.answers(top)


@pytest.mark.slow
def test_a_parallel_build_leaves_no_doubt(rust: Rust) -> None:
    reader, writer = os.pipe()
    try:
        for fd in (reader, writer):
            os.set_inheritable(fd, True)
        os.write(writer, b"+")
        jobs = f"-j --jobserver-fds={reader},{writer} --jobserver-auth={reader},{writer}"
        result = rust.record(lib("leaf", "-C", "codegen-units=4", "-O"), CARGO_MAKEFLAGS=jobs)
        assert result.doubts == ()
        assert os.read(reader, 2) == b"+"  # whoever took it has given it back
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.slow
def test_a_variable_that_the_source_reads_counts(rust: Rust) -> None:
    (rust.project / "leaf.rs").write_text('pub const WORD: &str = env!("WORD");\n')
    rust.record(lib("leaf"), WORD="one")
    rust.clean()
    assert not rust.answers(lib("leaf"), WORD="two")
    assert rust.answers(lib("leaf"), WORD="one")


def test_only_folders_for_dependencies_alone_are_not_listed(tmp_path: Path) -> None:
    words = ["-L", "dependency=deps", "-Ldependency=more", "-L", "native=lib", "-L", "more"]
    (tmp_path / "link").symlink_to("deps")
    found = dependency_folders(["/bin/rustc", *words, "-L", "dependency=link"], tmp_path)
    assert found == {bytes(tmp_path / "deps")}
    assert dependency_folders(["/bin/cc", *words], tmp_path) == frozenset()
