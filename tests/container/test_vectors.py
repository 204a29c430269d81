"""Files that every reader of containers has to judge alike: this one, and that in JavaScript."""

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from cid_store.errors import RedoxaError
from ring0.host import Host
from ring0.kernel import Kernel
from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.packing import unpack
from ring2_orchestrator.toolbox import Toolbox
from tests.container.conftest import node

VECTORS = Path(__file__).parent / "vectors"
ROWS = [line.split("\t") for line in (VECTORS / "INDEX.tsv").read_text().splitlines()[1:]]


@pytest.fixture(scope="module")
def dated() -> Iterator[Toolbox]:
    """The kernels of the vectors, and no others."""
    modules = sorted((VECTORS / "kernels").glob("*.wasm"))
    found = [Kernel.from_wasm(path.read_bytes()) for path in modules]
    kernels = KernelSet(()).knowing(found)
    with Host(base=kernels.cids) as host:
        yield Toolbox(kernels, host)


def verdict(tools: Toolbox, name: str) -> str:
    out = io.BytesIO()
    try:
        source = BytesSource((VECTORS / f"{name}.rdx").read_bytes(), name)
        allowed = name.endswith("_allowed")
        unpack(Container(source, tools.kernels, allow_foreign=allowed), out, tools)
    except RedoxaError as error:
        return str(error.exit_code) if len(str(error).splitlines()) == 1 else str(error)
    return blake3(out.getvalue()).hexdigest()


@pytest.mark.parametrize(("name", "expected", "what"), ROWS, ids=[row[0] for row in ROWS])
def test_a_vector_is_judged_as_the_index_says(
    dated: Toolbox, name: str, expected: str, what: str
) -> None:
    assert verdict(dated, name) == expected, what


def test_every_file_has_a_row() -> None:
    assert {path.stem for path in VECTORS.glob("*.rdx")} == {name for name, _, _ in ROWS}


@pytest.mark.slow
def test_the_decoder_in_javascript_says_the_same() -> None:
    words = [node(), str(VECTORS.parent / "vectors.mjs"), str(VECTORS)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout
    assert said.splitlines() == [f"{name}\t{expected}" for name, expected, _ in ROWS]


@pytest.mark.slow
def test_the_decoder_in_javascript_is_a_program(tmp_path: Path) -> None:
    def run(*words: object) -> subprocess.CompletedProcess[bytes]:
        program = Path(__file__).parents[2] / "decoder_js" / "cli.mjs"
        kernels = ("--kernels", str(VECTORS / "kernels"))
        return subprocess.run(
            [node(), str(program), *map(str, words), *kernels],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip

    parts = VECTORS / "parts.rdx"
    whole = run(parts)
    assert whole.returncode == 0
    assert blake3(whole.stdout).hexdigest() == dict(row[:2] for row in ROWS)["parts"]
    assert run(parts, "--range", "70:900").stdout == whole.stdout[70:900]
    for words, code in (
        ((VECTORS / "refused_bomb.rdx",), 4),
        ((VECTORS / "refused_lacking.rdx",), 5),
        ((VECTORS / "carried_refused.rdx",), 5),
        ((tmp_path / "nothing",), 3),
        ((parts, "--range", "0:99999"), 3),
        ((parts, "--loud"), 2),
    ):
        done = run(*words)
        assert done.returncode == code
        assert done.stdout == b""
        assert done.stderr.startswith(b"cli.mjs: ")
        assert done.stderr.count(b"\n") == 1


def test_the_decoder_in_javascript_ends_as_documented_where_it_cannot_write() -> None:
    program = Path(__file__).parents[2] / "decoder_js" / "cli.mjs"
    words = [node(), str(program), str(VECTORS / "parts.rdx")]
    words += ["--kernels", str(VECTORS / "kernels")]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr.count(b"\n")) == (5, 1)
    assert done.stderr.startswith(b"cli.mjs: standard output cannot be written (ENOSPC)")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
