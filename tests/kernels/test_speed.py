"""What `kernel bench` times: whole calls, as the ABI promises them, the same on both sides."""

from pathlib import Path

import pytest

from cid_store.errors import InputError, UnavailableError
from ring0.abi import Op
from ring0.host.engine import Engine
from ring0.host.library import find
from ring2_orchestrator.commands import main
from ring2_orchestrator.kernel_bench import time_all
from ring2_orchestrator.kernel_build import compile_native, require_toolchain, source_root
from ring2_orchestrator.kernel_speed import measure, native, require_machine, sandbox
from ring2_orchestrator.kernels import KernelSet

# Numbers that count up: text of the table kernel that nothing but its own stack holds.
COUNTED = b"".join(b"%d,%d,x\n" % (at, 7 * at) for at in range(400))


@pytest.mark.parametrize("name", ["context_mix", "record_mix", "residual", "table"])
def test_a_call_that_is_repeated_finds_no_scratch_of_the_last(
    name: str, kernels: KernelSet
) -> None:
    kernel = kernels.by_name(name)
    dtype = next(iter(kernel.manifest.types), None)
    params = kernel.manifest.encode_parameters({}, dtype=dtype)
    n_out = kernel.manifest.call_shape(Op.FORWARD, params)[1]
    side = sandbox(Engine(find(), metered=False, canonical_nan=False), kernel)
    laid = side.prepare(Op.FORWARD, params, [COUNTED], n_out)
    first = laid.answer()
    assert first[0] == 0
    assert laid.seconds() > 0
    assert laid.answer() == first


@pytest.mark.slow
def test_native_code_may_keep_addresses_of_its_stack(kernels: KernelSet, tmp_path: Path) -> None:
    try:
        require_machine()
        require_toolchain()
    except UnavailableError as error:
        pytest.skip(str(error))
    kernel = kernels.by_name("table")
    engine = Engine(find(), metered=False, canonical_nan=False)
    source = source_root() / "table" / "table.c"
    sides = sandbox(engine, kernel), native(source, tmp_path / "table.so")
    timed = measure(kernel, sides, (None, {}), data=COUNTED, round_s=0.0001)
    assert timed.size == len(COUNTED)
    assert min(timed.speeds) > 0


@pytest.mark.parametrize("said", ["delta", "delta/", "./delta", "."])
def test_a_folder_that_is_here_comes_before_a_shipped_kernel(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        require_machine()
    except UnavailableError as error:
        pytest.skip(str(error))
    here = tmp_path / "delta"
    here.mkdir()
    (here / "kernel.toml").touch()
    monkeypatch.chdir(here if said == "." else tmp_path)
    assert main(["kernel", "bench", said]) == 3
    assert f"the kernel folder {here} has no delta.c" in capsys.readouterr().err


ENDS = {
    "__builtin_trap();": "its native code crashed",
    "for (volatile int on = 1; on;) {}": "did not come to an end within 2 seconds of processor",
    # Only asked for, and never written to; the second would be more than it is given.
    "if (!malloc(200u << 20)) return 8; return malloc(800u << 20) ? 1 : 9;": "sample (code 9)",
    "return 1;": "its bound refuses the sample (code 1)",
}


@pytest.mark.slow
@pytest.mark.parametrize("body", ENDS)
def test_native_code_that_does_not_answer_ends_in_a_sentence(
    body: str, kernels: KernelSet, tmp_path: Path
) -> None:
    try:
        require_machine()
        require_toolchain()
    except UnavailableError as error:
        pytest.skip(str(error))
    source = tmp_path / "bad.c"
    source.write_text(
        f"#include <stdlib.h>\nunsigned run(unsigned at) {{ (void)at; {body} return 0; }}\n"
    )
    compile_native(source, tmp_path / "native.so")
    with pytest.raises(InputError) as caught:
        time_all(kernels.by_name("delta"), tmp_path / "native.so", deadline_s=2)
    assert ENDS[body] in str(caught.value)
