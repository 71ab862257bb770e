"""Child process of an isolated engine: loads a model, then infers.

Started as `python -m edge.engine.worker DESCRIPTOR PARENT`: the socket to the parent, and the parent's process id.
A crash or hang of a vendor's library ends this process only, not the parent.
"""

# ruff: noqa: PLC0415 - a missing or broken runtime is reported over the socket, so it is imported late

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.isolation.shared import create_memory, lay_out, map_memory
from edge.engine.isolation.wire import RUN, Described, Done, Failed, Job, Ready, Reply, encode, read_job
from edge.errors import EdgeError, EngineLostError, ModelError

if TYPE_CHECKING:
    from edge.engine.litert import LiteRtEngine
    from edge.ports import ModelSpec

__all__ = ["main"]

MAX_JOB_BYTES = 1 << 16
MAX_TEXT_CHARACTERS = 500
SQUARE = (256, 256)
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Serve one parent until it closes the socket."""
    link, parent = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    _depend_on(parent)
    with contextlib.suppress(OSError, ValueError):  # a service may be forbidden to
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashes are expected, and would fill an SD card
    try:
        _serve(link)
    except EdgeError as error:
        _send(link, Failed(type(error).__name__, str(error)[:MAX_TEXT_CHARACTERS]))
    except ConnectionError:
        pass  # the parent has gone
    os._exit(0)  # skips the clean-up of libraries, which may hang


def _depend_on(parent: int) -> None:
    """End with the parent, however it ends, and ignore signals meant for it: the parent decides when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # it died before the line above


def _serve(link: socket.socket) -> None:
    engine, spec = _load(link, read_job(link.recv(MAX_JOB_BYTES)))
    width, height = spec.input_size
    blank = np.zeros((1, height, width, 3), spec.input_dtype)
    try:
        first = engine.run(blank)  # the slow one: it loads the model onto the device
    except ModelError as error:
        raise EngineLostError(str(error)) from error
    places = lay_out([blank, *first])
    memory = create_memory(places)
    tensor, *outputs = map_memory(memory, places)
    socket.send_fds(link, [encode(Ready(spec, places[0], places[1:]))], [memory])
    os.close(memory)
    del blank, first
    while link.recv(len(RUN)):
        for shared, output in zip(outputs, engine.run(tensor), strict=True):
            np.copyto(shared, output)
        _send(link, Done())


def _load(link: socket.socket, job: Job) -> "tuple[LiteRtEngine, ModelSpec]":
    from edge.engine.litert import LiteRtEngine

    path = Path(job.path)
    if not job.library:
        engine = LiteRtEngine(path, name=job.name, threads=job.threads, input_size=job.input_size)
        return engine, engine.size_for(SQUARE)
    from edge.engine.delegate import describe, load

    _send(link, Described(describe(path, job.name)))
    delegates = [load(job.library)]
    try:
        engine = LiteRtEngine(path, name=job.name, threads=job.threads, input_size=job.input_size, delegates=delegates)
    except ModelError as error:
        raise EngineLostError(f"the Edge TPU cannot be given the model: {error}") from error
    return engine, replace(engine.spec, accelerator="edgetpu")


def _send(link: socket.socket, reply: Reply) -> None:
    link.send(encode(reply))


if __name__ == "__main__":
    main()
