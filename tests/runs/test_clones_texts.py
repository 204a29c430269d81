"""The root is put aside where it stands as a whole path, and found in whatever names it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring2_orchestrator.runs.clones.above import Above, TiedError
from ring2_orchestrator.runs.clones.aside import put_aside
from ring2_orchestrator.runs.clones.naming import of_inputs, of_results
from ring2_orchestrator.runs.state import MISSING, State, What

FILE = State(What.FILE, 0o644, bytes(31) + b"1")
FOLDER = State(What.DIR, 0o755)


@pytest.mark.parametrize(
    ("text", "aside"),
    [
        ("/a/proj", "@"),
        ("/a/proj/x:/usr/bin:/a/proj", "@/x:/usr/bin:@"),
        ("--out=/a/proj/x", "--out=@/x"),
        ("-I/a/proj/x -L/a/proj", "-I@/x -L@"),
        ("-isystem/a/proj", "-isystem@"),
        ("-Wl,-rpath,/a/proj/lib", "-Wl,-rpath,@/lib"),
        ("-ffile-prefix-map=/a/proj=.", "-ffile-prefix-map=@=."),
        ("/a/project", "/a/project"),
        ("/a/proj.old /a/proj-2 /a/proj_", "/a/proj.old /a/proj-2 /a/proj_"),
        ("/mnt/a/proj", "/mnt/a/proj"),
        ("I/a/proj", "I/a/proj"),
        ("x-I/a/proj", "x-I/a/proj"),
        ("file:///a/proj", "file:///a/proj"),
        ("/a/proj/a/proj", "@/a/proj"),
        ("'/a/proj' \"/a/proj\"", "'@' \"@\""),
        ("", ""),
    ],
)
def test_whole_paths_are_put_aside(text: str, aside: str) -> None:
    assert put_aside(text.encode(), b"/a/proj") == aside.replace("@", "\0").encode()


@given(st.lists(st.sampled_from([b"/a/p", b"/", b":", b"x", b" ", b"-I", b".", b"=", b"/a/pq"])))
def test_what_was_put_aside_can_be_put_back(parts: list[bytes]) -> None:
    text = b"".join(parts)
    aside = put_aside(text, b"/a/p")
    assert aside.replace(b"\0", b"/a/p") == text
    there = aside.replace(b"\0", b"/other/q")
    assert put_aside(there, b"/other/q").count(b"\0") >= aside.count(b"\0")


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 30))
def test_a_name_is_found_wherever_bytes_are_cut(before: bytes, after: bytes, size: int) -> None:
    data = before + b"/a/proj" + after
    spellings = of_results(b"/a/proj", None, None)
    assert spellings.found_in(data)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    assert spellings.found_in_parts(parts)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"see /a/proj", True),
        (b"/a/proj/x", True),
        (b"../proj/x", True),
        (b"../../a/proj", True),
        (b"/b/c/other", True),
        (b"~/proj and more", True),
        (b"${HOME}/proj.", True),
        (b"/a/project ../projects ~/project", False),
        (b"/mnt/proj", False),
        (b"../other", False),
    ],
)
def test_what_names_a_clone(text: bytes, named: bool) -> None:
    assert of_inputs(b"/a/proj", b"/b/c/other", b"/a").found_in(text) == named


def above(here: str, there: str, **rows: State) -> dict[str, State]:
    found = Above(here.encode(), there.encode(), b"/home/me", strict=False)
    looks = [(name.encode(), state) for name, state in rows.items()]
    return {path.decode(): state for path, state in found.demands(looks).items()}


def test_a_search_upwards_must_find_nothing_in_any_folder_above() -> None:
    looks = {"/a/p.toml": MISSING, "/p.toml": MISSING}
    assert above("/a/x", "/b/c/y", **looks) == dict.fromkeys(
        ("/b/c/p.toml", "/b/p.toml", "/p.toml"), MISSING
    )


def test_a_search_that_ended_must_end_there() -> None:
    looks = {"/a/b/p.toml": MISSING, "/a/p.toml": FILE}
    assert above("/a/b/x", "/c/d/e/y", **looks) == {"/c/d/e/p.toml": MISSING, "/c/d/p.toml": FILE}


def test_what_the_home_holds_under_a_hidden_name_stays_where_it_is() -> None:
    looks = {"/home/me/.rc": FILE, "/home/me/lib": FILE}
    demands = above("/home/me/x", "/home/me/d/y", **looks)
    assert demands == {"/home/me/d/.rc": MISSING, "/home/me/d/lib": FILE}


def test_a_project_at_the_top_searches_the_top_alone() -> None:
    looks = {"/p.toml": FILE, "/.git": FOLDER, "/lib": FOLDER, "/node_modules/x": MISSING}
    found = above("/app", "/home/me/app", **looks)
    assert (
        found["/home/p.toml"]
        == found["/home/me/.git"]
        == found["/home/me/node_modules/x"]
        == MISSING
    )
    assert "/home/me/lib" not in found


def test_what_would_be_the_project_itself_is_no_answer() -> None:
    with pytest.raises(TiedError):
        above("/a/one", "/b/other", **{"/a/other/x": FILE})
