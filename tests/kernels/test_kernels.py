"""The shipped kernels as a set: found by folder, read when used, named by CID."""

from importlib import resources
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.errors import DamageError, InputError
from ring2_orchestrator.kernel_vectors import VectorError, read_cases
from ring2_orchestrator.kernels import Folder, IncompleteKernelError, KernelSet, UnknownKernelError

EIGHT = (
    "bit_transpose",
    "byte_split",
    "delta",
    "endian_swap",
    "gray",
    "mantissa_quant",
    "rans0",
    "zigzag",
)


def test_every_folder_is_found(kernels: KernelSet) -> None:
    assert set(EIGHT) <= set(kernels.names)
    assert list(kernels.names) == sorted(kernels.names)
    assert len(kernels) == len(kernels.names)
    assert "delta" in kernels
    assert "dleta" not in kernels
    assert [kernel.name for kernel in kernels] == list(kernels.names)


def test_a_kernel_is_found_by_its_cid(kernels: KernelSet) -> None:
    delta = kernels.by_name("delta")
    assert delta.cid == Cid.of(delta.wasm)
    assert kernels.by_cid(delta.cid) is delta
    assert kernels.by_name("delta") is delta
    assert kernels.by_cid(Cid.of(b"no module")) is None
    assert kernels.cids == {kernel.cid for kernel in kernels}


def test_a_kernel_that_knows_several_edge_rules_is_told_which(kernels: KernelSet) -> None:
    several = [kernel.manifest for kernel in kernels if len(kernel.manifest.edges) > 1]
    assert {manifest.name for manifest in several} >= {"cdf53", "hilbert_lift", "stft"}
    for manifest in several:
        edge = manifest.parameter("edge")
        assert (edge.min, edge.max) == (0, len(manifest.edges) - 1)


def test_a_misspelt_name_gets_a_suggestion(kernels: KernelSet) -> None:
    with pytest.raises(UnknownKernelError) as caught:
        kernels.by_name("dleta")
    assert str(caught.value) == "no kernel named 'dleta'; did you mean 'delta'?"
    assert isinstance(caught.value, InputError)
    first = kernels.names[0]
    with pytest.raises(UnknownKernelError, match=f"no kernel named 'qqq'; there are {first}, "):
        kernels.by_name("qqq")


def test_finding_kernels_reads_none() -> None:
    gone = Folder("gone", resources.files("ring1_kernels") / "gone")
    kernels = KernelSet([gone])
    assert kernels.names == ("gone",)
    with pytest.raises(IncompleteKernelError, match=r"has no readable gone\.wasm; install Redoxa"):
        kernels.by_name("gone")
    assert issubclass(IncompleteKernelError, DamageError)


@pytest.mark.parametrize(
    ("text", "files", "message"),
    [
        ("about = ", {}, "cannot be read"),
        ('bytes = ""', {"in": b""}, "needs 'about'"),
        ('about = "x"\nop = "both"', {"in": b""}, "op' is forward or inverse"),
        ('about = "x"\nbytes = "0g"', {"in": b""}, "not hexadecimal"),
        ('about = "x"\nrefuse = "3"', {"in": b""}, "'refuse' is no key"),
        ('about = "x"\nsurprise = 1', {"in": b""}, "'surprise' is no key"),
        ('about = "x"', {"in": b""}, "needs .in, and .out unless"),
        ('about = "x"\nrefuse = 1', {}, "needs .in"),
    ],
)
def test_a_broken_vector_is_one_sentence(
    text: str, files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "vectors"
    folder.mkdir()
    (folder / "case.toml").write_text(text)
    for kind, data in files.items():
        (folder / f"case.{kind}").write_bytes(data)
    with pytest.raises(VectorError, match=message):
        list(read_cases(tmp_path))
