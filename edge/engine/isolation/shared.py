"""Memory for tensors that two processes see: a memfd, which is gone as soon as nobody holds it, however they end."""

import mmap
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.engine.isolation.wire import Array

__all__ = ["create_memory", "lay_out", "map_memory"]

ALIGNMENT_BYTES = 64
"""A cache line, and what SIMD loads like best."""


def lay_out(tensors: Sequence[NDArray[Any]]) -> tuple[Array, ...]:
    """Return a place for each tensor, one behind the other."""
    places = []
    offset = 0
    for tensor in tensors:
        places.append(Array(tensor.dtype.name, tensor.shape, offset))
        offset += -(-tensor.nbytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return tuple(places)


def create_memory(places: Sequence[Array]) -> int:
    """Return the descriptor of new memory that holds all `places`; the caller closes it."""
    descriptor = os.memfd_create("edge-pose-tensors", os.MFD_CLOEXEC)
    last = places[-1]
    os.ftruncate(descriptor, last.offset + max(int(np.prod(last.shape)) * np.dtype(last.dtype).itemsize, 1))
    return descriptor


def map_memory(descriptor: int, places: Sequence[Array]) -> tuple[NDArray[Any], ...]:
    """Return views of all `places`; the memory stays mapped for as long as one of them is held."""
    memory = mmap.mmap(descriptor, 0)
    return tuple(
        np.frombuffer(memory, place.dtype, int(np.prod(place.shape)), place.offset).reshape(place.shape)
        for place in places
    )
