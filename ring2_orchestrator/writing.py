"""Bytes go out whole, whatever kind of stream takes them."""

import os


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of it, and wait for the reader also where the descriptor refuses to wait.

    That is a property of the open file, which whoever else holds it may have set. Raises OSError.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            _wait_for_room(descriptor)


def _wait_for_room(descriptor: int) -> None:
    import select  # noqa: PLC0415 - start-up is performance

    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()
