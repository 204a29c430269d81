"""Kernels run on threads with enough stack; on a small one, deep recursion ends the process."""

import threading
from collections.abc import Callable
from typing import TypeVar

from ring0.host.library import ffi, libc

NEEDED_BYTES = 8 * 1024 * 1024
_GRANTED_BYTES = 16 * 1024 * 1024
# Sizes are page-rounded and minus a guard; a few pages short of the limit is not a small stack.
_SLACK_BYTES = 64 * 1024
_ATTRIBUTES_BYTES = 128

_T = TypeVar("_T")
_here = threading.local()
_setting = threading.Lock()


def run(work: Callable[[], _T]) -> _T:
    """Do the work on this thread if its stack is large enough, else on one whose stack is."""
    if is_large():
        return work()
    return _elsewhere(work)


def is_large() -> bool:
    """Whether this thread's stack is large enough; measured once a thread."""
    large = getattr(_here, "large", None)
    if large is None:
        large = _here.large = _stack_bytes() >= NEEDED_BYTES - _SLACK_BYTES
    return large


def _stack_bytes() -> int:
    measure = getattr(libc, "pthread_getattr_np", None)
    if measure is None:
        return 0  # not known on this platform, so every call goes to a thread that is known
    attributes = ffi.new(f"char[{_ATTRIBUTES_BYTES}]")
    if measure(libc.pthread_self(), attributes) != 0:
        return 0
    start, size = ffi.new("void **"), ffi.new("size_t *")
    libc.pthread_attr_getstack(attributes, start, size)
    libc.pthread_attr_destroy(attributes)
    return size[0]


def _elsewhere(work: Callable[[], _T]) -> _T:
    done: list[_T] = []
    failed: list[BaseException] = []

    def body() -> None:
        _here.large = True
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - carried to the thread that asked
            failed.append(error)

    with _setting:
        # The size is a setting of the whole process, so it is changed for as short as possible.
        before = threading.stack_size()
        try:
            threading.stack_size(_GRANTED_BYTES)
            thread = threading.Thread(target=body, name="redoxa-kernel")
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
