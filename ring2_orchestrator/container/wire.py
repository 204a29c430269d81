"""Bytes taken off the front of a section, one field after another, none read past its end."""

from ring0.abi import unsigned_leb128
from ring2_orchestrator.container.errors import DamagedContainerError

varint = unsigned_leb128


class Fields:
    """A section read field by field. Every fault is a DamagedContainerError."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self.at = 0

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self.at

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > self.rest:
            raise DamagedContainerError(f"{self._what} ends too early")
        self.at += size
        return self._data[self.at - size : self.at]

    def byte(self) -> int:
        """The next byte as a number."""
        return self.take(1)[0]

    def varint(self) -> int:
        """The next number in LEB128, in its shortest form and below 2^64."""
        value = 0
        for place in range(10):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if value >> 64 or (place and not byte):
                    break
                return value
        raise DamagedContainerError(f"{self._what} holds a number that is not in its one form")

    def end(self) -> None:
        """Pass when nothing is left."""
        if self.rest:
            raise DamagedContainerError(f"{self._what} has {self.rest:,} bytes too many")
