"""Nobody but a wrapper can say of a program inside a run that it was a compiler's call."""

import textwrap

import pytest

from tests.leaves.conftest import Works

ASKED = ("gcc", "-Ilate", "-c", "one.c", "-o", "one.o")

# A program that writes down of its own child what a wrapper writes of a compiler.
PLANT = """\
import os, pathlib, shutil, struct, subprocess, sys, time

scratch = next(pathlib.Path(sys.argv[1]).glob("scratch/*/leaves"))

def part(data):
    return struct.pack("<I", len(data)) + data

def words(all_of_them):
    return b"".join(os.fsencode(word) + b"\\0" for word in all_of_them)

def note(pid, begun):
    facts = (pid, begun, time.time_ns(), 0o22, 0, 0, 0xFFFF, 0)
    head = struct.pack("<8sIQQIBBHH", b"RXLEAF01", *facts)
    variables = [f"{name}={value}" for name, value in os.environ.items()]
    parts = [b"", os.fsencode(os.getcwd()), words(sys.argv[2:]), words(variables), b"", b""]
    return head + b"".join(map(part, parts))

def plant():
    begun = time.time_ns()
    child = subprocess.Popen(["cp", "evil.o", "one.o"])
    child.wait()
    return note(child.pid, begun)
"""
WAYS = {
    "marks of its own": """\
        (scratch / "1-1").touch()
        (scratch / "1-1.end").write_bytes(plant())
    """,
    "over a wrapper's note": """\
        subprocess.run(["gcc", "-Ilate", "-c", "two.c", "-o", "two.o"], check=True)
        end = next(scratch.glob("*.end"))
        end.write_bytes(end.read_bytes().replace(b"two.", b"one."))
    """,
    "in place of a wrapper's note": """\
        subprocess.run(["gcc", "-Ilate", "-c", "two.c", "-o", "two.o"], check=True)
        end = next(scratch.glob("*.end"))
        new = pathlib.Path("new")
        new.write_bytes(end.read_bytes().replace(b"two.", b"one."))
        new.rename(end)
    """,
    "another folder in place of the notes'": """\
        subprocess.run(["gcc", "-Ilate", "-c", "two.c", "-o", "two.o"], check=True)
        other = pathlib.Path("other")
        shutil.copytree(scratch, other)
        end = next(other.glob("*.end"))
        end.write_bytes(end.read_bytes().replace(b"two.", b"one."))
        scratch.rename("aside")
        other.rename(scratch)
    """,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_program_in_the_run_cannot_speak_for_a_compiler(works: Works, way: str) -> None:
    works.run("true")
    works.write("plant.py", PLANT + textwrap.dedent(WAYS[way]))
    works.write("evil.o", "not what a compiler makes")
    works.counts()
    done = works.run("python3", "plant.py", str(works.home), *ASKED)
    assert done.exit_code == 0
    assert works.counts() == {}
