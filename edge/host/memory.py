"""Gives freed memory back to the system."""

import ctypes

__all__ = ["trim_heap"]


def trim_heap() -> None:
    """Return the free memory of the C heap to the system; only glibc can (malloc_trim(3)).

    Memory that one thread has freed is not used by another one: after a large object was replaced on another thread,
    both sizes would count.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
