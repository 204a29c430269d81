"""Files of known formats packed: in parts where that is smaller, and back to the same bytes."""

import io
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ring2_orchestrator.commands import main
from ring2_orchestrator.container import BytesSource, Container, Source
from ring2_orchestrator.explaining_parts import named_parts
from ring2_orchestrator.fronts import Layout, Part, recognise
from ring2_orchestrator.gene import Gene, Palette
from ring2_orchestrator.packing import Packed, pack
from ring2_orchestrator.planner import FAST, library_gene
from ring2_orchestrator.toolbox import Toolbox
from tests.container.conftest import node
from tests.fronts.files import EVERY, npy, npz, numbers, picture, tensors, wav

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "container" / "samples"
QUICK = replace(FAST, search_fuel=0)
GENES = ("repeats", "bytes", "series_u16", "planes_u32", "pixels_rgb", "audio_mono")


def few(palette: Palette) -> list[Gene]:
    """Enough genes for these files, and quickly tried."""
    return [library_gene(name, palette) for name in GENES]


def packed(tools: Toolbox, data: bytes, *, in_parts: bool = True) -> tuple[Packed, Container]:
    out = io.BytesIO()
    result = pack(
        BytesSource(data), out, few(tools.palette), tools, profile=QUICK, in_parts=in_parts
    )
    container = Container(BytesSource(out.getvalue()), tools.kernels)
    assert len(out.getvalue()) == result.container_bytes
    assert b"".join(container.chunks(tools.executor)) == data
    return result, container


def mixed() -> bytes:
    """Numbers that nothing but their own plan suits, and others that another suits."""
    rise = np.cumsum(numbers(3_000).astype("<i4") - 100).astype("<u4")
    noise = np.random.default_rng(3).integers(0, 256, 6_000).astype("u1")
    return tensors({"a": rise, "b": noise, "c": (numbers(4_000) // 40).astype("<u2")})


def test_parts_that_differ_are_packed_apart(tools: Toolbox) -> None:
    data = mixed()
    divided, container = packed(tools, data)
    whole, _ = packed(tools, data, in_parts=False)
    assert divided.gene == "safetensors"
    assert divided.plan is None
    assert divided.container_bytes < whole.container_bytes
    names = [part.name for part in named_parts(container, tools.executor)]
    assert names == ["header", "a", "b", "c"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_every_file_comes_back(tools: Toolbox, name: str) -> None:
    data = EVERY[name]()
    result, _ = packed(tools, data)
    whole, _ = packed(tools, data, in_parts=False)
    assert result.container_bytes <= whole.container_bytes


def sound() -> tuple[bytes, bytes]:
    raw = (SAMPLES / "instrument.i16").read_bytes()
    return raw, wav(raw, 1, 2)


def array() -> tuple[bytes, bytes]:
    raw = (SAMPLES / "sea_surface.f32").read_bytes()
    return raw, npy(np.frombuffer(raw, "<f4").reshape(8, -1))


def photograph() -> tuple[bytes, bytes]:
    raw = (SAMPLES / "coffee.rgb8").read_bytes()
    return raw, picture("PPM", np.frombuffer(raw, "u1").reshape(10, 600, 3))


@pytest.mark.slow
@pytest.mark.parametrize("made", [sound, array, photograph])
def test_a_format_costs_little_more_than_its_data(
    tools: Toolbox, made: Callable[[], tuple[bytes, bytes]]
) -> None:
    raw, file = made()
    bare, _ = packed(tools, raw)
    result, _ = packed(tools, file)
    assert result.container_bytes <= bare.container_bytes + 200


def test_a_lying_layout_changes_no_byte(tools: Toolbox, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mixed()
    ends = [0, 3, 9_001, 9_002, len(data)]
    parts = [Part(f"p{begin}", begin, end - begin) for begin, end in pairwise(ends)]

    def lies(_: Source) -> Layout:
        return Layout("lies", tuple(parts))

    monkeypatch.setattr("ring2_orchestrator.packing.recognise", lies)
    packed(tools, data)


def test_equal_files_get_equal_containers(tools: Toolbox) -> None:
    data = npz({"a": numbers(3000), "b": numbers(2000, "<f4")})
    assert packed(tools, data)[0] == packed(tools, data)[0]


def test_explain_names_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ring2_orchestrator.planner.library", few)
    Path("model").write_bytes(mixed())
    assert main(["pack", "model", "--profile", "fast", "--budget", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["gene"], told["plan"], len(told["segments"])) == ("safetensors", None, 4)
    assert main(["explain", "model.rdx"]) == 0
    assert capsys.readouterr().out.split("\n")[2].split() == ["part", "bytes", "became", "plan"]
    assert main(["explain", "model.rdx", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [part["name"] for part in told["parts"]] == ["header", "a", "b", "c"]
    assert sum(part["original_bytes"] for part in told["parts"]) == told["original_bytes"]
    assert told["parts"][2]["plan"] is None


def test_the_other_decoder_reads_parts(tmp_path: Path, tools: Toolbox) -> None:
    program = node()
    data, out = mixed(), io.BytesIO()
    pack(BytesSource(data), out, few(tools.palette), tools, profile=QUICK)
    (tmp_path / "a.rdx").write_bytes(out.getvalue())
    command = [program, str(ROOT / "decoder_js" / "cli.mjs"), str(tmp_path / "a.rdx")]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    assert done.stdout == data


def test_recognition_reads_little_of_a_long_file() -> None:
    class Endless:
        name, size, taken = "a long file", 1 << 40, 0

        def read(self, offset: int, size: int) -> bytes:
            self.taken += size
            head = npy(np.zeros((4, 4)))[:128].replace(b"(4, 4), }", b"(34359738352, 4), }")
            return head[offset : offset + size].ljust(size, b"\0")

    source = Endless()
    recognise(source)
    assert source.taken < 10_000
