"""Shared memory for tensors (memfd_create(2)).

The kernel frees it with the last descriptor or mapping, however the processes end.
"""

import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engine.isolation.wire import Array

__all__ = ["create_memory", "lay_out", "map_memory"]

ALIGNMENT_BYTES = 64
"""A cache line; aligned SIMD loads need no more."""


def lay_out(tensors: Sequence[NDArray[Any]]) -> tuple[Array, ...]:
    """Return aligned, consecutive places for tensors."""
    places = []
    offset = 0
    for tensor in tensors:
        places.append(Array(tensor.dtype.name, tensor.shape, offset))
        offset += -(-tensor.nbytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return tuple(places)


def create_memory(places: Sequence[Array]) -> int:
    """Create memory for all `places`; the caller closes the descriptor."""
    descriptor = os.memfd_create("edge-pose-tensors", os.MFD_CLOEXEC)
    last = places[-1]
    os.ftruncate(descriptor, last.offset + max(int(np.prod(last.shape)) * np.dtype(last.dtype).itemsize, 1))
    return descriptor


def map_memory(descriptor: int, places: Sequence[Array]) -> tuple[NDArray[Any], ...]:
    """Map all `places` as arrays; the memory stays mapped while one array lives."""
    memory = mmap.mmap(descriptor, 0)
    return tuple(
        np.frombuffer(memory, place.dtype, int(np.prod(place.shape)), place.offset).reshape(place.shape)
        for place in places
    )
