"""Faults: each is one change at one place, compiles, and is found again in the same order."""

import ast
from pathlib import Path

import pytest

from ring2_orchestrator.history.desk import Desk
from ring2_orchestrator.history.draws import Draws
from ring2_orchestrator.history.mutation import comment_places, is_python, mutations

SOURCE = b'''"""A word with \xc3\xbc."""
import os


@staticmethod
def choose(a, b, *rest):
    total = a + b  # not a - b
    if a <= b and "\xc3\xa9" not in rest:
        os.path.join(a, b)
        return total * 3
    return f"{a + 1} < {b}" if a is not None else rest
'''


def faults(kind: str, source: bytes = SOURCE) -> list[bytes]:
    return [each.applied(source) for each in mutations(source) if each.kind == kind]


@pytest.mark.parametrize(
    ("kind", "was", "now"),
    [
        ("comparison", b"a <= b", b"a < b"),
        ("comparison", b"not in rest", b"in rest"),
        ("comparison", b"is not None", b"is None"),
        ("boolean", b"b and", b"b or"),
        ("arithmetic", b"= a + b", b"= a - b"),
        ("arithmetic", b"total * 3", b"total + 3"),
        ("constant", b"total * 3", b"total * 4"),
        ("arguments", b"join(a, b)", b"join(b, a)"),
        ("statement", b"    total = a + b", b"    pass"),
        ("statement", b"os.path.join(a, b)", b"pass"),
        ("condition", b"if a is not None else", b"if not (a is not None) else"),
    ],
)
def test_each_kind_changes_one_place(kind: str, was: bytes, now: bytes) -> None:
    assert SOURCE.replace(was, now, 1) in faults(kind)


def test_what_is_no_code_is_left_alone() -> None:
    assert all(
        b'"""A word with \xc3\xbc."""' in text
        for text in (each.applied(SOURCE) for each in mutations(SOURCE))
    )
    assert not any(b"a - 1" in text or b"{b} <" in text for text in faults("arithmetic"))
    assert not [each for each in mutations(SOURCE) if each.line == 2], "imports stay"
    assert mutations(b"print 'an old one'\n") == []
    assert mutations(b"\xff\xfe\n") == []
    assert mutations(b"x = 1\0\n") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ring2_orchestrator/history", "ring2_orchestrator/gene"])
def test_faults_in_real_source_compile_but_for_few_and_change_one_line(name: str) -> None:
    root = Path(__file__).resolve().parents[2]
    for path in sorted((root / name).glob("*.py")):
        source = path.read_bytes()
        found = mutations(source)
        assert found == mutations(source)
        compiled = [each for each in found if is_python(each.applied(source))]
        assert len(compiled) >= 0.95 * len(found)
        for each in compiled:
            assert each.applied(source) != source
            assert source[: each.start] + source[each.end :] == (
                each.applied(source)[: each.start]
                + each.applied(source)[each.start + len(each.text) :]
            )


def test_a_comment_changes_no_code() -> None:
    places = list(comment_places(SOURCE))
    assert places == [SOURCE.index(b"@staticmethod")]
    text = SOURCE[: places[0]] + b"# note\n" + SOURCE[places[0] :]
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(SOURCE))


def test_draws_are_the_same_everywhere() -> None:
    draws = Draws("redoxa.history/1", 7, "a commit")
    assert [draws.below(100) for _ in range(8)] == [72, 18, 36, 72, 71, 60, 71, 24]
    counts = [0] * 5
    for _ in range(5000):
        counts[draws.below(5)] += 1
    assert max(counts) - min(counts) < 200


def test_somebody_at_work_mends_what_was_broken() -> None:
    files = {"a.py": SOURCE, "b.py": SOURCE, "test_a.py": SOURCE}

    def desk() -> Desk:
        return Desk(
            sources=["a.py", "b.py"], scripts=["test_a.py"], read=files.__getitem__,
            draws=Draws("a seed"),
        )  # fmt: skip

    first, second = desk(), desk()
    broken: set[str] = set()
    mended = 0
    for _ in range(200):
        edits = first.step()
        assert edits == second.step()
        assert first.texts == second.texts
        for edit in edits:
            if edit.what == "mend":
                broken.discard(edit.path)
                mended += 1
            elif edit.what != "comment":
                broken.add(edit.path)
        assert broken <= {"a.py", "b.py"}, "tests are never given faults"
        for path, text in first.texts.items():
            code = ast.dump(ast.parse(text)) == ast.dump(ast.parse(files[path]))
            assert code is (path not in broken)
    assert mended > 20
