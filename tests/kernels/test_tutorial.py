"""docs/kernels.md, followed word for word in an empty place."""

import re
import shutil
from pathlib import Path

import pytest

from ring0.abi import Op
from ring0.examination import examine
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Result
from ring2_orchestrator import kernel_build
from ring2_orchestrator.commands import main
from ring2_orchestrator.kernel_build import ToolchainError, source_root
from ring2_orchestrator.kernel_vectors import read_cases

FLAGS = re.DOTALL | re.MULTILINE
PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.slow
def test_the_tutorial_ends_with_a_checked_kernel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], host: Host
) -> None:
    try:
        kernel_build.require_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))
    folder = tmp_path / "ring1_kernels" / "reverse"
    (folder / "vectors").mkdir(parents=True)
    shutil.copy(source_root() / "abi.h", folder.parent)
    manifest, vector = blocks("toml")
    (folder / "kernel.toml").write_text(manifest)
    (folder / "reverse.c").write_text(blocks("c")[0])
    (folder / "vectors" / "four_bytes.toml").write_text(vector)
    (folder / "vectors" / "four_bytes.in").write_bytes(b"abcd")
    (folder / "vectors" / "four_bytes.out").write_bytes(b"dcba")

    build, check, _ = (line.split() for line in blocks("sh"))
    assert build[:3] == ["redoxa", "kernel", "build"]
    assert main(["kernel", "build", str(tmp_path / build[3])]) == 0
    wasm = (tmp_path / check[-1]).read_bytes()
    kernel = Kernel.from_wasm(wasm)
    assert capsys.readouterr().out == f"reverse {kernel.cid}\n"
    examination = examine(wasm, host)
    assert examination.passed, [one.sentence for one in examination.checks if not one.passed]
    for case in read_cases(folder):
        made = host.call(kernel, Op.FORWARD, case.params, case.inputs)
        assert made == Result([*case.outputs], made.fuel if isinstance(made, Result) else None)


def test_a_folder_that_does_not_build_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kernel", "build", str(tmp_path / "nothing")]) == 3
    assert re.fullmatch(
        r"redoxa: .*nothing\S* (has no|cannot be read).*\n", capsys.readouterr().err
    )
