"""What a front end tells of a file: which bytes are alike, and what lies at which distances."""

from dataclasses import dataclass
from typing import NamedTuple

from ring0.plan import Dtype

# No more parts are told apart in one file.
MOST_PARTS = 32_768
_MOST_STRIDES = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """What a part holds: lanes of a type, and the distances in lanes at which they are neighbours.

    Distances are of channels, rows, planes and records. They are hints: nothing depends on their
    being true.
    """

    dtype: Dtype
    strides: tuple[int, ...] = ()
    big_endian: bool = False


class Layer(NamedTuple):
    """A kernel that takes off what a format put around its contents: they are at this output."""

    kernel: str
    parameters: tuple[int, ...] = ()
    port: int = 0


# The layers around something, the outermost first.
Coat = tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file under a name; without a kind, bytes of which nothing is known.

    Parts of one kind and family are likely to suit the same plan. Of one with a coat the kind is
    that of its contents, of which there may be `inside` bytes; one that stands `alone` is planned
    on its own, others with the same coat together.
    """

    name: str
    begin: int
    size: int
    kind: Kind | None = None
    family: str = ""
    coat: Coat = ()
    inside: int = 0
    alone: bool = False

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.begin + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """A file of a known format: parts in their order that are all of it, none of them empty."""

    format: str
    parts: tuple[Part, ...]


def kind_of(letter: str, width: int, strides: tuple[int, ...] = (), *, big: bool = False) -> Kind:
    """The kind of numbers that numpy writes with this letter, each so many bytes wide.

    Complex numbers are pairs; what has no lanes of its own is bytes in records of the width.
    """
    if letter == "c":
        paired = (2, *(2 * stride for stride in strides))
        return kind_of("f", width // 2, paired, big=big)
    if letter == "U" and width % 4 == 0:
        return Kind(Dtype.U32, _wider(width // 4, strides), big)
    if letter in "iumMf" and width in (2, 4, 8):
        is_float = letter == "f" and width > 2
        dtype = Dtype(f"{'f' if is_float else 'u'}{8 * width}")
        return Kind(dtype, strides, big)
    return Kind(Dtype.U8, _wider(width, strides))


def strides_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The distances of neighbours in an array whose last dimension lies together: rows, planes."""
    strides: list[int] = []
    step = 1
    # What goes all the way leaves nothing to compare with, so the outermost dimension is none.
    for length in reversed([length for length in shape if length != 1][1:]):
        step *= length
        strides.append(step)
    return tuple(strides[:_MOST_STRIDES])


def _wider(width: int, strides: tuple[int, ...]) -> tuple[int, ...]:
    """The strides in lanes where each element is so many of them."""
    return strides if width < 2 else (width, *(width * stride for stride in strides))
