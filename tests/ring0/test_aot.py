"""Compiled code kept on disk is loaded only where every byte is what this user wrote here."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ring0.abi import Op
from ring0.boundary import Boundary
from ring0.host import Host, aot
from ring0.host.aot import CodeCache
from ring0.host.engine import Engine, Module, Stopped
from ring0.host.library import find
from ring0.host.residents import Residents
from ring0.host.watchdog import Watchdog
from ring0.kernel import Kernel
from ring0.outcome import Result

Kernels = dict[str, Kernel]
DIGEST = bytes(range(32))
CONFIGURATION = "as ever"
CODE = bytes(range(256)) * 8

pytestmark = pytest.mark.skipif(
    not Path("/proc/cpuinfo").exists(), reason="what the processor has cannot be told here"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> CodeCache:
    opened = CodeCache.open(folder)
    assert opened is not None
    return opened


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.code")
    return path


@pytest.fixture
def kept(cache: CodeCache, folder: Path) -> Path:
    cache.keep(DIGEST, CONFIGURATION, CODE)
    return only_file(folder)


def found(folder: Path) -> bytes | None:
    again = CodeCache.open(folder)
    content = None if again is None else again.find(DIGEST, CONFIGURATION)
    return None if content is None else bytes(content)


def test_what_is_kept_is_found_by_the_next_process(kept: Path, folder: Path) -> None:
    assert found(folder) == CODE
    assert sorted(path.name for path in folder.iterdir()) == sorted([kept.name, "key"])


def test_folder_and_files_are_the_users_alone(kept: Path, folder: Path) -> None:
    modes = [path.stat().st_mode & 0o777 for path in (folder, kept, folder / "key")]
    assert modes == [0o700, 0o600, 0o600]


def test_code_is_found_only_as_what_it_is(cache: CodeCache, kept: Path) -> None:
    assert cache.find(DIGEST[::-1], CONFIGURATION) is None
    assert cache.find(DIGEST, "with fuel") is None
    cache.keep(DIGEST[::-1], CONFIGURATION, b"other code")
    (other,) = set(kept.parent.glob("*.code")) - {kept}
    shutil.copy(kept, other)
    assert cache.find(DIGEST[::-1], CONFIGURATION) is None


def test_another_processor_or_engine_finds_nothing(
    kept: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(aot, "VERSION", "51.0.0")
        assert found(folder) is None
    elsewhere = tmp_path / "cpuinfo"
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    elsewhere.write_text(text.replace(" sse2 ", " ").replace(" asimd ", " "), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(aot, "_CPU", elsewhere)
        assert found(folder) is None
    elsewhere.write_text("processor: 0\n", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(aot, "_CPU", elsewhere)
        assert CodeCache.open(folder) is None
    assert found(folder) == CODE


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o606])
def test_a_file_that_others_could_touch_is_not_believed(
    kept: Path, folder: Path, mode: int
) -> None:
    kept.chmod(mode)
    assert found(folder) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can give files away")
def test_a_file_of_another_user_is_not_believed(kept: Path, folder: Path) -> None:
    os.chown(kept, 12345, -1)
    assert found(folder) is None


def test_a_link_is_not_followed(kept: Path, folder: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    kept.rename(real)
    kept.symlink_to(real)
    assert found(folder) is None


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707])
def test_a_folder_that_others_can_reach_is_not_used(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    assert CodeCache.open(folder) is None
    assert list(folder.iterdir()) == []


def test_a_folder_behind_a_link_or_in_a_files_place_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_bytes(b"")
    for name in ("link", "file", "file/below"):
        assert CodeCache.open(tmp_path / name) is None


def test_a_copied_folder_is_a_folder_of_strangers(kept: Path, folder: Path) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    copy.chmod(0o700)
    assert (copy / "key").read_bytes() == (folder / "key").read_bytes()
    assert found(copy) is None
    assert found(folder) == CODE


def test_code_made_under_another_key_is_not_believed(kept: Path, folder: Path) -> None:
    (folder / "key").unlink()
    assert found(folder) is None


@pytest.mark.parametrize("harm", ["short", "long", "empty", "open to all", "a folder", "a link"])
def test_a_key_that_is_none_is_drawn_anew(kept: Path, folder: Path, harm: str) -> None:
    key = folder / "key"
    whole = key.read_bytes()
    harms: dict[str, Callable[[], object]] = {
        "short": lambda: key.write_bytes(whole[:31]),
        "long": lambda: key.write_bytes(whole + b"\0"),
        "empty": lambda: key.write_bytes(b""),
        "open to all": lambda: key.chmod(0o644),
        "a folder": lambda: (key.unlink(), key.mkdir()),
        "a link": lambda: (key.rename(folder / "moved"), key.symlink_to("moved")),
    }
    harms[harm]()
    again = CodeCache.open(folder)
    if again is None:
        assert harm in ("a folder", "a link"), "nothing that a cache may remove"
        return
    assert again.find(DIGEST, CONFIGURATION) is None
    assert key.read_bytes() != whole
    again.keep(DIGEST, CONFIGURATION, CODE)
    assert found(folder) == CODE


def flips(path: Path, folder: Path, count: int) -> int:
    """How many files with one bit flipped, out of so many, are found."""
    cache = CodeCache.open(folder)
    assert cache is not None
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    believed = 0
    for bit in rng.integers(0, 8 * len(whole), count):
        harmed = bytearray(whole)
        harmed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(harmed)
        believed += cache.find(DIGEST, CONFIGURATION) is not None
    path.write_bytes(whole)
    assert cache.find(DIGEST, CONFIGURATION) == CODE
    return believed


def test_no_flipped_bit_is_believed(kept: Path, folder: Path) -> None:
    assert flips(kept, folder, 150) == 0


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, len(CODE), len(CODE) + 31, 10_000])
def test_no_other_length_is_believed(kept: Path, folder: Path, length: int) -> None:
    kept.write_bytes(kept.read_bytes().ljust(length, b"\0")[:length])
    assert found(folder) is None


def test_what_is_kept_stays_within_its_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aot, "LIMIT_BYTES", 10_000)
    cache = CodeCache.open(folder)
    assert cache is not None
    (folder / "half-written").write_bytes(bytes(3000))
    os.utime(folder / "half-written", (0, 0))
    for at in range(20):
        cache.keep(bytes([at] * 32), CONFIGURATION, CODE)
        assert sum(path.stat().st_size for path in folder.glob("*.code")) <= 10_000
    assert cache.find(bytes([19] * 32), CONFIGURATION) == CODE
    assert cache.find(bytes(32), CONFIGURATION) is None
    assert not (folder / "half-written").exists()
    cache.keep(DIGEST, CONFIGURATION, bytes(3000))
    assert cache.find(DIGEST, CONFIGURATION) is None, "larger than a quarter of all"


def test_writers_at_the_same_time_leave_whole_files(cache: CodeCache, folder: Path) -> None:
    seen: list[memoryview | None] = []

    def work(letter: bytes) -> None:
        for _ in range(50):
            cache.keep(DIGEST, CONFIGURATION, letter * 5000)
            seen.append(cache.find(DIGEST, CONFIGURATION))

    threads = [threading.Thread(target=work, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {None if one is None else (len(one), len({*one})) for one in seen} == {(5000, 1)}
    assert {path.suffix for path in folder.iterdir()} == {".code", ""}


# On the host.


def result(kernel: Kernel, folder: Path | None, boundary: Boundary | None = None) -> Result:
    data = bytes(range(64))
    given = kernel.manifest.encode_parameters({}, dtype="u32" if kernel.manifest.types else None)
    with Host(base=frozenset({kernel.cid}), cache=folder) as host:
        outcome = host.call(kernel, Op.FORWARD, given, [data], boundary or Boundary())
    assert isinstance(outcome, Result)
    return outcome


def forbid_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_(engine: Engine, wasm: bytes) -> None:
        raise AssertionError("it was compiled")

    monkeypatch.setattr(Engine, "compile", compile_)


@pytest.mark.parametrize("fuel", [None, 1 << 40])
def test_a_kernel_is_compiled_once_for_all_processes(
    kernels: Kernels, folder: Path, monkeypatch: pytest.MonkeyPatch, fuel: int | None
) -> None:
    boundary = Boundary(fuel=fuel)
    before = result(kernels["delta"], folder, boundary)
    forbid_compiling(monkeypatch)
    assert result(kernels["delta"], folder, boundary) == before
    with pytest.raises(AssertionError, match="it was compiled"):
        result(kernels["delta"], folder, Boundary(fuel=None if fuel else 1 << 40))


def test_a_harmed_file_is_passed_over_and_written_anew(
    kernels: Kernels, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = result(kernels["zigzag"], folder)
    path = only_file(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert result(kernels["zigzag"], folder) == before
    forbid_compiling(monkeypatch)
    assert result(kernels["zigzag"], folder) == before


def test_without_a_folder_to_trust_the_kernel_is_compiled(kernels: Kernels, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert result(kernels["zigzag"], tmp_path / "file") == result(kernels["zigzag"], None)


@pytest.mark.long
def test_of_ten_thousand_flipped_files_none_is_loaded(
    kernels: Kernels, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 1_000 if os.environ.get("REDOXA_LONG") == "bounded" else 10_000
    kernel = kernels["delta"]
    result(kernel, folder)
    path = only_file(folder)
    whole, rng = path.read_bytes(), np.random.default_rng(11)
    loaded: list[memoryview] = []

    def load(engine: Engine, code: memoryview) -> Module:
        loaded.append(code)
        raise Stopped("invalid", "it is not to be run here")

    monkeypatch.setattr(Engine, "load", load)
    residents = Residents(find(), Watchdog(), folder, compiled=False)
    for bit in rng.integers(0, 8 * len(whole), rounds):
        harmed = bytearray(whole)
        harmed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(harmed)
        assert residents.load(kernel, metered=False) is None
    assert loaded == []
    path.write_bytes(whole)
    assert residents.load(kernel, metered=False) is None
    assert loaded == [whole[33:]]
