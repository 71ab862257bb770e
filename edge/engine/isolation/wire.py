"""Messages between an engine's process and its parent (MessagePack packets)."""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from edge.ports import ModelSpec

__all__ = ["RUN", "Array", "Described", "Done", "Failed", "Job", "Ready", "Reply", "decode", "encode", "read_job"]

RUN = b"run"
"""The only request: infer the tensor in the shared input."""


class Job(Struct, frozen=True, kw_only=True):
    """The model and delegate that the process loads.

    Attributes:
        path: of the model file, absolute.
        name: how messages name the model.
        threads: CPU threads per inference.
        input_size: (width, height) for a model of dynamic size; None: its own, else a square.
        library: of the delegate; empty: none.
    """

    path: str
    name: str
    threads: int = 1
    input_size: tuple[int, int] | None = None
    library: str = ""


class Array(Struct, frozen=True):
    """Dtype, shape and byte offset of a shared tensor."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


class Described(Struct, frozen=True, tag=True):
    """The model file is valid; no delegate is loaded yet."""

    spec: ModelSpec


class Ready(Struct, frozen=True, tag=True):
    """Ready to infer; the packet carries the shared memory's descriptor."""

    spec: ModelSpec
    input: Array
    outputs: tuple[Array, ...]


class Done(Struct, frozen=True, tag=True):
    """An inference is done, the shared memory has its outputs."""


class Failed(Struct, frozen=True, tag=True):
    """The process failed; `error` names the class in `edge.errors`, `text` is its message."""

    error: str
    text: str


Reply = Described | Ready | Done | Failed


def encode(message: Job | Reply) -> bytes:
    """Encode a message as one packet."""
    return msgspec.msgpack.encode(message, enc_hook=_to_plain)


def decode(packet: bytes) -> Reply:
    """Decode a reply."""
    reply: Reply = msgspec.msgpack.decode(packet, type=Reply, dec_hook=_to_array)
    return reply


def read_job(packet: bytes) -> Job:
    """Decode a job."""
    return msgspec.msgpack.decode(packet, type=Job)


def _to_plain(value: Any) -> object:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.integer):  # the runtime's shapes hold these
        return int(value)
    raise NotImplementedError(type(value))


def _to_array(kind: Any, value: Any) -> object:  # noqa: ARG001 - only arrays need the hook
    dtype, shape, content = value
    return np.frombuffer(content, dtype).reshape(shape)
