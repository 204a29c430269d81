"""The same bytes in every engine: the host's, the engine without optimisation, and Node's V8."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ring0.abi import Op
from ring0.host import Host
from ring0.kernel import Kernel
from ring0.outcome import Refused, Result
from ring2_orchestrator.kernel_build import kernel_folders, source_root
from ring2_orchestrator.kernels import KernelSet
from tests.kernels.conftest import draws

HARNESS = Path(__file__).with_name("harness.mjs")
NAMES = KernelSet.shipped().names
DEADLINE_S = 300  # V8 counts no fuel
drawn = pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.long)])


def node(pairs: list[tuple[Path, Path]]) -> list[dict[str, Any]]:
    """What Node makes of the vectors in each folder with the module beside it."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed, so nothing is compared with V8")
    words = [str(path) for pair in pairs for path in pair]
    done = subprocess.run(
        [program, HARNESS, *words], capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def write_drawn(kernel: Kernel, host: Host, folder: Path, count: int) -> None:
    """The host's answers to so many draws, as vectors."""
    for number, (params, inputs) in enumerate(draws(kernel, count)):
        made = host.call(kernel, Op.FORWARD, params, inputs)
        lines = ['about = "drawn"', f'bytes = "{params.hex()}"']
        outputs: list[bytes] = []
        if isinstance(made, Refused):
            lines.append(f"refuse = {made.code}")
        else:
            assert isinstance(made, Result)
            outputs = made.outputs
        (folder / f"{number}.toml").write_text("\n".join(lines))
        for kind, ports in (("in", inputs), ("out", outputs)):
            for port, data in enumerate(ports):
                (folder / f"{number}.{kind}.{port}").write_bytes(data)


@pytest.mark.slow
def test_v8_agrees_on_every_vector() -> None:
    folders = kernel_folders()
    answers = node([(folder / f"{folder.name}.wasm", folder / "vectors") for folder in folders])
    assert [Path(answer["folder"]).parent.name for answer in answers] == [f.name for f in folders]
    for answer in answers:
        assert answer["calls"] > 10
        assert not answer["wrong"]


@pytest.mark.slow
@drawn
def test_v8_agrees_on_drawn_inputs(
    count: int, kernels: KernelSet, host: Host, tmp_path: Path
) -> None:
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        write_drawn(kernels.by_name(name), host, folder, count)
    pairs = [(source_root() / name / f"{name}.wasm", tmp_path / name) for name in NAMES]
    for answer in node(pairs):
        assert answer["calls"] >= count
        assert not answer["wrong"], answer["folder"]


@drawn
@pytest.mark.parametrize("name", NAMES)
def test_optimisation_changes_nothing(
    name: str, count: int, kernels: KernelSet, host: Host, bare: Callable[..., Any]
) -> None:
    kernel = kernels.by_name(name)
    for params, inputs in draws(kernel, count):
        made = host.call(kernel, Op.FORWARD, params, inputs)
        n_out = kernel.manifest.call_shape(Op.FORWARD, params)[1]
        plain = bare(name, "none").call(Op.FORWARD, params, inputs, n_out)
        assert plain == (made.outputs if isinstance(made, Result) else made.code)  # type: ignore[union-attr]  # refused


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_worker_with_fuel_gives_the_same(name: str, kernels: KernelSet, host: Host) -> None:
    """A host that does not know the kernels meters them and makes NaNs canonical."""
    kernel = kernels.by_name(name)
    with Host() as stranger:
        assert not stranger.is_base(kernel)
        for params, inputs in draws(kernel, 12):
            made = host.call(kernel, Op.FORWARD, params, inputs)
            again = stranger.call(kernel, Op.FORWARD, params, inputs)
            if isinstance(made, Result):
                assert isinstance(again, Result)
                assert again.outputs == made.outputs
            else:
                assert isinstance(again, Refused)
