"""What an engine's process and its parent say to one another: one packet each, MessagePack."""

from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from edge.ports import ModelSpec

__all__ = ["RUN", "Array", "Described", "Done", "Failed", "Job", "Ready", "Reply", "decode", "encode", "read_job"]

RUN = b"run"
"""The one request: infer what lies in the shared input."""


class Job(Struct, frozen=True, kw_only=True):
    """What the process is to load.

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
    """Where one tensor lies in the shared memory; `offset` in bytes."""

    dtype: str
    shape: tuple[int, ...]
    offset: int


class Described(Struct, frozen=True, tag=True):
    """The model file is fine; the delegate has not been touched yet."""

    spec: ModelSpec


class Ready(Struct, frozen=True, tag=True):
    """Inferences can be asked for; the memory's descriptor comes with this packet."""

    spec: ModelSpec
    input: Array
    outputs: tuple[Array, ...]


class Done(Struct, frozen=True, tag=True):
    """The outputs of one inference are written."""


class Failed(Struct, frozen=True, tag=True):
    """It cannot: `error` is the name of the error in `edge.errors` that the text belongs to."""

    error: str
    text: str


Reply = Described | Ready | Done | Failed


def encode(message: Job | Reply) -> bytes:
    """Return one packet."""
    return msgspec.msgpack.encode(message, enc_hook=_to_plain)


def decode(packet: bytes) -> Reply:
    """Return the reply in a packet."""
    reply: Reply = msgspec.msgpack.decode(packet, type=Reply, dec_hook=_to_array)
    return reply


def read_job(packet: bytes) -> Job:
    """Return the job in a packet."""
    return msgspec.msgpack.decode(packet, type=Job)


def _to_plain(value: Any) -> object:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.integer):  # the runtime's shapes have them
        return int(value)
    raise NotImplementedError(type(value))


def _to_array(kind: Any, value: Any) -> object:  # noqa: ARG001 - arrays are all there is
    dtype, shape, content = value
    return np.frombuffer(content, dtype).reshape(shape)
