"""Large outputs: kept and put back part by part, never whole in memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cid_store.cid import Cid, Codec
from cid_store.memory import MemoryStore
from cid_store.store import ByteSource
from ring2_orchestrator.runs.fold import Edit
from ring2_orchestrator.runs.outputs import Outputs
from ring2_orchestrator.runs.roots import Roots
from ring2_orchestrator.runs.secrets import Rules, Secrets
from tests.runs.conftest import Person

MIB = 1 << 20


# A child's largest size counts from what its parent has, so a small parent of its own asks.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.slow
def test_a_large_output_is_never_whole_in_memory(person: Person) -> None:
    words = [sys.executable, "-c", MEASURE, sys.executable, "-m", "redoxa", "run"]
    words += ["--home", str(person.home_path), "--", "truncate", "-s", "192M", "large"]
    for begin in ("recorded: ", "reused: 1 output restored"):
        done = subprocess.run(
            words, cwd=person.project, capture_output=True, text=True, check=True, timeout=120
        )
        assert done.stderr.startswith(f"redoxa: {begin}")
        code, largest_kib = map(int, done.stdout.split())
        assert code == 0
        assert largest_kib < 96 * 1024
        assert (person.project / "large").stat().st_size == 192 * MIB
        (person.project / "large").unlink()


def test_damage_in_a_large_output_is_found_and_it_is_made_again(person: Person) -> None:
    line = "head -c 3145733 in > out; chmod 640 out"
    (person.project / "in").write_bytes(os.urandom(4 * MIB))
    person.run(line)
    tree = person.tree()
    (person.project / "out").unlink()
    (pack,) = (person.home_path / "store" / "packs").iterdir()
    data = pack.read_bytes()
    at = data.find((person.project / "in").read_bytes()[2 * MIB :][:64])
    pack.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    again = person.run(line)
    assert (again.verdict, again.exit_code) == ("ran", 0)
    assert person.tree() == tree
    (person.project / "out").unlink()
    assert person.run(line).reused
    assert person.tree() == tree


class Meanwhile(MemoryStore):
    """A store during whose work somebody else writes to the file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.took = 0

    def put_stream(self, source: ByteSource, codec: Codec = Codec.RAW) -> Cid:
        outer = self

        class Growing:
            def read(self, size: int, /) -> bytes | None:
                with outer.file.open("ab") as more:
                    more.write(bytes(1000))
                data = source.read(size)
                outer.took += len(data or b"")
                return data

        return super().put_stream(Growing(), codec)


def test_a_file_that_grows_while_it_is_kept_is_a_doubt_and_has_an_end(tmp_path: Path) -> None:
    file = tmp_path / "grows"
    file.write_bytes(bytes(MIB + 5))
    store = Meanwhile(file)
    doubts: list[tuple[str, str]] = []
    outputs = Outputs(
        {os.fsencode(file): Edit(None, 0)},
        store=store,
        roots=Roots(project=os.fsencode(tmp_path), writable=()),
        started_ns=0,
        secrets=Secrets(Rules.of(tmp_path), {}, seal=bytes),
        doubt=lambda kind, detail: doubts.append((kind, detail)),
    )
    assert outputs.collect() == []
    assert [kind for kind, _ in doubts] == ["changed"]
    assert store.took == MIB + 6
