"""What becomes of memory that large values leave behind."""

from contextlib import suppress

from ring0.host.library import libc

# malloc.h of the GNU C library, which takes no more than this for the first of them.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BYTES = 32 * 1024 * 1024
_KEPT_BYTES = 64 * 1024 * 1024


def keep_freed_memory() -> None:
    """Let this process hold on to 64 MiB of freed memory in every thread's heap.

    For programs that own their process. By itself the GNU C library gives what large values leave
    back at once, and the next value waits for the system to give it anew, page by page, which takes
    as long as many a kernel. Where the C library is another one, nothing happens.
    """
    with suppress(AttributeError):
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
