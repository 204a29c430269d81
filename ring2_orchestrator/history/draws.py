"""Draws from a seed that are the same everywhere and for ever: no library's generator is asked."""

from collections.abc import Sequence
from typing import TypeVar

from blake3 import blake3

_T = TypeVar("_T")


class Draws:
    """A sequence of draws; two made of the same words draw the same."""

    def __init__(self, *words: object) -> None:
        self._key = blake3("\0".join(str(word) for word in words).encode()).digest()
        self._count = 0

    def below(self, end: int) -> int:
        """A number from 0 to `end` - 1, each as likely."""
        assert end > 0, "something can be drawn"
        self._count += 1
        block = blake3(self._count.to_bytes(8, "big"), key=self._key).digest(16)
        return int.from_bytes(block, "big") % end  # 128 bits: no number is favoured measurably

    def one_of(self, choices: Sequence[_T]) -> _T:
        """One of the choices."""
        return choices[self.below(len(choices))]

    def happens(self, percent: int) -> bool:
        """Whether something happens that happens so often."""
        return self.below(100) < percent
