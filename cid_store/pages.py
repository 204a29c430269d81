"""Large pages for large buffers: what fills fresh memory waits for the system page by page."""

import functools
import mmap
from collections.abc import Callable
from contextlib import suppress

_ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)  # of Linux
_PAGE = mmap.PAGESIZE


def prefer_large_pages(room: memoryview) -> None:
    """Let memory that nobody has touched yet come in large pages, where the system has them.

    64 MiB are 16,384 pages of 4 KiB, and getting those takes longer than copying the bytes; of
    2 MiB there are 32. Elsewhere nothing happens.
    """
    advise = _madvise()
    if advise is None or len(room) < 2 * _PAGE:
        return
    import ctypes  # noqa: PLC0415 - start-up is performance

    start = ctypes.addressof(ctypes.c_char.from_buffer(room))
    first, stop = -(-start // _PAGE) * _PAGE, (start + len(room)) // _PAGE * _PAGE
    advise(first, stop - first, _ADVICE)  # what the system does not take, it refuses


@functools.cache
def _madvise() -> Callable[..., object] | None:
    """The C library's function, which Python offers for its own maps alone."""
    if _ADVICE is None:
        return None
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415 - as above

        function = ctypes.CDLL(None).madvise
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        return function
    return None
