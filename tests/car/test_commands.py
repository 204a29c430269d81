"""`redoxa store export` and `import` as they are typed, and what another tool reads of it."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cid_store.cid import Cid
from cid_store.local import LocalStore
from cid_store.nodes import put_node
from tests.store_command import refusal, store

HERE = Path(__file__).parent


@pytest.fixture
def top(home: Path) -> Cid:
    """A node with three objects below it, bound to the root `mine`."""
    with LocalStore(home / "store") as store:
        blobs = store.put_many([b"one", b"", b"\0" * 70_000])
        top = put_node(store, {"blobs": blobs, "deeper": put_node(store, [blobs[0], 1.5])})
        store.set_root("mine", top)
    return top


@pytest.mark.parametrize("options", [[], ["--v2"]], ids=["v1", "v2"])
def test_an_exported_root_is_imported_elsewhere(
    top: Cid, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert store("export", "mine", "-o", "a.car", *options) == 0
    assert store("export", top, "-o", "b.car", *options) == 0
    assert Path("a.car").read_bytes() == Path("b.car").read_bytes()
    assert "a.car: 5 blocks" in capsys.readouterr().err
    assert store("import", "a.car", "--home", "other") == 0
    bound = capsys.readouterr().out.split()
    assert [name.startswith(f"car/{top}/") for name in bound] == [True]
    assert store("export", bound[0], "-o", "c.car", "--home", "other", *options) == 0
    assert Path("c.car").read_bytes() == Path("a.car").read_bytes()


def test_a_foreign_car_is_exported_by_the_name_in_its_header(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    car = HERE / "vectors" / "simple-unixfs.car"
    assert store("import", car, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["blocks"], said["foreign"], said["unverified"]) == (22, 22, 0)
    assert store("export", said["roots"][0], "-o", "again.car") == 0
    assert Path("again.car").read_bytes() == car.read_bytes()
    assert store("import", HERE / "vectors" / "simple-unixfs-missing-blocks.car") == 0
    capsys.readouterr()
    assert store("export", said["roots"][0], "-o", "which.car") == 2
    assert "an imported CAR is exported alone, and here are 2: name one of car/Qm" in refusal(
        capsys
    )


def test_a_damaged_car_is_one_sentence_and_binds_nothing(
    top: Cid, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store("export", "mine", "-o", "a.car")
    data = Path("a.car").read_bytes()
    Path("a.car").write_bytes(data[:-1] + b"\1")
    capsys.readouterr()
    assert store("import", "a.car", "--home", "other") == 3
    assert "a.car is no sound CAR: the bytes of block" in refusal(capsys)
    with LocalStore(home.parent / "other" / "store") as other:
        assert list(other.roots()) == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["export", "nothing", "-o", "x.car"], 3, "'nothing' is neither a root of the store"),
        (["export", str(Cid.of(b"gone")), "-o", "x.car"], 4, "is not in the store"),
        (["import", "missing.car"], 3, "missing.car cannot be read (No such file"),
        (["import", "."], 3, ". cannot be read (Is a directory)"),
        (["import", "/dev/null"], 3, "/dev/null is not a regular file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    home: Path, words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store(*words) == code
    assert says in refusal(capsys)
    assert not Path("x.car").exists()


def test_export_leaves_what_exists_alone(top: Cid, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.car").write_text("kept")
    assert store("export", "mine", "-o", "a.car") == 3
    assert "exists; give --force" in refusal(capsys)
    assert Path("a.car").read_text() == "kept"
    assert store("export", "mine", "-o", "a.car", "--force") == 0


def test_another_tool_reads_what_we_export_and_writes_the_same(top: Cid) -> None:
    modules = os.environ.get("REDOXA_NODE_MODULES")
    if shutil.which("node") is None or modules is None:
        pytest.skip("no node, or REDOXA_NODE_MODULES names no folder where @ipld/car is installed")
    store("export", "mine", "-o", "a.car")
    store("export", "mine", "-o", "b.car", "--v2")
    done = subprocess.run(
        ["node", "--input-type=module", "-", Path("a.car").resolve(), Path("b.car").resolve()],
        cwd=modules,
        input=(HERE / "reader.mjs").read_bytes(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    one, two = json.loads(done.stdout)
    assert (one["version"], two["version"]) == (1, 2)
    assert one["roots"] == two["roots"] == [str(top)]
    assert one["blocks"] == two["blocks"]
    for name, codec, data in one["blocks"]:
        cid = Cid.parse(name)
        assert cid.codec == codec
        assert Cid.of(base64.b64decode(data), cid.codec) == cid
    assert len(one["blocks"]) == 5
    assert base64.b64decode(one["again"]) == Path("a.car").read_bytes()
