"""Lists of directories: there and back, in one form, and nothing else is taken for one."""

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ring2_orchestrator.container import DamagedContainerError
from ring2_orchestrator.tree.listing import (
    MAGIC,
    Content,
    Listed,
    ListedFile,
    ListedFolder,
    Listing,
    Stretch,
    decode_front,
    decode_listing,
    encode_listing,
    places,
)
from ring2_orchestrator.tree.node import MAX_DEPTH, Link

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "listing.md"
NAMES = st.binary(min_size=1, max_size=6).filter(
    lambda name: name not in (b".", b"..") and not {0, ord("/")} & {*name}
)
MODES = st.integers(0, 0o777)
# What a file consists of before its contents have numbers: gaps and stretches, by length.
FILES = st.tuples(MODES, st.lists(st.tuples(st.integers(0, 3), st.integers(1, 300)), max_size=3))
LINKS = st.binary(min_size=1, max_size=9).filter(lambda target: 0 not in target).map(Link)
FOLDERS = st.recursive(
    st.dictionaries(NAMES, FILES | LINKS, max_size=4),
    lambda inner: st.dictionaries(NAMES, FILES | LINKS | st.tuples(MODES, inner), max_size=4),
    max_leaves=12,
)


def listing(drawn: dict[bytes, object], again: bool) -> Listing:
    """A list of what was drawn; `again` makes contents of one length one content."""
    contents: list[Content] = []

    def stretch(offset: int, length: int, path: bytes) -> Stretch:
        lengths = [content.length for content in contents]
        if not again or length not in lengths:
            contents.append(Content(path, length))
            lengths.append(length)
            return Stretch(offset, length, len(contents) - 1)
        return Stretch(offset, length, lengths.index(length))

    def entry(made: object, path: bytes) -> Listed:
        match made:
            case Link():
                return made
            case (int(mode), dict(inner)):
                return ListedFolder(mode, folder(inner, path + b"/"))
            case (int(mode), list(parts)):
                found: list[Stretch] = []
                end = 0
                for gap, length in parts:
                    found.append(stretch(end + gap, length, path))
                    end += gap + length
                return ListedFile(mode, end, tuple(found))
            case _:
                raise AssertionError(made)

    def folder(inner: dict[bytes, object], path: bytes) -> dict[bytes, Listed]:
        return {name: entry(inner[name], path + name) for name in sorted(inner)}

    return Listing(folder(drawn, b""), contents)


def decoded(data: bytes) -> Listing:
    begin, end = decode_front(data[:15])
    return decode_listing(data[begin:end])


@given(FOLDERS, st.booleans())
@settings(max_examples=120, deadline=None)
def test_a_list_comes_back(drawn: dict[bytes, object], again: bool) -> None:
    made = listing(drawn, again)
    data = encode_listing(made)
    assert decode_front(data[:15])[1] == len(data)
    assert decoded(data) == made


@given(FOLDERS, st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_taken_is_in_its_one_form(drawn: dict[bytes, object], other: st.DataObject) -> None:
    data = bytearray(encode_listing(listing(drawn, again=True)))
    at = other.draw(st.integers(0, len(data) - 1))
    data[at] = other.draw(st.integers(0, 255))
    try:
        begin, end = decode_front(bytes(data[:15]))
        assume(end <= len(data))
        found = decode_listing(bytes(data[begin:end]))
    except DamagedContainerError as error:
        assert "\n" not in str(error)  # noqa: PT017 - there need not be one
    else:
        assert encode_listing(found) == data[:end]


@given(st.lists(st.tuples(NAMES, st.integers(1, 90)), max_size=9), st.integers(0, 99))
def test_contents_stand_once_and_apart_by_suffix(given: list[tuple[bytes, int]], end: int) -> None:
    contents = [Content(name, length) for name, length in given]
    found = [*places(contents, end)]
    assert sorted(place.content for place in found) == [*range(len(contents))]
    for place in found:
        assert place.begin == end + place.padding
        assert not place.padding or place.begin % 16 == 0
        end = place.begin + contents[place.content].length


def test_the_page_shows_this_list() -> None:
    made = Listing(
        {
            b"a": ListedFolder(0o755, {b"b.txt": ListedFile(0o644, 5, (Stretch(0, 5, 0),))}),
            b"c.txt": ListedFile(0o600, 5, (Stretch(0, 5, 0),)),
        },
        [Content(b"a/b.txt", 5)],
    )
    data = encode_listing(made)
    assert data.hex(" ") in " ".join(PAGE.read_text("utf-8").split())


FOLDER = bytes([2]) + b"\xed\x03"  # of mode 0o755


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        (b"\1\2..\3\1x", "a name that is none"),
        (b"\1\3a/b\3\1x", "a name that is none"),
        (b"\1\0\3\1x", "a name that is none"),
        (b"\2\1b\3\1x\1a\3\1x", "out of order"),
        (b"\2\1a\3\1x\1a\3\1x", "out of order"),
        (b"\1\1a\4", "neither folder, file nor link"),
        (b"\1\1a\3\0", "leads nowhere"),
        (b"\1\1a\0\x80\x04\1\0", "absurd"),
        (b"\1\1a\0\0\1\1", "absurd"),
        (b"\2\1a\0\0\1\0\1b\0\0\2\1", "two lengths"),
        (b"\1\1a\1\0\5\1\0\0\0", "no bytes"),
        (b"\1\1a\1\0\5\1\0\6\0", "absurd"),
        (b"\1\1a\1\0\5\1\0\5\0", "one form"),
        (b"\1\1a\1\0\0\0", "one form"),
        (b"\0\0", "too many"),
        (b"\xff\xff\xff\xff\x0f", "absurd"),
        (b"\1\1a", "too early"),
        ((b"\1\1a" + FOLDER) * MAX_DEPTH + b"\0", "too deep"),
    ],
)
def test_what_is_no_list_is_refused(data: bytes, fact: str) -> None:
    with pytest.raises(DamagedContainerError, match=fact):
        decode_listing(data)


def test_no_list_is_longer_than_any_may_be() -> None:
    with pytest.raises(DamagedContainerError, match="longer than any may be"):
        decode_front(MAGIC + b"\xff\xff\xff\xff\x0f")
