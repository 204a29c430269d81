"""Files of known formats, told apart into parts that are each of one kind.

A front end reads headers only, believes none of them, and never changes a byte: its parts are
stretches of the file. What it cannot make sense of is no file of its format, and nobody is told.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from ring2_orchestrator.container import Source, Within
from ring2_orchestrator.fronts import (
    bmp,
    folders,
    gzipped,
    netpbm,
    npy,
    png,
    safetensors,
    tarred,
    tiff,
    wav,
    zipped,
)
from ring2_orchestrator.fronts.dividing import Gathered, Group, Run, groups_of, runs_of
from ring2_orchestrator.fronts.part import MOST_PARTS, Coat, Kind, Layer, Layout, Part
from ring2_orchestrator.fronts.reading import Reader, UnlikeError

__all__ = [
    "Coat",
    "Gathered",
    "Group",
    "Kind",
    "Layer",
    "Layout",
    "Part",
    "Run",
    "groups_of",
    "outline",
    "recognise",
    "runs_of",
]

_START = 512
# Members of archives that are smaller are not looked into.
_LEAST_INSIDE = 4096


_Finder = Callable[[Reader], list[Part]]


def recognise(source: Source) -> Layout | None:
    """The parts of a file of a known format, all of its bytes in their order; else None.

    Reads no more than headers, wherever they are.
    """
    found = _found(source)
    if found is None:
        return None
    name, parts = found
    if name in _ARCHIVES:
        parts = [inner for part in parts for inner in _inside(source, part)]
    return _whole(name, parts, source.size)


def outline(source: Source) -> Layout | None:
    """The same, but the members of an archive are not looked into."""
    found = _found(source)
    return None if found is None else _whole(*found, source.size)


_SIMPLE: tuple[tuple[str, int, bytes, _Finder], ...] = (
    ("npy", 0, npy.MAGIC, npy.find),
    ("wav", 0, b"RIFF", wav.find),
    ("wav", 0, b"RF64", wav.find),
    *(("netpbm", 0, magic, netpbm.find) for magic in (b"P4", b"P5", b"P6")),
    ("bmp", 0, b"BM", bmp.find),
    *(("tiff", 0, magic, tiff.find) for magic in tiff.MAGICS),
    ("png", 0, png.MAGIC, png.find),
    ("gzip", 0, gzipped.MAGIC, gzipped.find),
    ("zip", 0, zipped.MAGIC, zipped.find),
    ("tar", tarred.MAGIC_AT, tarred.MAGIC, tarred.find),
    ("directory", 0, folders.MAGIC, folders.find),
)
_ARCHIVES = ("zip", "tar", "directory")


def _found(source: Source) -> tuple[str, list[Part]] | None:
    """The format, and the parts that it names, in no order to be relied upon."""
    start = source.read(0, _START)
    reader = Reader(source)
    for name, at, magic, find in _SIMPLE:
        if start[at : at + len(magic)] == magic:
            return _tried(name, find, reader)
    if safetensors.looks_so(start, source.size):
        return _tried("safetensors", safetensors.find, reader)
    return None


def _tried(name: str, find: _Finder, reader: Reader) -> tuple[str, list[Part]] | None:
    try:
        return name, find(reader)
    except UnlikeError:
        return None


def _inside(source: Source, member: Part) -> Iterable[Part]:
    """The parts of a member, or the member; those of one suffix are a family."""
    suffix = member.name.rpartition("/")[2].rpartition(".")[2].lower()
    if member.coat:
        return [replace(member, family=suffix if member.alone else "")]
    alone = replace(member, family=suffix)
    if member.size < _LEAST_INSIDE or member.end > source.size:
        return [alone]
    found = _found(Within(source, member.begin, member.size))
    if found is None or found[0] in _ARCHIVES:
        return [alone]
    layout = _whole(*found, member.size)
    if layout is None:
        return [alone]
    return [
        replace(part, name=f"{member.name}: {part.name}", begin=member.begin + part.begin)
        for part in layout.parts
    ]


def _whole(name: str, parts: Iterable[Part], size: int) -> Layout | None:
    """The parts with what lies around them; None where they overlap, or there is nothing to tell.

    Whatever a front end says, what comes out is a division of the file.
    """
    given = sorted(parts, key=lambda part: part.begin)
    divided: list[Part] = []
    at = 0
    for part in given:
        if part.begin < at or part.size <= 0 or part.end > size:
            return None
        if part.begin > at:
            divided.append(Part("header" if not at else "between", at, part.begin - at))
        divided.append(part)
        at = part.end
    if at < size:
        divided.append(Part("rest", at, size - at))
    if not given or len(divided) > 2 * MOST_PARTS + 1:
        return None
    return Layout(name, tuple(divided))
